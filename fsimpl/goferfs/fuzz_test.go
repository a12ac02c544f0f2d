package goferfs

import (
	"testing"

	"redoubt.dev/redoubt/gofer/wire"
)

func FuzzParseList(f *testing.F) {
	var e wire.Enc
	e.U8(wire.ListDir)
	e.Str("")
	e.U8(wire.ListEntry)
	e.Str("name")
	e.Attr(&wire.Attr{Mode: 0100644})
	e.U8(wire.ListEnd)
	f.Add(e.B)
	f.Fuzz(func(t *testing.T, b []byte) {
		var dirs []*listedDir
		if parseList(b, &dirs) {
			for _, d := range dirs {
				if len(d.names) != len(d.attrs) || !wire.GoodPath(d.path) {
					t.Fatalf("%+v", d)
				}
			}
		}
	})
}
