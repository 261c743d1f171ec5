// Package plugin runs one monitoring plugin and turns whatever becomes of it
// into a state and a text.
//
// A plugin is a program that prints what it found and says by its exit code
// how that is: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. Nothing about it is
// trusted here: it may hang, flood, fork, ignore signals, crash, or not be
// there at all. Each run is bounded in time and memory, leaves no zombie, file
// descriptor or goroutine behind, and always ends in an Outcome. A plugin that
// is waited for costs no operating system thread on kernels that have process
// descriptors (Linux 5.4 and up).
//
// The package does not decide when a plugin runs, nor how many run at once,
// and it keeps nothing from one run to the next: the client does. It does not
// look into the output: perfdata, long output and bytes that are no text pass
// through as they are.
package plugin
