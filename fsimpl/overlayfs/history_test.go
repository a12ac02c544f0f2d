package overlayfs

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/goferfs"
	"redoubt.dev/redoubt/gofer"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// serve mounts dir through a gofer.
func serve(t testing.TB, sys *vfs.System, ctx kctx.Ctx, dir, cache string) vfs.Super {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	go gofer.Serve([]gofer.Mount{{Root: root, Conn: -1, Donate: p[1]}})
	fs, err := sys.NewSuper(ctx, "gofer", "9p", vfs.MountOpts{Internal: goferfs.Conn{RFD: -1, WFD: -1, DonationFD: p[0], Cache: cache}})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// twin runs the same operations on a host directory and in a sandbox.
type twin struct {
	*tree
	host string
	log  []string
}

func code(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := errno.Of(err); ok {
		return e.Error()
	}
	return err.Error()
}

func (w *twin) same(what string, h, s error) bool {
	if e, ok := h.(*os.PathError); ok {
		h = e.Err
	}
	if e, ok := h.(*os.LinkError); ok {
		h = e.Err
	}
	if e, ok := h.(*os.SyscallError); ok {
		h = e.Err
	}
	w.log = append(w.log, what+": "+code(h))
	// Directories of a lower layer cannot be moved.
	if s == errno.EXDEV {
		return false
	}
	if code(h) != code(s) {
		w.fail(fmt.Sprintf("%s: %s on the host, %s in the sandbox", what, code(h), code(s)))
	}
	return h == nil
}

func (w *twin) fail(msg string) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s", strings.Join(w.log[max(0, len(w.log)-400):], "\n"), msg)
}

// show describes everything below a directory.
func (w *twin) showHost(p string, out *[]string) {
	l, _ := os.ReadDir(w.host + p)
	for _, e := range l {
		n := p + "/" + e.Name()
		var st unix.Stat_t
		unix.Lstat(w.host+n, &st)
		s := fmt.Sprintf("%s %o", n, st.Mode)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, _ := os.ReadFile(w.host + n)
			s += fmt.Sprintf(" %d %d %x", st.Nlink, st.Size, b)
		case unix.S_IFLNK:
			l, _ := os.Readlink(w.host + n)
			s += " " + l
		}
		*out = append(*out, s)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			w.showHost(n, out)
		}
	}
}

func (w *twin) showSandbox(p string, out *[]string) {
	for _, name := range strings.Fields(w.ls(p + "/")) {
		n := p + "/" + name
		op := w.op(n)
		op.Flags |= vfs.OpNoFollow
		st, err := w.sys.StatAt(w.ctx, op)
		if err != nil {
			w.fail(n + ": " + code(err))
		}
		s := fmt.Sprintf("%s %o", n, st.Mode)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			s += fmt.Sprintf(" %d %d %x", st.Nlink, st.Size, w.read(n))
		case unix.S_IFLNK:
			l, _ := w.sys.ReadlinkAt(w.ctx, op)
			s += " " + l
		}
		*out = append(*out, s)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			w.showSandbox(n, out)
		}
	}
}

func (w *twin) compare() {
	w.t.Helper()
	var h, s []string
	w.showHost("", &h)
	w.showSandbox("", &s)
	sort.Strings(h)
	sort.Strings(s)
	if strings.Join(h, "\n") != strings.Join(s, "\n") {
		w.fail("host:\n" + strings.Join(h, "\n") + "\nsandbox:\n" + strings.Join(s, "\n"))
	}
}

