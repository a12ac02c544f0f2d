# go build, go run, goroutines, child processes, network.
# needs: go
# limit: 170
# slow
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
cat > go.mod <<'M'
module x
go 1.20
M
cat > main.go <<'G'
package main

import ("fmt"; "net"; "os"; "os/exec"; "os/signal"; "runtime"; "sync"; "syscall"; "time"; "bufio")

func main() {
	var wg sync.WaitGroup; var mu sync.Mutex; n := 0
	for i := 0; i < 10000; i++ { wg.Add(1); go func() { defer wg.Done(); mu.Lock(); n++; mu.Unlock(); runtime.Gosched() }() }
	wg.Wait(); fmt.Println(n)
	out, err := exec.Command("sh", "-c", "echo child; exit 3").CombinedOutput(); fmt.Printf("%s%v\n", out, err)
	c := make(chan os.Signal, 1); signal.Notify(c, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-c)
	l, err := net.Listen("tcp", "127.0.0.1:0"); if err != nil { panic(err) }
	go func() { for { c, err := l.Accept(); if err != nil { return }; go func() { s, _ := bufio.NewReader(c).ReadString('\n'); fmt.Fprint(c, s); c.Close() }() } }()
	ok := 0
	for i := 0; i < 100; i++ { c, err := net.Dial("tcp", l.Addr().String()); if err != nil { panic(err) }; fmt.Fprintf(c, "%d\n", i); s, _ := bufio.NewReader(c).ReadString('\n'); if s == fmt.Sprintf("%d\n", i) { ok++ }; c.Close() }
	fmt.Println(ok)
	select { case <-time.After(20 * time.Millisecond): fmt.Println("timer"); case <-c: }
	func() { defer func() { fmt.Println(recover()) }(); var p *int; *p = 1 }()
	b := make([][]byte, 0); for i := 0; i < 200; i++ { b = append(b, make([]byte, 1<<20)); b[i][i] = 1 }; runtime.GC(); fmt.Println(len(b))
	os.Exit(4)
}
G
go build -o prog . && ./prog
echo "status $?"
cat > x_test.go <<'G'
package main
import "testing"
func TestX(t *testing.T) { t.Parallel() }
G
go vet . && go test . | cut -f1,2 | sed 's/[0-9.]*s$//'
go run . | tail -1
