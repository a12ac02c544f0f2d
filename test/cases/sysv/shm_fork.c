// Attached segments over fork, exec and exit.
#include "../case.h"
#include <sys/shm.h>

int main(void) {
	int id = MUST(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
	int *p = shmat(id, NULL, 0);
	struct shmid_ds d;
	pid_t k[3];
	gate g = mkgate(), up = mkgate();
	for (int i = 0; i < 3; i++) k[i] = SPAWN({
		__atomic_fetch_add(p, 1, 5);
		pass(up);
		hold(g);
	});
	for (int i = 0; i < 3; i++) hold(up);
	shmctl(id, IPC_STAT, &d);
	SAY("%ld attached, value %d", (long)d.shm_nattch, *p);
	for (int i = 0; i < 3; i++) pass(g);
	for (int i = 0; i < 3; i++) reap(k[i]);
	shmctl(id, IPC_STAT, &d);
	SAY("%ld attached", (long)d.shm_nattch);
	YES(d.shm_cpid == getpid());
	STATUS("exec", RUN({
		execl("/bin/true", "true", NULL);
	}));
	shmctl(id, IPC_STAT, &d);
	SAY("%ld attached", (long)d.shm_nattch);
	shmctl(id, IPC_RMID, NULL);
	RUN({
		SAY("%d", *p);
	});
	void *at = (void *)0x20000000000;
	YES(shmat(id, at, 0) == at || errno == EINVAL || errno == EIDRM);
	return 0;
}
