package loader

import (
	"bytes"
	"strings"

	"redoubt.dev/redoubt/sentry/errno"
)

const errNotScript = errno.Errno(4095) // internal: not for user code

type script struct {
	interp, arg string
	hasArg      bool
}

// parseScript reads a "#!" line from the first n bytes of a file (linux:
// fs/binfmt_script.c load_script).
func parseScript(head []byte, n int) (script, error) {
	if n < 2 || head[0] != '#' || head[1] != '!' {
		return script{}, errNotScript
	}
	line := head[2:n]
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		if n == len(head) {
			// The line is cut. That is fine in the argument, not in the
			// interpreter's name.
			t := bytes.TrimLeft(line, " \t")
			if bytes.IndexAny(t, " \t\x00") < 0 {
				return script{}, errno.ENOEXEC
			}
		}
		end = min(len(line), len(head)-3) // Linux never looks at the last byte
	}
	line = bytes.Trim(line[:end], " \t")
	if i := bytes.IndexByte(line, 0); i >= 0 {
		line = line[:i]
	}
	if len(line) == 0 {
		return script{}, errno.ENOEXEC
	}
	i := bytes.IndexAny(line, " \t")
	if i < 0 {
		return script{interp: string(line)}, nil
	}
	s := script{interp: string(line[:i]), arg: strings.TrimLeft(string(line[i:]), " \t")}
	s.hasArg = s.arg != ""
	return s, nil
}

// argv replaces the first argument by the interpreter, its argument, and the
// script's path.
func (s script) argv(path string, old []string) []string {
	out := make([]string, 0, len(old)+2)
	out = append(out, s.interp)
	if s.hasArg {
		out = append(out, s.arg)
	}
	out = append(out, path)
	if len(old) > 1 {
		out = append(out, old[1:]...)
	}
	return out
}
