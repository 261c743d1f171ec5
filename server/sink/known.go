package sink

import (
	"errors"
	"fmt"

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
		f.tellReject(it, RejectedDenied, why)
		return RejectedDenied
	}
	known := f.o.Objects.Current()
	if f.coreAway {
		known = nil
	}
	if why := known.Missing(&it.result); why != "" {
		f.tellReject(it, RejectedNoObject, why)
		return RejectedNoObject
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
		f.tellReject(it, RejectedUnseen, fmt.Sprintf("%s, as %s says: it gets the result all the same, and throws it away", why, f.o.Found.File()))
		return RejectedUnseen
	}
	return Delivered
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
