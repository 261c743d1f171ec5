// Package status carries what a running client or server says of itself, its
// page, over a unix socket in its state directory to the `status` command,
// which shows it to people or to a monitoring core. It decides nothing about
// results, and only the machine that a process runs on can ask: it is no way
// into the server.
package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Page is one process at one moment. Counters begin at its start.
type Page struct {
	Role     string    `json:"role"` // "client" or "server"
	Version  string    `json:"version"`
	PID      int       `json:"pid"`
	StateDir string    `json:"state_dir"`
	Started  time.Time `json:"started"`
	At       time.Time `json:"at"` // when the page was written
	Uptime   Seconds   `json:"uptime_seconds"`
	// Goroutines are the threads of execution within the process: about one
	// for each open connection, and a few.
	Goroutines int     `json:"goroutines"`
	Journal    Journal `json:"journal"`
	// Destinations are where the journal's results go: a client's servers, a
	// server's sinks.
	Destinations []Destination `json:"destinations"`
	// Recent is what of their counters is news.
	Recent *Recent `json:"recent,omitempty"`
	Client *Client `json:"client,omitempty"`
	Server *Server `json:"server,omitempty"`
}

// Seconds is a length of time.
type Seconds float64

// Since makes Seconds of d, to the millisecond.
func Since(d time.Duration) Seconds { return Seconds(d.Round(time.Millisecond).Seconds()) }

func (s Seconds) duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Journal is the process's journal.
type Journal struct {
	Depth     uint64  `json:"depth"`   // results that some destination still waits for
	Resting   uint64  `json:"resting"` // delivered ones that are kept in case the core dies
	Bytes     int64   `json:"bytes"`   // on disk
	MaxBytes  int64   `json:"max_bytes"`
	Memory    int64   `json:"memory_bytes"`       // of them not yet on disk
	OldestAge Seconds `json:"oldest_age_seconds"` // of those that wait
	Refuses   string  `json:"refuses"`            // why it takes nothing, or only into memory; "" while all is well
	Damages   int     `json:"damages"`            // places found damaged
	Lost      int64   `json:"lost"`               // results in them, as far as it is known
}

// Destination is a server of a client, or a sink of a server.
type Destination struct {
	Name    string `json:"name"`
	Target  string `json:"target"`
	Waiting string `json:"waiting"` // for what; "" while it delivers
	// Depth counts what is not delivered yet; it may count results behind the
	// oldest that are for other destinations.
	Depth uint64 `json:"depth"`
	// Resting counts what the core was seen to have taken, and is kept for a
	// while in case it dies.
	Resting   uint64  `json:"resting"`
	OldestAge Seconds `json:"oldest_age_seconds"`
	Delivered uint64  `json:"delivered"`
	// Written counts what was handed over without any sign of what the other
	// side made of it.
	Written uint64 `json:"written,omitempty"`
	// Dropped counts, by reason, what was left out by a rule that was asked for.
	Dropped map[string]uint64 `json:"dropped"`
	// GivenUp counts, by reason, what was lost here; as Depth, it may count
	// results for other destinations.
	GivenUp  map[string]uint64 `json:"given_up"`
	Rejected map[string]uint64 `json:"rejected"` // by reason: refused for good by the other side
	// TimeFixed counts results with a time in the future, which became now, and
	// OutputCut those whose output was cut. What became of them is counted above.
	TimeFixed uint64 `json:"time_fixed,omitempty"`
	OutputCut uint64 `json:"output_cut,omitempty"`
}

// Client is what only a client has.
type Client struct {
	Checks   int               `json:"checks"` // configured
	Running  int               `json:"running"`
	Waiting  int               `json:"waiting"` // due, for a free slot
	Started  uint64            `json:"started"`
	Late     uint64            `json:"late"` // started over a second after they were due
	Latest   Seconds           `json:"latest_seconds"`
	TimedOut uint64            `json:"timed_out"`
	Skipped  map[string]uint64 `json:"skipped"` // by reason: due and not started
	BadFiles []string          `json:"bad_files"`
}

