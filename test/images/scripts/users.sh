# Permissions as another user.
# needs: perl
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
chmod 755 . && echo secret > s && chmod 600 s && echo open > o && chmod 644 o && mkdir -m 1777 t && touch t/root
u() { perl -e '$) = "1000 1000"; $( = 1000; $< = $> = 1000; exec @ARGV' "$@"; }
u id | sed 's/(.*//'
u cat s; echo $?
u cat o
u sh -c 'echo x > n'; echo $?
u sh -c 'echo x > t/mine; stat -c "%u %g" t/mine; rm -f t/root; echo $?'
u ls /root >/dev/null 2>&1; echo $?
u kill -0 $$ 2>/dev/null; echo $?
u sh -c 'ulimit -n 100; ulimit -n'
