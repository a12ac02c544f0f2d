// System V message queues.
#include "../case.h"
#include <sys/ipc.h>
#include <sys/msg.h>
struct {
	long t;
	char b[128];
} m;
#define SEND(ty, s) ({ m.t = ty; strcpy(m.b, s); msgsnd(id, &m, strlen(s) + 1, IPC_NOWAIT); })
#define RECV(ty, fl) ({ ssize_t r = msgrcv(id, &m, 128, ty, fl); if (r == -1) SAY("recv %d: %s", ty, ename(errno)); else SAY("recv %d: %zd type %ld %s", ty, r, m.t, m.b); })

int main(void) {
	int id = OK(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
	OK(SEND(3, "three"));
	OK(SEND(1, "one"));
	OK(SEND(2, "two"));
	OK(SEND(1, "uno"));
	OK(SEND(0, "zero"));
	struct msqid_ds d;
	OK(msgctl(id, IPC_STAT, &d));
	SAY("%ld messages", (long)d.msg_qnum);
	RECV(1, 0);
	RECV(-2, 0);
	RECV(0, 0);
	RECV(5, IPC_NOWAIT);
	RECV(2, MSG_EXCEPT | IPC_NOWAIT);
	RECV(2, 0);
	RECV(0, IPC_NOWAIT);
	SEND(4, "a long message");
	VAL(msgrcv(id, &m, 4, 4, 0));
	VAL(msgrcv(id, &m, 4, 4, MSG_NOERROR));
	pid_t k = SPAWN({
		RECV(9, 0);
	});
	sleeping(k);
	SEND(8, "not for it");
	SEND(9, "for it");
	reap(k);
	RECV(0, 0);
	k = SPAWN({
		RECV(9, 0);
	});
	sleeping(k);
	MUST(msgctl(id, IPC_RMID, NULL));
	reap(k);
	OK(SEND(1, "x"));
	id = OK(msgget(0x999, IPC_CREAT | 0600));
	OK(msgget(0x999, IPC_CREAT | IPC_EXCL));
	m.t = 1;
	OK(msgsnd(id, &m, 100000, 0));
	OK(msgctl(id, IPC_RMID, NULL));
	OK(msgget(0x998, 0));
	return 0;
}
