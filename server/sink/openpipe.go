package sink

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openPipe is what the sink knows while it has the pipe open. With the next
// opening it begins anew.
type openPipe struct {
	pipe   *os.File
	opened fs.FileInfo // the pipe, as it was then
	looked time.Time   // when the path was last compared with what is open
	watch  coreWatch
	full   time.Time // since when the pipe has no room; zero: it has

	group []byte // whole lines not yet written
	last  uint64 // the last sequence formatted
	wrote int64  // bytes written
	read  int64  // of them, seen to be read
	marks []mark // writes that are still inside their window, oldest first
	taken int    // of marks, from the first: seen to be read
	over  uint64 // all up to here is out of its window, but for files
	acked uint64 // to the journal

	spool spoolDir
	files passedFiles // hold up what is acknowledged
	fence fence
}

// mark is a place in the stream of bytes: up to there everything belongs to
// sequences up to seq.
type mark struct {
	seq   uint64
	end   int64
	taken time.Time // when the core was seen to have read up to end
}

func (s *openPipe) end() {
	s.pipe.Close()
	s.watch.end()
	s.spool.close()
	*s = openPipe{}
}

// control works on the pipe's descriptor and leaves it non-blocking, which
// os.File.Fd would not.
func (s *openPipe) control(do func(fd int)) error {
	raw, err := s.pipe.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}

// settlePipe returns how many of the marks, from the first, were read at least
// a window ago.
func (s *openPipe) settlePipe(now time.Time, window time.Duration) (done int) {
	if len(s.marks) == 0 {
		return 0
	}
	unread := 0
	err := s.control(func(fd int) {
		var ioctlErr error
		if unread, ioctlErr = unix.IoctlGetInt(fd, unix.TIOCINQ); ioctlErr != nil {
			unread = int(s.wrote) // not known: nothing is taken yet
		}
	})
	if err != nil {
		return 0
	}
	s.read = s.wrote - int64(unread)
	for ; s.taken < len(s.marks) && s.marks[s.taken].end <= s.read; s.taken++ {
		s.marks[s.taken].taken = now
	}
	for done < s.taken && now.Sub(s.marks[done].taken) >= window {
		done++
	}
	return done
}
