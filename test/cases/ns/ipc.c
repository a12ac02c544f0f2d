// System V and POSIX objects are private to an IPC namespace.
#include "../case.h"
#include <sys/shm.h>
#include <sys/msg.h>

int main(void) {
	int a = MUST(shmget(0x1234, 4096, IPC_CREAT | 0600));
	RUN({
		OK(shmget(0x1234, 0, 0));
		OK(unshare(CLONE_NEWIPC));
		OK(shmget(0x1234, 0, 0));
		OK(shmget(0x1234, 4096, IPC_CREAT | IPC_EXCL | 0600));
		OK(msgget(0x99, IPC_CREAT | 0600));
	});
	OK(msgget(0x99, 0));
	OK(shmget(0x1234, 0, 0));
	OK(shmctl(a, IPC_RMID, NULL));
	return 0;
}
