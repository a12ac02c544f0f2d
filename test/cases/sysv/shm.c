// System V shared memory.
#include "../case.h"
#include <sys/ipc.h>
#include <sys/shm.h>

int main(void) {
	int id = OK(shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600));
	char *p = shmat(id, NULL, 0), *q = shmat(id, NULL, SHM_RDONLY);
	YES(p != (void *)-1 && q != (void *)-1 && p != q);
	strcpy(p, "shared");
	SAY("%s", q);
	RUN({
		SAY("%s", p);
		strcpy(p, "child");
	});
	SAY("%s", q);
	struct shmid_ds d;
	OK(shmctl(id, IPC_STAT, &d));
	SAY("size %ld attached %ld mode %o", (long)d.shm_segsz, (long)d.shm_nattch, d.shm_perm.mode & 0777);
	OK(shmdt(q));
	OK(shmdt(q));
	OK(shmctl(id, IPC_STAT, &d));
	SAY("attached %ld", (long)d.shm_nattch);
	STATUS("read only", RUN({
		char *r = shmat(id, NULL, SHM_RDONLY);
		r[0] = 1;
	}));
	OK(shmctl(id, IPC_RMID, NULL));
	SAY("%s", p);
	OK(shmget(IPC_PRIVATE, 0, 0600));
	OK(shmat(id, (void *)0x10000001, 0));
	OK(shmdt(p));
	OK(shmctl(id, IPC_STAT, &d));
	OK(shmat(id, NULL, 0));
	key_t k = 0x4242;
	id = OK(shmget(k, 4096, IPC_CREAT | IPC_EXCL | 0600));
	OK(shmget(k, 4096, IPC_CREAT | IPC_EXCL | 0600));
	YES(shmget(k, 0, 0) == id);
	OK(shmget(k, 8192, 0));
	OK(shmget(0x5353, 4096, 0));
	d.shm_perm.mode = 0444;
	d.shm_perm.uid = 9;
	d.shm_perm.gid = 9;
	OK(shmctl(id, IPC_SET, &d));
	OK(shmctl(id, IPC_STAT, &d));
	SAY("%o %d", d.shm_perm.mode & 0777, d.shm_perm.uid);
	RUN({
		setresuid(5, 5, 5);
		setresgid(5, 5, 5);
		OK(shmget(k, 4096, 0600));
		OK(shmat(id, NULL, 0));
		OK(shmctl(id, IPC_RMID, NULL));
	});
	OK(shmctl(id, 999, &d));
	OK(shmctl(id, IPC_RMID, NULL));
	OK(shmctl(999999, IPC_RMID, NULL));
	return 0;
}
