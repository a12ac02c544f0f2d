// FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, bitsets.
#include "../case.h"
#include <linux/futex.h>
static long fx(int *u, int op, int v, long t, void *u2, int v3) {
	return syscall(SYS_futex, u, op, v, t, u2, v3);
}
static int a, b, done;
static void *wa(void *x) {
	fx(&a, FUTEX_WAIT, 0, 0, NULL, 0);
	__atomic_fetch_add(&done, 1, 5);
	return NULL;
}
static void *wb(void *x) {
	fx(&a, FUTEX_WAIT_BITSET, 0, 0, NULL, (long)x);
	__atomic_fetch_add(&done, (long)x, 5);
	return NULL;
}
static void settle(int n) {
	for (int i = 0; i < 400 && done < n; i++) msleep(5);
	msleep(20);
	SAY("done %d", done);
}

int main(void) {
	pthread_t p[5];
	for (int i = 0; i < 5; i++) pthread_create(&p[i], NULL, wa, NULL);
	msleep(60);
	VAL(fx(&a, FUTEX_CMP_REQUEUE, 1, 1, &b, 5));
	VAL(fx(&a, FUTEX_CMP_REQUEUE, 1, 2, &b, 0));
	settle(1);
	VAL(fx(&b, FUTEX_WAKE, 10, 0, NULL, 0));
	settle(3);
	VAL(fx(&a, FUTEX_REQUEUE, 0, 10, &b, 0));
	VAL(fx(&a, FUTEX_WAKE, 10, 0, NULL, 0));
	VAL(fx(&b, FUTEX_WAKE, 10, 0, NULL, 0));
	settle(5);
	for (int i = 0; i < 5; i++) pthread_join(p[i], NULL);
	done = 0;
	VAL(fx(&a, FUTEX_CMP_REQUEUE, -1, 1, &b, 0));
	VAL(fx(&a, FUTEX_CMP_REQUEUE, 1, 1, (void *)1, 0));
	for (long i = 0; i < 2; i++) pthread_create(&p[i], NULL, wb, (void *)(1L << i));
	msleep(50);
	VAL(fx(&a, FUTEX_WAKE_BITSET, 10, 0, NULL, 2));
	settle(2);
	VAL(fx(&a, FUTEX_WAKE_BITSET, 10, 0, NULL, 2));
	VAL(fx(&a, FUTEX_WAKE_BITSET, 10, 0, NULL, 1));
	settle(3);
	for (int i = 0; i < 2; i++) pthread_join(p[i], NULL);
	done = 0;
	for (int i = 0; i < 2; i++) pthread_create(&p[i], NULL, wa, NULL);
	msleep(50);
	b = 3;
	VAL(fx(&b, FUTEX_WAKE_OP, 1, 1, &a, FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)));
	SAY("a %d", a);
	settle(1);
	VAL(fx(&b, FUTEX_WAKE_OP, 1, 1, &a, FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_LT, 0)));
	SAY("a %d", a);
	VAL(fx(&b, FUTEX_WAKE_OP, 1, 10, &a, FUTEX_OP(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_GE, 9)));
	SAY("a %d", a);
	settle(2);
	for (int i = 0; i < 2; i++) pthread_join(p[i], NULL);
	return 0;
}
