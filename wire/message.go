package wire

// The messages keep the fields of a later version of the protocol in later, so
// that they encode to the bytes that they came from; nothing reads them.

// Hello opens a connection.
type Hello struct {
	Instance Instance
	Version  string // of the program, for people
	Host     string // the machine's name, for people
	Remember uint32 // seconds that the server should remember the instances of this connection after it

	later []byte
}

// Welcome answers a Hello.
type Welcome struct {
	Version  string
	MaxFrame uint32 // the longest body that the server takes
	Window   uint32 // the most bytes of batches in flight
	Last     uint64 // the highest sequence of the HELLO's instance that the server has; 0: none

	later []byte
}

// Entry is one result of a batch. Result is its encoding, judged on its own.
type Entry struct {
	Sequence uint64
	Result   []byte

	later []byte
}

// Batch carries results of one instance.
type Batch struct {
	Instance Instance
	Entries  []Entry

	later []byte
}

// Reason says why a result was rejected for good.
type Reason uint32

// The reasons of a rejection.
const (
	Malformed Reason = 1 // no Result, or one against the rules of package check
	Denied    Reason = 2 // this client may not send this result
	Refused   Reason = 3 // no sink of this server takes it
)

func (r Reason) String() string {
	switch r {
	case Malformed:
		return "malformed"
	case Denied:
		return "denied"
	case Refused:
		return "refused"
	}
	return "other"
}

// Rejection says that the result with this sequence will never be taken.
type Rejection struct {
	Sequence uint64
	Reason   Reason
	Text     string

	later []byte
}

// Ack says that all results up to Sequence are safe, but for the rejections.
type Ack struct {
	Sequence   uint64
	Rejections []Rejection

	later []byte
}

// Wait says why an Ack takes long.
type Wait struct {
	Text string

	later []byte
}

// Ping is answered by a Pong with the same token.
type Ping struct {
	Token uint64

	later []byte
}

// ByeReason says why a connection ends.
type ByeReason uint32

// The reasons to end a connection.
const (
	Stopping   ByeReason = 1 // the program stops; come back later
	NotListed  ByeReason = 2 // the client's certificate is not in the allowed directory, or no longer
	Superseded ByeReason = 3 // a newer connection of the same instance is there
	Violation  ByeReason = 4 // the peer broke the protocol
	Overloaded ByeReason = 5 // a limit on connections was reached; come back later
	Idle       ByeReason = 6 // nothing was heard for too long
	BadPolicy  ByeReason = 7 // the client's policy file does not parse
	Done       ByeReason = 8 // the client has nothing more to send
)

func (r ByeReason) String() string {
	names := [...]string{"no reason", "stopping", "certificate not listed", "superseded", "protocol violation", "overloaded",
		"idle", "bad policy", "done"}
	if int(r) < len(names) {
		return names[r]
	}
	return "another reason"
}

// Bye ends a connection.
type Bye struct {
	Reason ByeReason
	Text   string

	later []byte
}
