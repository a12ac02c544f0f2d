// Package deps holds the repository's own rules, as tests: which package may import which,
// that every package says what it is, that the READMEs name only what exists, and that
// unsafe stays where a reader expects it. There is nothing here to import.
package deps
