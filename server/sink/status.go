package sink

// Status is how a sink fares, for people and tools. What it counts begins at the
// start of the process.
type Status struct {
	Name     string // of its reader on the journal, whose Stats tell depth and age
	Target   string // what it delivers to, as it was configured
	Waiting  string // why it does not deliver; "" while it does
	Taken    uint64 // the core was seen to have taken all of the journal up to here; some of it may rest there
	Outcomes map[Outcome]uint64
	Notes    Notes
}

// Notes count what was changed in results on their way. It says nothing about
// what became of them.
type Notes struct {
	TimeFixed uint64 // the time lay in the future and was brought to now
	OutputCut uint64 // the output was long, and no file could take it
}
