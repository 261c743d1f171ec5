package wire

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// memoryPool is one part of the memory of a Budget. What is held of a purse is given
// back by somebody who needs nothing more, but perhaps of a later one, so that
// nobody waits in a circle.
type memoryPool int

const (
	// firstPurse pays for short frames and for the first bytes of long ones: a
	// slow peer waits in it for nobody.
	firstPool memoryPool = iota
	// restPurse pays for long frames. Who holds some waits for nobody but its
	// own peer, which has BodyTimeout for each Part.
	restPool
	// decodedPurse pays for what results take beside the bytes that they came
	// in, and for queued frames that are too short for the others. Who holds
	// some waits for nobody but the journal.
	decodedPool
	memoryPools
)

// LeastBudget is the least memory that is worth sharing out: in each purse there
// is room for the most that anybody asks of it at once.
const LeastBudget = 64 << 20

// MaxTake is the most that Take may be asked for, in bytes.
const MaxTake = 32 << 20

// smallTake is the most that Take pays for like a short frame.
const smallTake = 2 * firstPart

// What a queued batch and each of its results take at most, about, beside the
// bytes of the frame: in the queue, judged, merged with others, and as a record
// or a rejection.
const (
	batchCost = 512
	entryCost = 320
)

// Budget bounds the memory of all frames in hand, and of the results in them,
// over all connections of a server. One client gets a quarter of it at most.
type Budget struct {
	all  [memoryPools]*semaphore.Weighted
	most [memoryPools]int64 // that one client may hold
	tell func(client string, own bool)

	mu       sync.Mutex
	accounts map[string]*Account
}

// NewBudget shares out total bytes, at least LeastBudget. A client that waits
// for memory longer than a moment is told of, at once and every WaitInterval:
// own says that it holds all that one client may. tell may be nil.
func NewBudget(total int64, tell func(client string, own bool)) *Budget {
	total = max(total, LeastBudget)
	b := &Budget{tell: tell, accounts: map[string]*Account{}}
	quarter := total / 4
	sizes := [memoryPools]int64{firstPool: quarter, restPool: total - 2*quarter, decodedPool: quarter}
	least := [memoryPools]int64{firstPool: smallTake, restPool: MaxTake, decodedPool: batchCost + MaxEntries*entryCost}
	for p := range memoryPools {
		b.all[p] = semaphore.NewWeighted(sizes[p])
		b.most[p] = max(sizes[p]/4, least[p])
	}
	return b
}

// Account is what one client may have of a Budget, over all its connections. A
// nil one has everything.
type Account struct {
	budget *Budget
	client string
	own    [memoryPools]*semaphore.Weighted
	users  int // owned by budget
}

// Open returns the account of a client. Who opened it closes it, too.
func (b *Budget) Open(client string) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[client]
	if a == nil {
		a = &Account{budget: b, client: client}
		for p := range memoryPools {
			a.own[p] = semaphore.NewWeighted(b.most[p])
		}
		b.accounts[client] = a
	}
	a.users++
	return a
}

// Close says that a connection needs no more memory. It has given all back.
func (a *Account) Close() {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	if a.users--; a.users == 0 {
		delete(a.budget.accounts, a.client)
	}
}

// Take pays for more bytes of something long that is no frame, of which held
// bytes are paid for, and waits for them if need be. All of it must be given
// back within a bounded time.
func (a *Account) Take(ctx context.Context, held, more int) (release func(), err error) {
	p := restPool
	if held+more <= smallTake {
		p = firstPool
	}
	if err := a.pay(ctx, p, more, nil); err != nil {
		return nil, err
	}
	return func() { a.repay(p, more) }, nil
}

// TakeResults pays for what n results take that are about to be made, at most
// MaxEntries.
func (a *Account) TakeResults(ctx context.Context, n int) (release func(), err error) {
	size := batchCost + min(n, MaxEntries)*entryCost
	if err := a.pay(ctx, decodedPool, size, nil); err != nil {
		return nil, err
	}
	return func() { a.repay(decodedPool, size) }, nil
}

// pay takes size bytes from a purse and waits for them if need be. waiting is
// told every WaitInterval why that takes long; nil: nobody is.
func (a *Account) pay(ctx context.Context, p memoryPool, size int, waiting func(why string)) error {
	if a == nil {
		return nil
	}
	if err := a.acquire(ctx, a.own[p], size, true, waiting); err != nil {
		return err
	}
	err := a.acquire(ctx, a.budget.all[p], size, false, waiting)
	if err != nil {
		a.own[p].Release(int64(size))
	}
	return err
}

func (a *Account) repay(p memoryPool, size int) {
	if a != nil {
		a.budget.all[p].Release(int64(size))
		a.own[p].Release(int64(size))
	}
}

// tellAfter is how long a wait for memory is nothing to speak of.
const tellAfter = time.Second

func (a *Account) acquire(ctx context.Context, s *semaphore.Weighted, size int, own bool, waiting func(why string)) error {
	if s.TryAcquire(int64(size)) {
		return nil
	}
	first := true
	stop := repeat(tellAfter, WaitInterval, func() {
		if a.budget.tell != nil {
			a.budget.tell(a.client, own)
		}
		switch {
		case waiting == nil || first:
		case own:
			waiting("your connections have as much memory in hand as this server gives to one client")
		default:
			waiting("the server is short of memory")
		}
		first = false
	})
	defer stop()
	if s.Acquire(ctx, int64(size)) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// repeat calls f after first and then every so often until stop is called,
// which waits for a call that is on its way.
func repeat(first, every time.Duration, f func()) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(first, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		f()
		timer.Reset(every)
	})
	return func() {
		timer.Stop()
		mu.Lock()
		stopped = true
		mu.Unlock()
	}
}
