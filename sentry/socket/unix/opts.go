package unix

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

func putInt(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func putBool(b bool) []byte {
	if b {
		return putInt(1)
	}
	return putInt(0)
}

func putTimeval(d int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(d/1e9))
	return binary.LittleEndian.AppendUint64(b, uint64(d%1e9/1e3))
}

// flag returns the setting behind a boolean option, or nil.
func (o *options) flag(name int) *bool {
	switch name {
	case unix.SO_REUSEADDR:
		return &o.reuse
	case unix.SO_BROADCAST:
		return &o.broadcast
	case unix.SO_KEEPALIVE:
		return &o.keep
	case unix.SO_DONTROUTE:
		return &o.dontroute
	case unix.SO_OOBINLINE:
		return &o.oobinline
	case unix.SO_TIMESTAMP:
		return &o.timestamp
	case unix.SO_TIMESTAMPNS:
		return &o.timestampNS
	case unix.SO_PASSSEC:
		return &o.passsec
	}
	return nil
}

// GetOpt implements socket.Ops.
func (s *Socket) GetOpt(ctx kctx.Ctx, level, name, max int) ([]byte, error) {
	v, err := s.getOpt(ctx, level, name)
	return v[:min(len(v), max)], err
}

func (s *Socket) getOpt(ctx kctx.Ctx, level, name int) ([]byte, error) {
	if level != unix.SOL_SOCKET {
		return nil, errno.EOPNOTSUPP
	}
	o := &s.opts
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.flag(name); f != nil {
		return putBool(*f), nil
	}
	switch name {
	case unix.SO_DOMAIN:
		return putInt(unix.AF_UNIX), nil
	case unix.SO_TYPE:
		return putInt(s.typ), nil
	case unix.SO_PROTOCOL:
		return putInt(0), nil
	case unix.SO_ACCEPTCONN:
		s.mu.Lock()
		defer s.mu.Unlock()
		return putBool(s.listening), nil
	case unix.SO_ERROR:
		return putInt(int(s.takeError())), nil
	case unix.SO_SNDBUF:
		return putInt(int(s.sndbuf.Load())), nil
	case unix.SO_RCVBUF:
		return putInt(int(s.rcvbuf.Load())), nil
	case unix.SO_PASSCRED:
		return putBool(s.passcred.Load()), nil
	case unix.SO_PEERCRED:
		c := s.PeerCred()
		if c == nil {
			b := putInt(0)
			b = append(b, putInt(-1)...)
			return append(b, putInt(-1)...), nil
		}
		var ns *creds.UserNamespace = ctx.Creds().UserNS
		b := putInt(int(c.PID))
		b = append(b, putInt(int(ns.UID(c.UID)))...)
		return append(b, putInt(int(ns.GID(c.GID)))...), nil
	case unix.SO_LINGER:
		return append(putInt(int(o.lingerOn)), putInt(int(o.lingerSecs))...), nil
	case unix.SO_RCVTIMEO:
		return putTimeval(s.recvTimeo.Load()), nil
	case unix.SO_SNDTIMEO:
		return putTimeval(s.sendTimeo.Load()), nil
	case unix.SO_RCVLOWAT:
		return putInt(int(o.rcvlowat)), nil
	case unix.SO_SNDLOWAT:
		return putInt(1), nil
	case unix.SO_PRIORITY:
		return putInt(int(o.priority)), nil
	case unix.SO_MARK:
		return putInt(int(o.mark)), nil
	case unix.SO_PEEK_OFF:
		return putInt(int(o.peekOff)), nil
	case unix.SO_REUSEPORT, unix.SO_BUSY_POLL, unix.SO_NO_CHECK:
		return putInt(0), nil
	case unix.SO_COOKIE:
		return binary.LittleEndian.AppendUint64(nil, s.ino.Load()), nil
	}
	return nil, errno.ENOPROTOOPT
}

// takeError is SO_ERROR: the pending error, once.
func (s *Socket) takeError() errno.Errno {
	if c := s.conn.Load(); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.reset[s.at] {
			c.reset[s.at] = false
			return errno.ECONNRESET
		}
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.err
	s.err = 0
	return e
}

func getInt(val []byte) (int, error) {
	if len(val) < 4 {
		return 0, errno.EINVAL
	}
	return int(int32(binary.LittleEndian.Uint32(val))), nil
}

func getTimeval(val []byte) (int64, error) {
	if len(val) < 16 {
		return 0, errno.EINVAL
	}
	sec, usec := int64(binary.LittleEndian.Uint64(val)), int64(binary.LittleEndian.Uint64(val[8:]))
	if usec < 0 || usec >= 1e6 {
		return 0, errno.EDOM
	}
	if sec < 0 || sec > int64(1<<62)/int64(time.Second) {
		return 0, nil // no timeout
	}
	return sec*1e9 + usec*1e3, nil
}

// SetOpt implements socket.Ops.
func (s *Socket) SetOpt(ctx kctx.Ctx, level, name int, val []byte) error {
	if level != unix.SOL_SOCKET {
		return errno.EOPNOTSUPP
	}
	switch name {
	case unix.SO_RCVTIMEO, unix.SO_SNDTIMEO:
		d, err := getTimeval(val)
		if err != nil {
			return err
		}
		if name == unix.SO_RCVTIMEO {
			s.recvTimeo.Store(d)
		} else {
			s.sendTimeo.Store(d)
		}
		return nil
	}
	v, err := getInt(val)
	if err != nil {
		return err
	}
	o := &s.opts
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.flag(name); f != nil {
		*f = v != 0
		return nil
	}
	switch name {
	case unix.SO_PASSCRED:
		s.passcred.Store(v != 0)
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
		s.sndbuf.Store(int32(min(max(v*2, minBuf), maxBuf)))
	case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
		s.rcvbuf.Store(int32(min(max(v*2, 2304), maxBuf)))
	case unix.SO_LINGER:
		if len(val) < 8 {
			return errno.EINVAL
		}
		o.lingerOn, o.lingerSecs = 0, int32(binary.LittleEndian.Uint32(val[4:]))
		if v != 0 {
			o.lingerOn = 1
		}
	case unix.SO_RCVLOWAT:
		o.rcvlowat = int32(max(v, 1))
	case unix.SO_PRIORITY:
		o.priority = int32(v)
	case unix.SO_MARK:
		o.mark = int32(v)
	case unix.SO_PEEK_OFF:
		if v != -1 {
			return errno.EOPNOTSUPP
		}
	case unix.SO_BUSY_POLL, unix.SO_NO_CHECK:
	case unix.SO_REUSEPORT:
		if v != 0 {
			return errno.EOPNOTSUPP
		}
	default:
		return errno.ENOPROTOOPT
	}
	return nil
}
