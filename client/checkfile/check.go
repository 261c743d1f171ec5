package checkfile

import (
	"fmt"
	"slices"
	"time"

	"massive-passive/client/plugin"
	"massive-passive/sched"
	"massive-passive/wire/check"
	"massive-passive/wire/journal"
)

// Check is what one check file asks for, with the defaults filled in.
type Check struct {
	// File is the name that the file was read under.
	File string
	// Kind is check.Service or check.Host.
	Kind check.Kind
	// Hostname and Description are the names of host and service in the core. A
	// host check need not have a Description.
	Hostname, Description string
	// Servers are where the results go, sorted by name, at least one.
	Servers []Server
	Command plugin.Command
	// Dir is where the plugin runs.
	Dir string
	// Every is the time from one run to the next; 0 where Calendar says when.
	Every    time.Duration
	Calendar *sched.Calendar
	// Timezone is that of the Calendar, and the one to show times in.
	Timezone *time.Location
	// Jitter is the most by which a run of a Calendar is put off at random; 0
	// with Every.
	Jitter time.Duration
	// MisfireGrace is how late a run may start; later it is left out.
	MisfireGrace time.Duration
	// Timeout is how long the plugin may take; 0 means without limit.
	Timeout time.Duration
	// MaxInstances is how many runs may be under way at once, at least 1.
	MaxInstances int

	fields map[string]string // of the calendar, as they were written
}

// Server is where results go.
type Server struct {
	// Name is the name in the server's certificate.
	Name string
	// Address is host:port, as net.Dial takes it.
	Address string
}

// Validate says what is wrong with the name, as what waits for the server may
// have to be kept under it and the address.
func (s Server) Validate() error {
	if err := check.ValidName("server", s.Name); err != nil {
		return err
	}
	if err := journal.ValidReaderName(s.Name + "=" + s.Address); err != nil {
		return fmt.Errorf("server name %.40q is too long: with \"=%s\" behind it, %w; take a shorter one", s.Name, s.Address, err)
	}
	return nil
}

// Defaults stand in for what a check file leaves out.
type Defaults struct {
	Hostname string
	Servers  []Server
	Timeout  time.Duration
	// Env is the environment of each plugin, but for the names that its check's
	// env has.
	Env map[string]string
}

const defaultMisfireGrace = 5 * time.Second

// Same says whether both ask for the same, whatever file they come from.
func Same(a, b Check) bool {
	return a.Kind == b.Kind && a.Hostname == b.Hostname && a.Description == b.Description &&
		slices.Equal(a.Servers, b.Servers) && a.Command.Equal(b.Command) && a.Dir == b.Dir &&
		sameSchedule(a, b) && a.Jitter == b.Jitter && a.MisfireGrace == b.MisfireGrace &&
		a.Timeout == b.Timeout && a.MaxInstances == b.MaxInstances
}
