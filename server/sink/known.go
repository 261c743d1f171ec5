package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"massive-passive/internal/core"
	"massive-passive/internal/disk"
	"massive-passive/server/access"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// decode makes it an entry of the journal, with the host's name where that has its
// address: it may have come before it was known whose address that is.
func (f *Feed) decode(it *item, rec journal.Record) error {
	if err := it.decode(rec); err != nil {
		return err
	}
	it.address = ""
	if host, ok := f.o.Objects.Last().HostAt(it.result.Host); ok && check.ValidName("host", host) == nil {
		it.address, it.result.Host = it.result.Host, host
	}
	return nil
}

// handed says what becomes of a result for all that is known of the core.
func (f *Feed) handed(it *item) Outcome {
	if why := f.forbidden(it); why != "" {
		f.logReject(it, RejectedDenied, why)
		return RejectedDenied
	}
	known := f.o.Objects.Current()
	if f.coreAway {
		known = nil
	}
	if why := known.Missing(&it.result); why != "" && f.stillKnown(known) {
		f.logReject(it, RejectedNoObject, why)
		return RejectedNoObject
	} else if why != "" {
		known = nil
	}
	if !f.o.Blind {
		return Delivered
	}
	if known == nil && !f.coreAway {
		known = f.o.Found.Current()
	}
	if known == nil || it.result.Kind == check.Command {
		return Written
	}
	if why := known.Missing(&it.result); why != "" {
		f.logReject(it, RejectedUnseen, fmt.Sprintf("%s, as %s says: it gets the result all the same, and throws it away", why, f.o.Found.File()))
		return RejectedUnseen
	}
	if known.PassiveOff(&it.result) {
		f.logReject(it, Written, "passive checks are off for it in the core's configuration: unless a command switched them on since, the core throws it away")
		return Written
	}
	return Delivered
}

// confirmAgain is how long it counts that the object cache was unchanged: less than
// a core takes from writing it to reading what is written to it.
const confirmAgain = 10 * time.Millisecond

// stillKnown makes sure that the core has not come back with other objects just now:
// what is rejected is gone for good.
func (f *Feed) stillKnown(objects *core.Objects) bool {
	if time.Since(f.confirmed) < confirmAgain {
		return true
	}
	unchanged, err := disk.Within(context.Background(), &f.disk, f.o.Objects.File(), func() (bool, error) {
		return f.o.Objects.Unchanged(objects), nil
	})
	if err != nil || !unchanged {
		return false
	}
	f.confirmed = time.Now()
	return true
}

// forbidden says why the client may not send a result for the host whose address it
// had; "" if it may.
func (f *Feed) forbidden(it *item) string {
	if it.address == "" || f.o.Permit == nil {
		return ""
	}
	var denied *access.DeniedError
	if errors.As(f.o.Permit(it.client, &it.result), &denied) {
		return denied.Reason
	}
	return ""
}
