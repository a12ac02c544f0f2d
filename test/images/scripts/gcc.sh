# Compiling and running C, with threads and a shared library.
# needs: gcc
# limit: 90
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
cat > lib.c <<'C'
int twice(int x) { return 2 * x; }
C
cat > main.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <dlfcn.h>
#include <math.h>
int twice(int);
static void *t(void *a) { return (void *)(long)twice((long)a); }
int main(int c, char **v) {
	pthread_t p[8]; long s = 0; void *r;
	for (long i = 0; i < 8; i++) pthread_create(&p[i], 0, t, (void *)i);
	for (int i = 0; i < 8; i++) pthread_join(p[i], &r), s += (long)r;
	void *h = dlopen("libm.so.6", RTLD_NOW);
	double (*f)(double) = (double (*)(double))dlsym(h, "cos");
	printf("%ld %s %.3f %s\n", s, v[1], f(0), getenv("X"));
	return 5;
}
C
gcc -shared -fPIC -o libtwice.so lib.c && gcc -O2 -o main main.c -L. -ltwice -lpthread -ldl -Wl,-rpath,. && X=env ./main arg
echo "status $?"
gcc -static -O0 -o st main.c lib.c -lpthread -ldl 2>/dev/null && X=s ./st static; echo "status $?"
echo 'int main(){return x;}' > bad.c; gcc bad.c 2>&1 | grep -c error
gcc -E -dM - </dev/null | grep -c __linux__
ldd main | grep -c libtwice
strip main && X=env ./main stripped
