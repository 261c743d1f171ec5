// Package sink hands results from the server's journal to a monitoring core.
// Each sink reads the journal at its own pace. What differs between cores is
// in a dialect, the only place that formats and escapes; what a client may
// send was decided before.
package sink

import (
	"fmt"
	"time"

	"massive-passive/server/intake/record"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// DefaultWindow is how long a result stays in the journal after the core was
// seen to have taken it: what a dying core may drop is written again.
const DefaultWindow = 10 * time.Second

// item is a result on its way to a core.
type item struct {
	seq      uint64
	client   string
	received int64  // microseconds since the Unix epoch, by this server's clock
	early    bool   // its time lay in the future
	address  string // it came with this for its host; "": with the host's name
	result   check.Result
}

// decode makes it an entry of the journal. Times that lie in the future, or are
// missing, become the time of receipt. What was in it before may be anything:
// its strings are used again where they are the same.
func (it *item) decode(r journal.Record) error {
	rec := record.Record{Origin: record.Origin{Client: it.client}}
	if err := rec.Decode(r.Payload); err != nil {
		return err
	}
	if err := it.result.Decode(rec.Result); err != nil {
		return fmt.Errorf("result of client %q in the journal: %w", rec.Client, err)
	}
	if it.result.Kind == check.Command { // the only text that goes to a core as it came
		if err := it.result.Validate(); err != nil {
			return fmt.Errorf("command of client %q in the journal: %w", rec.Client, err)
		}
	}
	it.seq, it.client, it.received, it.early = r.Seq, rec.Client, rec.Received, false
	if f := it.result.Finish; f == 0 || f > rec.Received {
		it.result.Finish, it.early = rec.Received, f != 0
	}
	if s := it.result.Start; s == 0 || s > it.result.Finish {
		it.result.Start = it.result.Finish
	}
	return nil
}
