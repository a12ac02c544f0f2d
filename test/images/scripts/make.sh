# make -j of many small files.
# needs: gcc make
# limit: 120
# slow
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
for i in $(seq 24); do echo "int f$i(void) { return $i; }" > f$i.c; done
{ echo '#include <stdio.h>'; for i in $(seq 24); do echo "int f$i(void);"; done; echo 'int main(void) { int s = 0;'; for i in $(seq 24); do echo "s += f$i();"; done; echo 'printf("%d\n", s); return 0; }'; } > main.c
cat > Makefile <<'M'
OBJ := main.o $(patsubst %,f%.o,$(shell seq 24))
prog: $(OBJ)
	@gcc -o $@ $^
%.o: %.c
	@gcc -c -o $@ $<
clean:
	@rm -f *.o prog
.PHONY: clean
M
make -j4 && ./prog && make -q && echo up to date && touch f3.c && make -n | wc -l && make clean && ls *.o 2>/dev/null | wc -l
