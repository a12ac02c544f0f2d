# Perl: files, fork, pipes, sockets, signals.
# needs: perl
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
perl -e '
use strict; use IO::Socket::INET; use POSIX qw(:sys_wait_h); use Fcntl qw(:flock);
pipe(my $r, my $w); my $pid = fork; if (!$pid) { close $r; print $w "from child\n"; exit 3 } close $w; print <$r>; waitpid $pid, 0; print $? >> 8, "\n";
print `echo back; exit 2`, $? >> 8, "\n"; open(my $f, "|-", "tr a-z A-Z") or die; print $f "piped\n"; close $f;
$SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 5; }; print $@;
my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; if (!fork) { my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport); print $c "tcp\n"; exit } my $c = $s->accept; print scalar <$c>; wait;
open(my $l, ">", "lock"); print flock($l, LOCK_EX | LOCK_NB) ? "locked\n" : "busy\n"; my @st = stat("lock"); print "$st[7]\n"; opendir(my $d, "."); print join(" ", sort grep { !/^\./ } readdir $d), "\n";
my %h; $h{$_ % 97}++ for 1 .. 100000; print scalar(keys %h), "\n"; print join(",", map { sprintf "%x", $_ } unpack("C*", pack("N", 0xdeadbeef))), "\n"; kill "TERM", $$ if 0; exec "echo", "exec done";
'