// Server is what only a server has.
type Server struct {
	Listed      int               `json:"listed"` // certificates of allowed clients
	Connections int               `json:"connections"`
	Taken       uint64            `json:"taken"`
	Duplicates  uint64            `json:"duplicates"` // sent again and known already
	Rejected    map[string]uint64 `json:"rejected"`   // by reason
	Clients     []Heard           `json:"clients"`
	Held        []Held            `json:"held"`
}

// Held is a client whose results are not taken now, while those of others are.
type Held struct {
	Name         string  `json:"name"`
	JournalBytes int64   `json:"journal_bytes"` // of its results in the journal
	For          Seconds `json:"for_seconds"`
	Why          string  `json:"why"`
}

// Heard is a client that was heard of since the server's start.
type Heard struct {
	Name        string    `json:"name"`
	Connections int       `json:"connections"` // open now
	Last        time.Time `json:"last_heard"`  // of its last results, its last connection's begin or end
	Results     uint64    `json:"results"`     // that it sent, duplicates and rejected ones too
}

// Problems are what is wrong now, the worst first; nothing is wrong if there
// are none.
func (p *Page) Problems() []string {
	var found []string
	if p.Journal.Refuses != "" {
		found = append(found, plain(p.Journal.Refuses))
	}
	for _, o := range p.Destinations {
		if o.Waiting != "" {
			found = append(found, fmt.Sprintf("%s %s waits, with %s: %s", p.destination(), plain(o.Name), count(o.Depth, "result"), plain(o.Waiting)))
		}
	}
	found = append(found, p.Recent.problems()...)
	if p.Client != nil && len(p.Client.BadFiles) > 0 {
		found = append(found, fmt.Sprintf("%s wrong: %s", count(uint64(len(p.Client.BadFiles)), "check file"), plain(several(p.Client.BadFiles))))
	}
	if p.Server != nil {
		found = append(found, p.Server.heldProblems()...)
	}
	if p.Server != nil && p.Server.Listed == 0 {
		found = append(found, "no client's certificate is listed")
	}
	return found
}

// heldProblems name the clients whose results are not taken: the first ones each.
func (s *Server) heldProblems() (found []string) {
	const most = 5
	for i, h := range s.Held {
		if i == most {
			return append(found, fmt.Sprintf("and %d more clients are held", len(s.Held)-most))
		}
		found = append(found, fmt.Sprintf("client %s is held for %s, with %s in the journal: %s", plain(h.Name), age(h.For.duration()), byteSize(h.JournalBytes), plain(h.Why)))
	}
	return found
}

// destination is what this side calls a destination.
func (p *Page) destination() string {
	if p.Role == "client" {
		return "server"
	}
	return "sink"
}

// several names the first few of a list.
func several(list []string) string {
	const most = 5
	text := ""
	for i, s := range list {
		switch {
		case i == most:
			return fmt.Sprintf("%s and %d more", text, len(list)-most)
		case i > 0:
			text += ", "
		}
		text += s
	}
	return text
}

// sum adds up what a map counts.
func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// dropped, givenUp and rejected add up what all destinations left out, what they lost,
// and what was refused for good on either end.
func (p *Page) dropped() (n uint64) {
	for _, o := range p.Destinations {
		n += sum(o.Dropped)
	}
	return n
}

func (p *Page) givenUp() (n uint64) {
	for _, o := range p.Destinations {
		n += sum(o.GivenUp)
	}
	return n
}

func (p *Page) rejected() (n uint64) {
	for _, o := range p.Destinations {
		n += sum(o.Rejected)
	}
	if p.Server != nil {
		n += sum(p.Server.Rejected)
	}
	return n
}

// count writes a number of things.
func count(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// byReason writes counters in the order of their names.
func byReason(counts map[string]uint64) string {
	text := ""
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		if counts[why] == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %d", plain(why), counts[why])
	}
	return cmp.Or(text, "none")
}

// plain keeps what came from elsewhere, a peer's words or a file's name, from
// moving the cursor or breaking a line.
func plain(text string) string {
	clean := []rune(text)
	for i, r := range clean {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			clean[i] = '?'
		}
	}
	return string(clean)
}
