package wire

import "context"

// push queues a batch, starts the committer if none runs, and waits while the
// client has more in flight than it may.
func (s *Serving) push(ctx context.Context, p pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, p)
	s.inFlight += len(p.frame.body)
	if s.idle {
		s.idle = false
		s.committer.Go(func() { s.commit(ctx) })
	}
	for s.inFlight > Window && !s.idle {
		s.room.Wait()
	}
}

// commit submits what is queued, batch by batch, and acknowledges; it ends
// when nothing is left.
func (s *Serving) commit(ctx context.Context) {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.idle = true
			s.room.Signal()
			s.mu.Unlock()
			return
		}
		work := s.queue
		s.queue = nil
		s.mu.Unlock()
		for len(work) > 0 && ctx.Err() == nil {
			work = s.submit(ctx, work)
		}
		s.done(work)
	}
}

// What one ACK may be about and say, so that it keeps within MaxFrame even where
// it rejects all.
const (
	ackEntries = 100000
	ackText    = 1 << 20 // bytes
)

// submit hands over the first batches of work that are of one instance, so
// that what came while the last flush went on shares the next one. It returns
// the rest.
func (s *Serving) submit(ctx context.Context, work []pending) (rest []pending) {
	batch, n := work[0].batch, 1
	for ; n < len(work) && work[n].batch.Instance == batch.Instance && len(batch.Entries) <= ackEntries-MaxEntries; n++ {
		batch.Entries = append(batch.Entries, work[n].batch.Entries...)
	}
	stop := s.keepWaiting()
	rejections, err := s.handler.Submit(ctx, batch)
	stop()
	if err == nil {
		ack := Ack{Sequence: batch.Entries[len(batch.Entries)-1].Sequence, Rejections: rejections}
		ack.shorten(ackText)
		err = s.out.write(TypeAck, &ack)
	}
	if err != nil {
		s.config.End(err)
	}
	s.done(work[:n])
	return work[n:]
}

// shorten leaves the texts of the first rejections, as far as most bytes go: the
// reasons of all stay.
func (m *Ack) shorten(most int) {
	for i := range m.Rejections {
		if most -= len(clip(m.Rejections[i].Text)); most < 0 {
			m.Rejections[i].Text = ""
		}
	}
}

// done gives back what the batches took.
func (s *Serving) done(work []pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range work {
		p.frame.release()
		s.config.Account.repay(decodedPool, p.cost)
		s.inFlight -= len(p.frame.body)
	}
	s.room.Signal()
}

// keepWaiting sends a WAIT after FirstWait and every WaitInterval until stop is
// called.
func (s *Serving) keepWaiting() (stop func()) {
	return repeat(FirstWait, WaitInterval, func() { s.wait(s.handler.Waiting()) })
}

func (s *Serving) wait(why string) { s.out.write(TypeWait, &Wait{Text: why}) }
