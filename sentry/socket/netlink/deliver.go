package netlink

import "redoubt.dev/redoubt/sentry/wait"

// Deliver queues a message of the kernel's: mq_notify(3) with SIGEV_THREAD
// waits for its cookie this way.
func (s *Socket) Deliver(b []byte) {
	s.mu.Lock()
	if s.queued < maxQueued {
		s.msgs = append(s.msgs, b)
		s.queued += len(b)
	}
	s.mu.Unlock()
	s.q.Notify(wait.In | wait.RdNorm)
}
