package program

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"massive-passive/sender"
	"massive-passive/test/rig"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

// memory is what a running client has in memory of one server: the results
// that wait, and how far the server acknowledged them. It is a sender.Source.
type memory struct {
	mu    sync.Mutex
	items []sender.Item
	next  int
	acked int
	more  chan struct{}
}

var snapshot = wire.Instance{1, 2, 3}

func (m *memory) add(outputs ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range outputs {
		r := check.Result{Kind: check.Service, Host: "h", Service: o, Output: []byte(o), Finish: time.Now().UnixMicro()}
		m.items = append(m.items, sender.Item{Instance: snapshot, Sequence: uint64(len(m.items) + 1), Result: r.Append(nil)})
	}
	select {
	case m.more <- struct{}{}:
	default:
	}
}

func (m *memory) Next(ctx context.Context, dst []sender.Item, most, _ int) ([]sender.Item, error) {
	for {
		m.mu.Lock()
		n := min(most, len(m.items)-m.next)
		dst = append(dst[:0], m.items[m.next:m.next+n]...)
		m.next += n
		m.mu.Unlock()
		if n > 0 {
			return dst, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-m.more:
		}
	}
}

func (m *memory) Ack(sequence uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked = max(m.acked, int(sequence))
}

func (m *memory) Rewind() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = m.acked
}

func (m *memory) left() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items) - m.acked
}

// resume has a client with this memory deliver until stop is called. All that
// resume of one test are of the same instance, as copies of one machine are.
func resume(p *rig.Pair, m *memory) (stop func()) {
	p.T.Helper()
	end, err := certs.Load(certs.Files{Cert: p.Set.ClientCert, Key: p.Set.ClientKey, CA: p.Set.CA, MinVersion: "1.2"}, nil)
	if err != nil {
		p.T.Fatal(err)
	}
	d := sender.New(sender.Options{Address: fmt.Sprint("127.0.0.1:", p.Port), End: end, Verify: certs.VerifyName, Log: zerolog.Nop(),
		Hello: wire.Hello{Instance: snapshot, Remember: 3600}}, m)
	ctx, cancel := context.WithCancel(p.T.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	p.T.Cleanup(stop)
	return stop
}

func awaitDelivery(p *rig.Pair, memories ...*memory) {
	p.T.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, m := range memories {
			left += m.left()
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("%d results are not acknowledged", left)
		}
	}
}

// arrived reads what the core got until all that is wanted is there, and
// returns how often each came.
func arrived(c *rig.Core, want []string) map[string]int {
	c.T.Helper()
	times := map[string]int{}
	c.Pipe.SetReadDeadline(time.Now().Add(20 * time.Second))
	for missing := len(want); missing > 0; {
		line, err := c.Next()
		if err != nil {
			c.T.Fatalf("%v: %d of %d results did not arrive; these did: %v", err, missing, len(want), slices.Sorted(maps.Keys(times)))
		}
		output := strings.TrimSpace(line[strings.LastIndex(line, ";")+1:])
		if times[output]++; times[output] == 1 && slices.Contains(want, output) {
			missing--
		}
	}
	return times
}

func numbered(who string, from, to int) (list []string) {
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprintf("%s %d", who, n))
	}
	return list
}

// A machine goes back to a snapshot of its memory: what it measures then has
// the sequences of what it sent before it went back.
func TestARestoredMachineLosesNothing(t *testing.T) {
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	before := &memory{more: make(chan struct{}, 1)}
	stop := resume(p, before)
	before.add(numbered("before", 1, 5)...)
	awaitDelivery(p, before)
	stop()
	restored := &memory{more: make(chan struct{}, 1)}
	restored.add(numbered("after", 1, 3)...)
	resume(p, restored)
	awaitDelivery(p, restored)
	restored.add(numbered("after", 4, 9)...)
	awaitDelivery(p, restored)
	for output, n := range arrived(c, append(numbered("before", 1, 5), numbered("after", 1, 9)...)) {
		if n != 1 {
			t.Errorf("%q arrived %d times", output, n)
		}
	}
}

// A machine is cloned while it runs: both are the same run of a client.
func TestLiveClonesLoseNothing(t *testing.T) {
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	clones := []*memory{{more: make(chan struct{}, 1)}, {more: make(chan struct{}, 1)}, {more: make(chan struct{}, 1)}}
	for _, m := range clones {
		resume(p, m)
	}
	const most = 300
	for n := 1; n <= most; n++ {
		for i, m := range clones {
			m.add(numbered(string(rune('a'+i)), n, n)...)
		}
		time.Sleep(5 * time.Millisecond) // results are born one after the other
	}
	awaitDelivery(p, clones...)
	want := slices.Concat(numbered("a", 1, most), numbered("b", 1, most), numbered("c", 1, most))
	twice := 0
	for _, n := range arrived(c, want) {
		twice += n - 1
	}
	t.Logf("%d of %d arrived again", twice, len(want))
	if twice > len(want)/4 {
		t.Errorf("%d of %d arrived again", twice, len(want))
	}
}
