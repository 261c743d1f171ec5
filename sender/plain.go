package sender

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// settings are the options of a command line, by their first names. A
// *cli.Context is one.
type settings interface {
	IsSet(name string) bool
	Bool(name string) bool
	Count(name string) int
	Float64(name string) float64
	String(name string) string
	StringSlice(name string) []string
}

// RunPlain runs a command line of the program called name, as Arrange made it,
// unless it holds something that only Command answers: a mistake, or a wish for
// help; done is false then, and nothing was done. To set up an option parser and
// its options takes a good part of the time that one result takes to a server.
func RunPlain(ctx context.Context, env Env, name string, args []string) (done bool, err error) {
	given, bare, plain := readPlain(args[1:])
	if !plain {
		return false, nil
	}
	return true, send(ctx, env, name, given, bare)
}

// plain are settings that hold no mistake. Of an option without a value it
// holds empty ones.
type plain map[string][]string

func readPlain(args []string) (given plain, bare []string, ok bool) {
	given = plain{}
	names := optionNames()
	for len(args) > 0 && args[0] != "--" {
		word, long := strings.CutPrefix(args[0], "--")
		name, value, assigned := strings.Cut(word, "=")
		o, known := find(names, name)
		if !long || !known || name != o.names[0] || assigned != o.takesValue() || o.value == shows {
			return nil, nil, false
		}
		if _, err := strconv.ParseFloat(value, 64); o.value == number && err != nil {
			return nil, nil, false
		}
		given[name] = append(given[name], value)
		args = args[1:]
	}
	return given, args[min(1, len(args)):], true
}

func (p plain) IsSet(name string) bool { return p[name] != nil }
func (p plain) Bool(name string) bool  { return p[name] != nil }
func (p plain) Count(name string) int  { return len(p[name]) }

func (p plain) Float64(name string) float64 {
	v, _ := strconv.ParseFloat(p.String(name), 64) // was tried before
	return v
}

// String is the last value, as that of an option parser.
func (p plain) String(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][len(p[name])-1]
}

func (p plain) StringSlice(name string) []string {
	var all []string
	for _, value := range p[name] {
		for part := range strings.SplitSeq(value, ",") {
			all = append(all, strings.TrimSpace(part))
		}
	}
	return all
}

// optionName is an option as the command line sees it.
type optionName struct {
	names []string // the first one is that of its flag
	value value
}

// value is what stands behind an option's name.
type value int

const (
	none value = iota
	text
	number
	shows // nothing: it shows something and ends
)

func (o optionName) takesValue() bool { return o.value == text || o.value == number }

// optionNames are those of flags. ShowHelp has the names of help, too.
func optionNames() []optionName {
	return []optionName{
		{[]string{"server", "H"}, text},
		{[]string{"port", "p"}, text},
		{[]string{"config", "c"}, text},
		{[]string{"raw", "C"}, none},
		{[]string{"delimiter", "d"}, text},
		{[]string{"set-delimiter", "ds", "e"}, text},
		{[]string{"timeout", "to", "o"}, number},
		{[]string{"delay", "D"}, number},
		{[]string{"quiet"}, none},
		{[]string{"verbose", "v"}, none},
		{[]string{"s"}, none},
		{[]string{"S"}, none},
		{[]string{"ssl-key"}, text},
		{[]string{"ssl-cert"}, text},
		{[]string{"ssl-ca-cert"}, text},
		{[]string{"ssl-verify"}, text},
		{[]string{"tls-min-version"}, text},
		{[]string{"t"}, none},
		{[]string{"legacy-2-7-mode"}, none},
		{[]string{ShowHelp, "help", "h"}, shows},
		{[]string{"version", "V"}, shows},
	}
}

func find(options []optionName, name string) (optionName, bool) {
	for _, o := range options {
		if slices.Contains(o.names, name) {
			return o, true
		}
	}
	return optionName{}, false
}