func (w *twin) step(r *rand.Rand) {
	names := []string{"a", "b", "c", "d"}
	path := func() string {
		p := ""
		for range 1 + r.Intn(3) {
			p += "/" + names[r.Intn(len(names))]
		}
		return p
	}
	p, q := path(), path()
	nf := func(p string) vfs.Op { o := w.op(p); o.Flags |= vfs.OpNoFollow; return o }
	switch k := r.Intn(15); k {
	case 0, 1, 2:
		flags := []int{unix.O_WRONLY | unix.O_CREAT, unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, unix.O_WRONLY | unix.O_TRUNC,
			unix.O_WRONLY | unix.O_APPEND, unix.O_RDWR | unix.O_CREAT | unix.O_APPEND, unix.O_WRONLY}[r.Intn(6)]
		data := []byte(fmt.Sprint(r.Intn(100000)))
		hf, herr := unix.Open(w.host+p, flags|unix.O_NOFOLLOW, 0644)
		sf, serr := w.sys.OpenAt(w.ctx, w.op(p), uint32(flags|unix.O_NOFOLLOW), 0644)
		ok := w.same(fmt.Sprintf("open %s %x", p, flags), herr, serr)
		if hf >= 0 && ok {
			unix.Write(hf, data)
			if n, err := sf.Write(w.ctx, usermem.Bytes(data)); err != nil || n != int64(len(data)) {
				w.fail("write: " + code(err))
			}
		}
		if hf >= 0 {
			unix.Close(hf)
		}
		if sf != nil {
			sf.DecRef(w.ctx)
		}
	case 3, 4:
		w.same("mkdir "+p, unix.Mkdir(w.host+p, 0755), w.sys.MkdirAt(w.ctx, nf(p), 0755))
	case 5, 6:
		w.same("unlink "+p, unix.Unlink(w.host+p), w.sys.UnlinkAt(w.ctx, nf(p)))
	case 7:
		w.same("rmdir "+p, unix.Rmdir(w.host+p), w.sys.RmdirAt(w.ctx, nf(p)))
	case 8, 9, 10:
		flags := []uint{0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}[r.Intn(4)]
		serr := w.sys.RenameAt(w.ctx, nf(p), nf(q), uint32(flags))
		if serr == errno.EXDEV {
			return
		}
		w.same(fmt.Sprintf("rename %s %s %d", p, q, flags), unix.Renameat2(unix.AT_FDCWD, w.host+p, unix.AT_FDCWD, w.host+q, flags), serr)
	case 11:
		w.same("link "+p+" "+q, unix.Link(w.host+p, w.host+q), w.sys.LinkAt(w.ctx, nf(p), nf(q)))
	case 12:
		w.same("symlink "+p, unix.Symlink("a/b", w.host+p), w.sys.SymlinkAt(w.ctx, "a/b", nf(p)))
	case 13:
		n := int64(r.Intn(20))
		var herr error
		var st unix.Stat_t
		if herr = unix.Lstat(w.host+p, &st); herr == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return
		}
		herr = unix.Truncate(w.host+p, n)
		w.same(fmt.Sprintf("truncate %s %d", p, n), herr, w.sys.SetStatAt(w.ctx, nf(p), vfs.SetStat{Mask: vfs.SetSize, Size: uint64(n)}))
	case 14:
		var st unix.Stat_t
		if unix.Lstat(w.host+p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return
		}
		w.same("chmod "+p, unix.Chmod(w.host+p, 0700), w.sys.SetStatAt(w.ctx, nf(p), vfs.SetStat{Mask: vfs.SetMode, Mode: 0700}))
	}
}

func fill(dir string, r *rand.Rand) {
	w := []string{"a", "b", "c", "d"}
	for range 25 {
		p := dir
		for range 1 + r.Intn(3) {
			p = filepath.Join(p, w[r.Intn(4)])
		}
		if r.Intn(2) == 0 {
			os.Mkdir(p, 0755)
		} else {
			os.WriteFile(p, []byte(fmt.Sprint(r.Intn(1000))), 0644)
		}
	}
}

// histories is how many are run of each kind.
const histories = 8

// TestHistories runs random histories on the host and on each kind of stack.
func TestHistories(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	syscall.Umask(0)
	for _, kind := range []string{"gofer", "revalidating", "overlay", "overlay2", "tmpfs"} {
		t.Run(kind, func(t *testing.T) {
			for seed := range histories {
				sys, _ := newSystem(t)
				ctx := kctx.Background(creds.NewRoot(creds.NewRootNS()))
				sys.RegisterType(goferfs.New(sys))
				host, mine := t.TempDir(), t.TempDir()
				os.Chmod(host, 0755)
				os.Chmod(mine, 0755)
				var fs vfs.Super
				if kind != "tmpfs" {
					fill(host, rand.New(rand.NewSource(int64(seed))))
					fill(mine, rand.New(rand.NewSource(int64(seed))))
				}
				over := func(lowers ...Layer) vfs.Super {
					u, err := sys.NewSuper(ctx, "u", "tmpfs", vfs.MountOpts{Data: "mode=755"})
					if err != nil {
						t.Fatal(err)
					}
					fs, err := sys.NewSuper(ctx, "overlay", "overlay", vfs.MountOpts{Internal: Layers{Upper: &Layer{Super: u}, Lowers: lowers}})
					if err != nil {
						t.Fatal(err)
					}
					return fs
				}
				switch kind {
				case "gofer":
					fs = serve(t, sys, ctx, mine, "exclusive")
				case "revalidating":
					fs = serve(t, sys, ctx, mine, "remote_revalidating")
				case "overlay":
					fs = over(Layer{Super: serve(t, sys, ctx, mine, "exclusive")})
				case "overlay2":
					mid, _ := sys.NewSuper(ctx, "m", "tmpfs", vfs.MountOpts{Data: "mode=755"})
					fs = over(Layer{Super: mid}, Layer{Super: serve(t, sys, ctx, mine, "exclusive")})
				default:
					fs, _ = sys.NewSuper(ctx, "m", "tmpfs", vfs.MountOpts{Data: "mode=755"})
				}
				w := &twin{tree: &tree{t, sys, sys.NewNamespace(ctx, fs, "x", 0), fs, ctx}, host: host}
				w.log = append(w.log, fmt.Sprint("seed ", seed))
				w.compare()
				r := rand.New(rand.NewSource(int64(seed) + 1000))
				for range 10 {
					for range 15 {
						w.step(r)
					}
					w.compare()
				}
				fs.Release()
			}
		})
	}
}
