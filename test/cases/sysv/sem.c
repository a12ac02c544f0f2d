// System V semaphores: operations, undo, waiting.
#include "../case.h"
#include <sys/ipc.h>
#include <sys/sem.h>
static int op(int id, int n, int v, int f) {
	struct sembuf b = {n, v, f};
	return semop(id, &b, 1);
}
union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

int main(void) {
	int id = OK(semget(IPC_PRIVATE, 3, IPC_CREAT | 0600));
	VAL(semctl(id, 0, GETVAL));
	OK(semctl(id, 0, SETVAL, (union semun){.val = 2}));
	OK(op(id, 0, -1, 0));
	VAL(semctl(id, 0, GETVAL));
	OK(op(id, 0, -2, IPC_NOWAIT));
	OK(op(id, 0, 0, IPC_NOWAIT));
	OK(op(id, 0, 5, 0));
	VAL(semctl(id, 0, GETVAL));
	YES(semctl(id, 0, GETPID) == getpid());
	unsigned short a[3] = {1, 2, 3};
	OK(semctl(id, 0, SETALL, (union semun){.array = a}));
	memset(a, 0, 6);
	OK(semctl(id, 0, GETALL, (union semun){.array = a}));
	SAY("%d %d %d", a[0], a[1], a[2]);
	struct sembuf two[2] = {{1, -2, 0}, {2, -4, IPC_NOWAIT}};
	OK(semop(id, two, 2));
	VAL(semctl(id, 1, GETVAL));
	two[1].sem_op = -3;
	OK(semop(id, two, 2));
	VAL(semctl(id, 1, GETVAL));
	VAL(semctl(id, 2, GETVAL));
	RUN({
		op(id, 0, 7, SEM_UNDO);
		VAL(semctl(id, 0, GETVAL));
	});
	VAL(semctl(id, 0, GETVAL));
	pid_t k = SPAWN({
		OK(op(id, 1, -1, 0));
	});
	sleeping(k);
	VAL(semctl(id, 1, GETNCNT));
	op(id, 1, 1, 0);
	reap(k);
	k = SPAWN({
		OK(op(id, 0, 0, 0));
	});
	sleeping(k);
	VAL(semctl(id, 0, GETZCNT));
	op(id, 0, -1, 0);
	reap(k);
	struct timespec t = {0, 20000000};
	struct sembuf b = {1, -1, 0};
	OK(semtimedop(id, &b, 1, &t));
	k = SPAWN({
		OK(op(id, 1, -1, 0));
	});
	sleeping(k);
	MUST(semctl(id, 0, IPC_RMID));
	reap(k);
	OK(op(id, 0, 1, 0));
	OK(semget(IPC_PRIVATE, 0, 0600));
	OK(semget(IPC_PRIVATE, -1, 0600));
	id = OK(semget(0x777, 1, IPC_CREAT | 0600));
	OK(semget(0x777, 2, 0600));
	OK(semget(0x777, 1, IPC_CREAT | IPC_EXCL));
	OK(op(id, 5, 1, 0));
	OK(semctl(id, 0, SETVAL, (union semun){.val = 40000}));
	OK(semctl(id, 0, SETVAL, (union semun){.val = 32767}));
	OK(op(id, 0, 1, 0));
	OK(semop(id, &b, 0));
	struct semid_ds d;
	OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &d}));
	VAL(d.sem_nsems);
	OK(semctl(id, 0, IPC_RMID));
	return 0;
}
