// Package core knows what a Nagios or a Naemon is: where its main configuration
// says that things are, which hosts and services it has, and under which names it
// takes results for them. It delivers nothing and judges nobody: what is done
// with that knowledge is the caller's affair.
package core

// Kind says which core it is.
type Kind string

// The kinds. What is not known is taken for a Nagios, whose forks read their
// pipe as it does.
const (
	Nagios Kind = "nagios" // Nagios Core, and what descends from it but Naemon
	Naemon Kind = "naemon"
	Icinga Kind = "icinga" // Icinga 2
)

// LooksUpAddresses tells whether the core takes a result for a host's address as
// one for that host, where no host has that name. Nagios does so for what comes by
// its command file, and only for that. Naemon has the same code, but refuses the
// command before it gets there, and Icinga 2 knows names only.
func (k Kind) LooksUpAddresses() bool { return k == Nagios }
