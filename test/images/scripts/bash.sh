# Shell features: pipes, here-documents, traps, job control, arrays.
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
echo one | sed s/one/two/ | tr a-z A-Z
cat <<E
here $((6 * 7)) $(echo nested)
E
trap 'echo caught USR1' USR1
kill -USR1 $$
a=(x y z)
echo "${#a[@]} ${a[-1]} ${a[*]:1}"
declare -A m=([k]=v)
echo "${m[k]}"
sleep 0.05 &
wait $!
echo "wait $?"
(exit 7)
echo "status $?"
false | true | (exit 5)
echo "${PIPESTATUS[*]}"
set -m
sleep 10 &
sleep 0.1
# Whether bash tells of the end before it waits is a race.
{ kill %1; wait $!; } 2>/dev/null
echo "job $?"
set +m
diff <(printf 'a\nb\n') <(printf 'a\nc\n')
exec 3>f
echo three >&3
exec 3>&-
cat f
coproc cat
echo hi >&"${COPROC[1]}"
read -r line <&"${COPROC[0]}"
echo "$line"
printf '%s\n' {1..5} | xargs -n2 echo
timeout 0.1 sleep 5
echo "timeout $?"
echo $'a\tb' | cat -A
umask
type -t cd
time -p true 2>/dev/null
read -t 0.1 x < <(sleep 1)
echo "read timeout $(($? > 128))"
