package outbox

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A disk that hangs without an error is told while it does so, in the log and to
// status, which its owner cannot.
func TestADiskThatHangsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &words{}
		b, _ := smallOutbox(t, zerolog.New(log))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { must(t, b.Run(ctx)) })
		time.Sleep(time.Hour) // idle
		if log.times("does not answer") != 0 || b.hangs.lasts() != 0 {
			t.Errorf("an outbox without work: %v, %s", b.hangs.lasts(), &log.text)
		}
		disk := make(chan struct{})
		running.Go(func() { b.call(func() { <-disk }) })
		time.Sleep(hangsFrom / 2)
		if log.times("does not answer") != 0 {
			t.Error("a disk that takes its time is said to hang")
		}
		time.Sleep(5 * time.Minute)
		if n := log.times("does not answer"); n != 5 || b.hangs.lasts() < 5*time.Minute {
			t.Errorf("in five minutes it was said %d times, and lasts %v", n, b.hangs.lasts())
		}
		close(disk)
		time.Sleep(10 * time.Second)
		if log.times("answers again") != 1 || b.hangs.lasts() != 0 {
			t.Errorf("after it: %s", &log.text)
		}
		cancel()
		running.Wait()
	})
}
