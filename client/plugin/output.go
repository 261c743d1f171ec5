package plugin

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// readSize is how much is read from a pipe at once: what a pipe holds.
const readSize = 64 << 10

// readBuffers lends the memory that a read goes into. It is taken when a pipe
// has something and given back at once, so that a thousand plugins that are
// waited for hold none of it.
type readBuffers struct{ pool sync.Pool }

func newReadBuffers() *readBuffers {
	return &readBuffers{pool: sync.Pool{New: func() any { return new([readSize]byte) }}}
}

// capture reads one pipe to its end, keeps the first bytes and drops the rest,
// so that the plugin can always go on writing. One goroutine at a time uses it.
type capture struct {
	fd      int      // our end of the pipe, not blocking
	pipe    *os.File // the same in the runtime's poller, nil as long as nobody waited
	buffers *readBuffers
	limit   int

	kept  []byte
	total int64
	ended bool // the end of the pipe was seen
}

// poll makes it possible to wait for the pipe.
func (c *capture) poll() {
	if c.pipe == nil {
		c.pipe = os.NewFile(uintptr(c.fd), "pipe")
	}
}

// read returns at the end of the pipe, or when its deadline has passed and
// nothing is in it any more. Whoever goes on writing after that deadline is not
// waited for.
func (c *capture) read() {
	raw, err := c.pipe.SyscallConn()
	for err == nil && !c.ended {
		err = raw.Read(func(uintptr) bool { return c.readOnce() != 0 })
	}
	// A deadline is judged before the read. What the plugin wrote in time may
	// still lie there if this goroutine had to wait for its turn.
	c.drain(readSize)
}

// drain reads what is there now, that many bytes or little more.
func (c *capture) drain(most int) {
	for left := most; left > 0 && !c.ended; {
		n := c.readOnce()
		if n == 0 {
			return
		}
		left -= n
	}
}

// readOnce reads what is there and returns how much, 0 where there is nothing
// yet. At the end of the pipe it sets ended and returns -1.
func (c *capture) readOnce() int {
	buf := c.buffers.pool.Get().(*[readSize]byte)
	defer c.buffers.pool.Put(buf)
	for {
		n, err := syscall.Read(c.fd, buf[:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0
		case err != nil || n == 0:
			c.ended = true
			return -1
		}
		c.total += int64(n)
		c.kept = append(c.kept, buf[:min(n, c.limit-len(c.kept))]...)
		return n
	}
}

// expire ends read at that time, if the pipe's end does not come before. Any
// goroutine may call it.
func (c *capture) expire(at time.Time) {
	if c.pipe != nil {
		// The only error is that of a pipe that cannot be polled; all can.
		_ = c.pipe.SetReadDeadline(at)
	}
}

func (c *capture) close() {
	if c.pipe != nil {
		_ = c.pipe.Close()
		return
	}
	_ = syscall.Close(c.fd)
}

func (c *capture) truncated() bool { return c.total > int64(len(c.kept)) }

// compose puts an explanation, if there is one, on a line before what the
// plugin printed, and keeps the whole within the limit. cut is true where the
// output is already shortened or is now, and then a note at the end says so.
func compose(explanation string, output []byte, limit int, cut bool) ([]byte, bool) {
	if !cut {
		output = bytes.TrimRight(output, "\n")
	}
	if explanation != "" {
		head := make([]byte, 0, len(explanation)+1+len(output))
		head = append(head, explanation...)
		if len(output) > 0 {
			head = append(append(head, '\n'), output...)
		}
		output = head
	}
	if !cut && len(output) <= limit {
		return output, false
	}
	note := fmt.Sprintf("... [output cut at %d bytes]", limit)
	if len(note) > limit {
		note = note[:limit]
	}
	kept := wholeRunes(output[:min(len(output), limit-len(note))])
	return append(kept[:len(kept):len(kept)], note...), true
}

// wholeRunes drops a character that a cut went through. Bytes that are no UTF-8
// stay as they are.
func wholeRunes(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-i]
			}
			return b
		}
	}
	return b
}
