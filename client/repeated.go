package client

// repeated is an option that may be given several times, whose values may hold
// commas. The parser sets it to what the option's variable holds, then to each
// value of the command line, so that these come last.
type repeated []string

func (r *repeated) Set(value string) error {
	*r = append(*r, value)
	return nil
}

func (r *repeated) String() string { return "" }
