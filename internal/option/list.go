package option

import (
	"flag"
	"strings"

	"github.com/urfave/cli/v2"
)

// ListFlag is an option that may be repeated. Its values on the command line take
// the place of those in its variable, which take the place of the default ones:
// cli's own flag with a value of ours would add them all up. A comma is a part of a
// value, as in a pattern, which it is not in cli's slices.
type ListFlag struct{ cli.GenericFlag }

// List makes a ListFlag. The variable may hold several values with separator between
// them; "" means that it holds one.
func List(category, name, usage, separator string, standard ...string) *ListFlag {
	return &ListFlag{cli.GenericFlag{Category: category, Name: name, Usage: usage, Value: &list{values: standard, separator: separator}}}
}

// Values are those of a ListFlag.
func Values(c *cli.Context, name string) []string { return c.Generic(name).(*list).values }

// Apply is cli's, which sets the variable's value.
func (f *ListFlag) Apply(set *flag.FlagSet) error {
	l := f.Value.(*list)
	err := f.GenericFlag.Apply(set)
	l.begun, l.separator = false, "" // what is set from here on is the command line's
	return err
}

// Variables is where the names of the option's variables are kept.
func (f *ListFlag) Variables() *[]string { return &f.EnvVars }

type list struct {
	values    []string
	separator string
	begun     bool // the next value is one more
}

func (l *list) Set(value string) error {
	if !l.begun {
		l.values, l.begun = nil, true
	}
	if l.separator == "" {
		l.values = append(l.values, value)
		return nil
	}
	l.values = append(l.values, strings.Split(value, l.separator)...)
	return nil
}

func (l *list) String() string { return strings.Join(l.values, ":") }
