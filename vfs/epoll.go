package vfs

type epollRef struct{}

func (f *File) epollGone() {}
