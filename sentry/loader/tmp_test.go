package loader_test
import ("testing";"os")
func TestTmp(t *testing.T) {
	b,_ := os.ReadFile("/tmp/tmp.c")
	exe := build(t, string(b))
	for i:=0;i<2;i++ { k := start(t, exe); k.run(); t.Log(k.out.String()) }
}
