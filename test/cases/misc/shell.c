// What shells rely on: redirections, here-documents, traps, job ids.
#include "../case.h"
static void sh(const char *s) {
	fflush(stdout);
	STATUS("status", system(s));
}

int main(void) {
	sh("echo one >f; echo two >>f; cat <f; { echo out; echo err >&2; } 2>g; cat g; exec 3<f; read a <&3; echo $a; cat <<E\nhere $((2+3))\nE");
	sh("trap 'echo trapped' USR1; kill -USR1 $$; echo after");
	sh("trap 'echo bye' EXIT; exit 7");
	sh("(exit 3); echo $?; ! true; echo $?; false || echo or; true && echo and");
	sh("sleep 0.05 & wait $!; echo $?; sh -c 'kill -9 $$'; echo $?");
	sh("set -- a 'b c' d; echo $# \"$2\"; for x in 1 2 3; do printf '%s ' $x; done; echo; case abc in a*) echo glob;; esac");
	sh("bash -c 'coproc cat; echo hi >&${COPROC[1]}; read x <&${COPROC[0]}; echo $x; exec {COPROC[1]}>&-; wait'");
	sh("bash -c 'diff <(echo a) <(echo b)'");
	sh("bash -c 'set -m; sleep 5 & kill %1; wait %1; echo $?' 2>/dev/null");
	sh("ulimit -n; umask; cd /; pwd; test -d /proc && echo proc; type cd | head -1");
	sh("printf 'a\\nb\\n' | while read x; do echo \"<$x>\"; done; echo $(echo nested $(echo deep))");
	sh("mkfifo p; cat p & echo through >p; wait");
	return 0;
}
