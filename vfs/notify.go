package vfs

import "sync/atomic"

// notifyState says whether anybody watches anything.
type notifyState struct{ active atomic.Int64 }

type mark struct{}

func inodeGone(d *Dentry)                                             {}
func (f *File) notifyClose()                                          {}
func (f *File) notifyAccess()                                         {}
func (f *File) notifyModify()                                         {}
func (f *File) notifyOpen()                                           {}
func (s *System) notifyCreate(dir, d *Dentry)                         {}
func (s *System) notifyLink(dir *Dentry, name string, target *Dentry) {}
func (s *System) notifyDelete(dir, d *Dentry, name string)            {}
func (s *System) notifyAttrib(d *Dentry, mask SetMask)                {}
func (s *System) notifyRename(r *rename)                              {}
