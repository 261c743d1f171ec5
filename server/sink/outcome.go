package sink

import "fmt"

// Outcome is what became of a result at a sink. A result has exactly one: it is
// counted when the result leaves the journal.
type Outcome uint8

// The outcomes. The zero value is none.
const (
	_                  Outcome = iota
	Delivered                  // the core was seen to have taken it
	Written                    // it was handed over to the core, which may have thrown it away unseen
	DroppedOlder               // than one that another client delivered before
	DroppedPassedOver          // in a backlog, for a newer one of its object
	GivenUpUnreadable          // an entry of the journal that does not decode
	GivenUpJournalFull         // the journal needed its room before the sink had read it
	RejectedNoObject           // the core has no such host or service
	RejectedDenied             // its client may not send it, which showed once it was known whose address it names
	RejectedPassiveOff         // the core takes no passive results for it
	RejectedByCore             // the core refuses it for another reason, for good
	RejectedIgnored            // the core took it and does nothing with it
	RejectedCommand            // a raw command at a sink that takes only results
	RejectedTooLong            // a raw command that does not fit the pipe, and that no file could take
	RejectedUnseen             // it was handed over, and the core has no such host or service: it throws it away
	RejectedUnread             // the core was passed it in a file and did not read that
)

// Class is what an outcome means for the sender of a result.
type Class uint8

// The classes of outcomes. The zero value is none.
const (
	_             Class = iota
	ClassTaken          // the core has it, as far as that can be known
	ClassDropped        // left out by a rule that was asked for: a better result is with the core
	ClassGivenUp        // lost by this server
	ClassRejected       // the core will never take it
)

// outcomes describe the outcomes. The text is what status and the log show, and
// is said together with the class ("rejected: no such object").
var outcomes = [...]struct {
	class Class
	text  string
}{
	Delivered:          {ClassTaken, "delivered"},
	Written:            {ClassTaken, "written"},
	DroppedOlder:       {ClassDropped, "older"},
	DroppedPassedOver:  {ClassDropped, "passed over"},
	GivenUpUnreadable:  {ClassGivenUp, "unreadable"},
	GivenUpJournalFull: {ClassGivenUp, "journal full"},
	RejectedNoObject:   {ClassRejected, "no such object"},
	RejectedDenied:     {ClassRejected, "denied"},
	RejectedPassiveOff: {ClassRejected, "passive off"},
	RejectedByCore:     {ClassRejected, "by core"},
	RejectedIgnored:    {ClassRejected, "ignored"},
	RejectedCommand:    {ClassRejected, "command"},
	RejectedTooLong:    {ClassRejected, "too long"},
	RejectedUnseen:     {ClassRejected, "written, no such object"},
	RejectedUnread:     {ClassRejected, "unread file"},
}

// Class tells what it means for the sender.
func (o Outcome) Class() Class {
	if int(o) < len(outcomes) {
		return outcomes[o].class
	}
	return 0
}

// String is a short reason for people, without the class.
func (o Outcome) String() string {
	if o.Class() != 0 {
		return outcomes[o].text
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// handedOut tells whether the sink itself is handed the result, and says when it
// is done with it. All others leave the journal without it.
func (o Outcome) handedOut() bool { return o.Class() == ClassTaken || o == RejectedUnseen }
