package vfs

type lockTable struct{}
type fileLocks struct{}

func (f *File) releaseLocks()                {}
func (f *File) releaseRecordLocks(owner any) {}
