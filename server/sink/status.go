package sink

// Status is how a sink fares, for people and tools.
type Status struct {
	Name    string // of its reader on the journal, whose Stats tell depth and age
	Target  string // what it delivers to, as it was configured
	Waiting string // why it does not deliver; "" while it does
	// Counts since the start of the process, by reason; see the Count constants.
	Counts map[string]uint64
}

// What becomes of results, as Status counts it. All but TimeFixed and Cut exclude
// each other, and count a result when it leaves the journal.
const (
	CountDelivered  = "delivered"
	CountOlder      = "dropped_older"      // than one that another client delivered before
	CountPassedOver = "passed_over"        // in a backlog, for a newer one of its object
	CountUnreadable = "dropped_unreadable" // an entry of the journal that does not decode
	CountTimeFixed  = "time_fixed"         // its time lay in the future and was brought to now
	CountCut        = "output_cut"         // long output that no file could take

	CountNoObject = "rejected_no_such_object" // the core has no such host or service
	CountPassive  = "rejected_passive_off"    // the core takes no passive results for it
	CountInvalid  = "rejected_by_core"        // the core refuses it for another reason, for good
	CountIgnored  = "rejected_ignored"        // the core took it and does nothing with it
	CountCommand  = "rejected_command"        // a raw command at a door that takes only results
	CountTooLong  = "rejected_too_long"       // a raw command that does not fit the pipe, and that no file could take
	CountUnread   = "rejected_unread_file"    // the core was passed it in a file and did not read that
)
