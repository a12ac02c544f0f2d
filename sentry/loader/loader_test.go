package loader

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"redoubt.dev/redoubt/sentry/errno"
)

func parse(image []byte) (*elfFile, error) {
	return parseELF(func(p []byte, off uint64) error {
		if off > uint64(len(image)) || copy(p, image[off:]) < len(p) {
			return errno.EIO
		}
		return nil
	})
}

func FuzzELF(f *testing.F) {
	for _, name := range []string{"/bin/true", "/lib64/ld-linux-x86-64.so.2", "/proc/self/exe"} {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b[:min(len(b), 4096)])
		}
	}
	f.Add(vdsoImage)
	f.Fuzz(func(t *testing.T, image []byte) {
		b, err := parse(image)
		if err != nil {
			return
		}
		if len(b.segs) == 0 || b.hi < b.lo || b.hi > 1<<47 {
			t.Fatalf("bad bounds %#x-%#x", b.lo, b.hi)
		}
		for _, s := range b.segs {
			if s.filesz > s.memsz || s.end() < s.vaddr {
				t.Fatalf("bad segment %+v", s)
			}
		}
		b.info(0x1000)
	})
}

func TestScripts(t *testing.T) {
	for _, c := range []struct {
		in          string
		interp, arg string
		err         error
	}{
		{"#!/bin/sh\n", "/bin/sh", "", nil},
		{"#! /bin/sh -e  \nfoo", "/bin/sh", "-e", nil},
		{"#!/usr/bin/env python3 -x y\n", "/usr/bin/env", "python3 -x y", nil},
		{"#!/bin/sh", "/bin/sh", "", nil},
		{"#!\n", "", "", errno.ENOEXEC},
		{"#!   \t\n", "", "", errno.ENOEXEC},
		{"#", "", "", errNotScript},
		{"\x7fELF", "", "", errNotScript},
		{"#!/" + string(bytes.Repeat([]byte("x"), 300)), "", "", errno.ENOEXEC},
	} {
		var head [headSize]byte
		n := copy(head[:], c.in)
		s, err := parseScript(head[:], n)
		if err != c.err || err == nil && (s.interp != c.interp || s.arg != c.arg) {
			t.Errorf("%q: %+v, %v", c.in, s, err)
		}
	}
}

func TestHostELF(t *testing.T) {
	b, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	e, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if e.interp == "" || e.phdrAddr == 0 || !e.pie {
		t.Errorf("%+v", e)
	}
	for n := 0; n < len(b); n += 7 {
		if n > 5000 {
			break
		}
		parse(b[:n])
	}
}

// TestImageMatchesSource builds the vDSO again where the compiler is the one
// that built it.
func TestImageMatchesSource(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "vdso.so")
	if b, err := exec.Command("vdso/build.sh", out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, vdsoImage) {
		t.Error("vdso.so does not match vdso.c (another compiler, or run go generate)")
	}
}

func TestHostVDSO(t *testing.T) {
	p, err := hostParams(0x1000)
	if err != nil {
		t.Skip(err)
	}
	if p.Gettime <= 0x1000 {
		t.Errorf("no clock_gettime: %+v", p)
	}
}
