package intake

import "time"

// A flush costs the processor as much as the taking of several small
// submissions. Where they come thick and fast from many connections, more of
// them share one that waits for them a little.
const (
	gatherLook   = 2 * time.Millisecond  // between two looks at what came
	gatherCrowd  = 4                     // submissions in one look, or one flush, that make a crowd
	gatherTime   = 20 * time.Millisecond // the longest wait
	gatherEnough = 64 << 10              // bytes: worth a flush of their own
	gatherBytes  = 8 << 20               // the most in one flush, about
)

// groupCommit puts together what shares a flush.
type groupCommit struct {
	work  []*submission
	bytes int
	crowd bool // the last time
}

// from takes first and what else was submitted meanwhile, and in a crowd what
// is about to be. Its result is valid until the next call.
func (g *groupCommit) from(requests <-chan *submission, first *submission) []*submission {
	g.work, g.bytes = append(g.work[:0], first), len(first.buffer)
	came := 1 + g.take(requests)
	if g.crowd {
		came = g.wait(requests)
	}
	g.crowd = came >= gatherCrowd
	return g.work
}

// wait takes what comes, for as long as it comes thick and fast, and returns how
// many came at the end. Few clients that each wait for an ACK before they go on
// are no crowd: they would wait for nobody.
func (g *groupCommit) wait(requests <-chan *submission) (came int) {
	end := time.Now().Add(gatherTime)
	for came = gatherCrowd; came >= gatherCrowd && g.bytes < gatherEnough && time.Now().Before(end); {
		time.Sleep(gatherLook)
		came = g.take(requests)
	}
	return came
}

// take takes what waits, and returns how many that were.
func (g *groupCommit) take(requests <-chan *submission) int {
	before := len(g.work)
	for g.bytes < gatherBytes {
		select {
		case s := <-requests:
			g.work, g.bytes = append(g.work, s), g.bytes+len(s.buffer)
		default:
			return len(g.work) - before
		}
	}
	return len(g.work) - before
}
