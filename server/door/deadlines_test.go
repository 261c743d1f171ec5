package door

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// timedPair is one end of a connection whose deadlines are looked at, and the
// other end.
func timedPair(t *testing.T) (v *pendingConn, other net.Conn) {
	t.Helper()
	mine, other := net.Pipe()
	d := &admission{most: 1}
	v, ok := d.enter(mine)
	if !ok {
		t.Fatal("no place")
	}
	t.Cleanup(func() { v.Close(); other.Close() })
	go d.keepTime(t.Context())
	return v, other
}

// readFor returns how long a read took and how it ended.
func readFor(conn net.Conn) (time.Duration, error) {
	begin := time.Now()
	_, err := conn.Read(make([]byte, 1))
	return time.Since(begin), err
}

func TestDeadlineEndsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := timedPair(t)
		v.SetReadDeadline(time.Now().Add(5 * time.Second))
		took, err := readFor(v)
		if !errors.Is(err, os.ErrDeadlineExceeded) || took < 5*time.Second || took > 5*time.Second+deadlineTick {
			t.Errorf("a read with 5 s ended after %v with %v", took, err)
		}
	})
}

func TestDeadlineEndsAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := timedPair(t)
		v.SetDeadline(time.Now().Add(3 * time.Second))
		begin := time.Now()
		_, err := v.Write([]byte("x"))
		if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took < 3*time.Second || took > 3*time.Second+deadlineTick {
			t.Errorf("a write with 3 s ended after %v with %v", took, err)
		}
	})
}

func TestDeadlineSetAnewWhileReadingCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, other := timedPair(t)
		v.SetReadDeadline(time.Now().Add(2 * time.Second))
		time.AfterFunc(time.Second, func() { v.SetReadDeadline(time.Now().Add(10 * time.Second)) })
		time.AfterFunc(8*time.Second, func() { other.Write([]byte("x")) })
		if took, err := readFor(v); err != nil || took != 8*time.Second {
			t.Errorf("the read ended after %v with %v", took, err)
		}
	})
}

func TestConnectionIsReadAfterItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, other := timedPair(t)
		v.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := readFor(v); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if _, err := readFor(v); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read after the deadline: %v", err)
		}
		for _, next := range []time.Time{time.Now().Add(time.Minute), {}} {
			v.SetReadDeadline(next)
			time.AfterFunc(2*time.Second, func() { other.Write([]byte("x")) })
			if _, err := readFor(v); err != nil {
				t.Errorf("a read with the next deadline, %v: %v", next, err)
			}
		}
	})
}

// Who ends a connection sets a deadline that is over: nobody waits for a look.
func TestDeadlineThatIsOverCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := timedPair(t)
		time.AfterFunc(300*time.Millisecond, func() { v.SetReadDeadline(time.Unix(1, 0)) })
		if took, err := readFor(v); !errors.Is(err, os.ErrDeadlineExceeded) || took != 300*time.Millisecond {
			t.Errorf("the read ended after %v with %v", took, err)
		}
	})
}
