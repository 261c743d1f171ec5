package intake

import "time"

// A flush costs as much processor time as taking several small submissions. Where
// many connections submit at a time, Run waits a little before it flushes, so that
// more submissions share the flush.
const (
	collectInterval = 2 * time.Millisecond  // between two looks at what came
	busyCount       = 4                     // submissions in one look, or in one flush, from which on more are waited for
	collectTime     = 20 * time.Millisecond // the longest wait
	collectEnough   = 64 << 10              // bytes: worth a flush of their own
	collectBytes    = 8 << 20               // the most in one flush, about
)

// groupCommit puts together what shares a flush.
type groupCommit struct {
	work  []*submission
	bytes int
	busy  bool // the last flush was for at least busyCount submissions
}

// collect takes first and what else was submitted meanwhile. After a flush for many
// it also waits for what is about to be submitted. Its result is valid until the
// next call.
func (g *groupCommit) collect(requests <-chan *submission, first *submission) []*submission {
	g.work, g.bytes = append(g.work[:0], first), len(first.buffer)
	came := 1 + g.take(requests)
	if g.busy {
		came = g.wait(requests)
	}
	g.busy = came >= busyCount
	return g.work
}

// wait takes submissions for as long as at least busyCount come between two looks,
// and returns how many came in the last one. A few clients that each wait for an
// ACK before they send more are not waited for: none of them is about to submit.
func (g *groupCommit) wait(requests <-chan *submission) (came int) {
	end := time.Now().Add(collectTime)
	for came = busyCount; came >= busyCount && g.bytes < collectEnough && time.Now().Before(end); {
		time.Sleep(collectInterval)
		came = g.take(requests)
	}
	return came
}

// take takes what waits, and returns how many that were.
func (g *groupCommit) take(requests <-chan *submission) int {
	before := len(g.work)
	for g.bytes < collectBytes {
		select {
		case s := <-requests:
			g.work, g.bytes = append(g.work, s), g.bytes+len(s.buffer)
		default:
			return len(g.work) - before
		}
	}
	return len(g.work) - before
}
