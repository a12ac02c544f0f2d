// Exit and exit_group with threads; status of the leader.
#include "../case.h"
static void *t(void *a) {
	msleep(20);
	exit(6);
}
static void *e(void *a) {
	syscall(SYS_exit, 9);
	return NULL;
}
static void *late(void *a) {
	msleep(30);
	SAY("thread outlives the leader");
	fflush(stdout);
	syscall(SYS_exit, 4);
	return NULL;
}

int main(void) {
	pthread_t p;
	STATUS("exit in a thread", RUN({
		pthread_create(&p, NULL, t, NULL);
		pause();
	}));
	STATUS("SYS_exit of one thread", RUN({
		pthread_create(&p, NULL, e, NULL);
		pthread_join(p, NULL);
		_exit(2);
	}));
	STATUS("leader leaves first", RUN({
		pthread_create(&p, NULL, late, NULL);
		syscall(SYS_exit, 3);
	}));
	STATUS("pthread_exit of the leader", RUN({
		pthread_create(&p, NULL, late, NULL);
		pthread_exit(NULL);
	}));
	STATUS("return from main", system("exit 5"));
	int pp[2];
	pipe(pp);
	pid_t k = SPAWN({
		pthread_create(&p, NULL, late, NULL);
		syscall(SYS_exit, 0);
	});
	close(pp[1]);
	int s;
	VAL(waitpid(k, &s, WNOHANG));
	char c;
	VAL(read(pp[0], &c, 1));
	STATUS("leader gone", reap(k));
	return 0;
}
