package overlayfs

import (
	"strings"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// Paths is a Ctx that has a root and a working directory; *kernel.Task is one.
type Paths interface {
	PathOp(path string) (vfs.Op, func())
}

// named finds the layers that mount options name. The functions returned give
// the references on them back.
func (t *Type) named(ctx kctx.Ctx, data string) (l Layers, free []func(), err error) {
	p, ok := ctx.(Paths)
	if !ok {
		return l, nil, errno.EINVAL
	}
	fail := func(err error) (Layers, []func(), error) {
		for _, f := range free {
			f()
		}
		return Layers{}, nil, err
	}
	walk := func(path string) (*Layer, error) {
		op, done := p.PathOp(path)
		defer done()
		op.Flags |= vfs.OpDirectory
		at, err := t.sys.Walk(ctx, op)
		if err != nil {
			return nil, err
		}
		free = append(free, at.DecRef)
		return &Layer{Super: at.Mount.Super(), Root: at.Inode()}, nil
	}
	var lower, upper, work string
	var lowers []string
	for _, o := range splitEscaped(data, ',') {
		key, val, _ := strings.Cut(o, "=")
		switch key {
		case "":
		case "lowerdir":
			lower = val
		case "lowerdir+":
			lowers = append(lowers, val)
		case "upperdir":
			upper = val
		case "workdir":
			work = val
		case "userxattr", "volatile", "xino", "uuid", "nfs_export", "verity":
		case "index", "metacopy", "redirect_dir":
			if val == "on" {
				return fail(errno.EINVAL)
			}
		default:
			return fail(errno.EINVAL)
		}
	}
	for _, d := range splitEscaped(lower, ':') {
		if d != "" {
			lowers = append(lowers, d)
		}
	}
	if len(lowers) == 0 || upper != "" && work == "" {
		return fail(errno.EINVAL)
	}
	l.Options = strings.TrimSuffix("lowerdir="+strings.Join(lowers, ":"), ":")
	if upper != "" {
		if l.Upper, err = walk(unescape(upper)); err != nil {
			return fail(err)
		}
		if _, ok := l.Upper.Super.(*Super); ok {
			return fail(errno.EINVAL) // its whiteouts would be taken for the lower overlay's
		}
		w, err := walk(unescape(work))
		if err != nil {
			return fail(err)
		}
		if w.Super != l.Upper.Super {
			return fail(errno.EINVAL)
		}
		l.Options += ",upperdir=" + upper + ",workdir=" + work
	}
	for _, d := range lowers {
		y, err := walk(unescape(d))
		if err != nil {
			return fail(err)
		}
		l.Lowers = append(l.Lowers, *y)
	}
	return l, free, nil
}

// splitEscaped splits at sep unless a backslash precedes it.
func splitEscaped(s string, sep byte) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case s[i] == sep:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
