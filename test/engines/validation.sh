#!/bin/bash
# The OCI's own validation programs (opencontainers/runtime-tools), built from
# the Go module cache and run one after the other with runc, then runsc. Prints
# what fails with runsc though it passes with runc, and ends with 1 if there is
# such a thing. Usage: validation.sh RUNSC [NAME...]   Run it by make validation.
#
# With $REF=none there is no reference and every failure is printed.
# process_capabilities_fail is not run: it wants an error for capabilities that
# nobody knows, for which the specification has since asked for a warning.
# linux_ns_* are not run: they compare namespaces of the host process that
# stands for the container, and a sandbox's are its own.
set -u
runsc=$(realpath "$1"); shift
version=v0.9.1-0.20260316125833-8a4db579f5c8
ref=${REF:-runc}
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
src=$(go mod download -json "github.com/opencontainers/runtime-tools@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
[ -n "$src" ] || { echo "validation: the module is not to be had" >&2; exit 1; }
cp -r "$src/." "$dir" && chmod -R u+w "$dir" && rm -rf "$dir/vendor" && cd "$dir" || exit 1
export CGO_ENABLED=0 GOFLAGS=-mod=mod
go build -tags 'netgo osusergo' -o runtimetest ./cmd/runtimetest || exit 1

run() { # RUNTIME NAME
	local out
	out=$(RUNTIME=$1 timeout 30 "validation/$2/$2.t" 2>&1 </dev/null)
	local rc=$?
	[ $rc = 0 ] && ! grep -q '^not ok' <<<"$out" && return 0
	grep '^not ok' <<<"$out" | head -3 | sed 's/^/    /'
	return 1
}

passed=0 failed=0 skipped=0
for d in validation/*/; do
	n=$(basename "$d")
	case $n in util | process_capabilities_fail | linux_ns_* | linux_cgroups_* | linux_process_apparmor_profile | linux_mount_label) continue ;; esac
	[ $# = 0 ] || [[ " $* " = *" $n "* ]] || continue
	go build -o "$d$n.t" "./validation/$n" || exit 1
	if [ "$ref" != none ] && ! run "$ref" "$n" >/dev/null; then
		echo "skip  $n: $ref fails it here"
		skipped=$((skipped + 1))
	elif out=$(run "$runsc" "$n"); then
		echo "ok    $n"
		passed=$((passed + 1))
	else
		echo "FAIL  $n"
		[ -z "$out" ] || echo "$out"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
