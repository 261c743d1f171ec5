package intake

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gathered returns how many submissions share a flush and how long that took.
func gathered(g *groupCommit, requests chan *submission) (int, time.Duration) {
	begin := time.Now()
	work := g.collect(requests, <-requests)
	return len(work), time.Since(begin)
}

func submit(requests chan *submission, n, size int) {
	for range n {
		requests <- &submission{buffer: make([]byte, size)}
	}
}

func TestLoneSubmissionIsFlushedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g groupCommit
		requests := make(chan *submission, 100)
		for range 3 {
			submit(requests, 2, 100)
			if n, took := gathered(&g, requests); n != 2 || took != 0 {
				t.Errorf("%d submissions shared a flush after %v, want 2 at once", n, took)
			}
		}
	})
}

func TestCrowdSharesAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g groupCommit
		requests := make(chan *submission, 1000)
		submit(requests, busyCount, 100)
		if n, took := gathered(&g, requests); n != busyCount || took != 0 {
			t.Errorf("%d submissions shared the first flush after %v, want %d at once", n, took, busyCount)
		}
		stop := time.Now().Add(collectTime + collectInterval)
		var coming sync.WaitGroup
		defer coming.Wait()
		coming.Go(func() {
			for time.Now().Before(stop) {
				submit(requests, 1, 100)
				time.Sleep(collectInterval / (2 * busyCount))
			}
		})
		if n, took := gathered(&g, requests); took != collectTime || n < 70 {
			t.Errorf("%d submissions shared a flush after %v, want some 80 after %v", n, took, collectTime)
		}
	})
}

// Clients that wait for their ACK before they go on send nothing meanwhile.
func TestCrowdThatIsOverIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g groupCommit
		requests := make(chan *submission, 100)
		submit(requests, busyCount, 100)
		gathered(&g, requests)
		submit(requests, busyCount, 100)
		if n, took := gathered(&g, requests); n != busyCount || took != collectInterval {
			t.Errorf("%d submissions shared a flush after %v, want %d after one look of %v", n, took, busyCount, collectInterval)
		}
		submit(requests, busyCount-1, 100)
		if n, took := gathered(&g, requests); n != busyCount-1 || took != 0 {
			t.Errorf("%d submissions shared a flush after %v, want %d at once", n, took, busyCount-1)
		}
	})
}

func TestLargeSubmissionsAreNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g groupCommit
		requests := make(chan *submission, 1000)
		for range 3 {
			submit(requests, 10, collectEnough/10+1)
			if n, took := gathered(&g, requests); n != 10 || took != 0 {
				t.Errorf("%d submissions shared a flush after %v, want 10 at once", n, took)
			}
		}
		submit(requests, 100, collectBytes/10)
		if n, _ := gathered(&g, requests); n > 11 {
			t.Errorf("%d submissions of %d bytes shared a flush, over the limit of %d bytes", n, collectBytes/10, collectBytes)
		}
	})
}
