package cgroupfs

import "testing"

func TestValues(t *testing.T) {
	for s, want := range map[string]string{"max": "max", "4096": "4096", "5000": "4096", "1K": "0", "100M": "104857600", "2g": "2147483648", "x": "!", "": "!", "-1": "!", "99999999999999999999": "!", "9000000T": "!"} {
		got, err := size(s)
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("size(%q) = %q, want %q", s, got, want)
		}
	}
	for s, ok := range map[string]bool{"1": true, "10000": true, "0": false, "10001": false, "x": false} {
		if _, err := between(1, 10000)(s); (err == nil) != ok {
			t.Errorf("weight %q: %v", s, err)
		}
	}
}
