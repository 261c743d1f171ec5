package checkfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"massive-passive/client/plugin"
	"massive-passive/wire/check"
)

// reader turns the fields of one file into a Check.
type reader struct {
	*source
	check    Check
	warnings []Warning
	// What can only be read when all the rest is known; nil where left out.
	command, interval *node
	jitter            int               // its offset
	env               map[string]string // that of the defaults, with the check's own over it
	given             map[string]bool
}

// Parse reads a check file. name is the file's name as errors show it.
//
// A key that is not known and a key that is given twice are Warnings. Any error
// is an *Error about one thing that is wrong, and the Check is its zero value
// then.
func Parse(name string, data []byte, d Defaults) (Check, []Warning, error) {
	r := &reader{
		source: &source{name: name, text: data},
		check: Check{
			File: name, Hostname: d.Hostname, Timeout: d.Timeout, Dir: "/", Timezone: time.Local,
			MisfireGrace: defaultMisfireGrace, MaxInstances: 1,
		},
		env:   maps.Clone(d.Env),
		given: map[string]bool{},
	}
	if err := r.read(d); err != nil {
		return Check{}, r.warnings, err
	}
	return r.check, r.warnings, nil
}

func (r *reader) read(d Defaults) error {
	root, err := r.parse()
	if err != nil {
		return err
	}
	known := keys()
	for _, f := range r.unique("", root) {
		i := slices.IndexFunc(known, func(k key) bool { return k.name == f.key })
		if i < 0 {
			r.warn(f.offset, f.key, "is not a key of a check file and is ignored%s", suggestion(f.key))
			continue
		}
		r.given[f.key] = true
		if err := known[i].read(r, f.key, f.value); err != nil {
			return err
		}
	}
	if err := r.missing(d); err != nil {
		return err
	}
	if err := r.readSchedule(*r.interval); err != nil {
		return err
	}
	return r.readCommand(*r.command)
}

// unique returns the fields of an object, of each key the last, as JSON readers
// do, with a warning about the others.
func (r *reader) unique(prefix string, n node) []field {
	last := map[string]int{}
	for i, f := range n.fields {
		if before, ok := last[f.key]; ok {
			r.warn(n.fields[before].offset, prefix+f.key, "is given again in line %d, and that one counts", r.place(f.offset).Line)
		}
		last[f.key] = i
	}
	fields := make([]field, 0, len(last))
	for i, f := range n.fields {
		if last[f.key] == i {
			fields = append(fields, f)
		}
	}
	return fields
}

func (r *reader) warn(offset int, key, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{Place: r.place(offset), Key: key, Reason: fmt.Sprintf(format, args...)})
}

// missing fills in the defaults and names a key that has none.
func (r *reader) missing(d Defaults) error {
	for _, k := range keys() {
		if !k.needed || r.given[k.name] {
			continue
		}
		switch {
		case k.name == "check_description" && r.check.Kind == check.Host:
		case k.name == "check_hostname" && d.Hostname != "":
		case k.name == "servers" && len(d.Servers) > 0:
			r.check.Servers = sorted(d.Servers)
		default:
			return r.whole(k.name, "is missing; it is %s", k.what)
		}
	}
	return nil
}

func sorted(servers []Server) []Server {
	return slices.SortedStableFunc(slices.Values(servers), func(a, b Server) int { return cmp.Compare(a.Name, b.Name) })
}

// readCommand prepares the command, which needs the environment.
func (r *reader) readCommand(n node) error {
	var err error
	if n.kind == text {
		r.check.Command, err = plugin.Parse(n.str, r.env)
	} else {
		words := make([]string, 0, len(n.items))
		for _, item := range n.items {
			words = append(words, item.str)
		}
		r.check.Command, err = plugin.List(words, r.env)
	}
	if err != nil {
		return r.wrong(n, "command", "cannot be run: %v", err)
	}
	for _, macro := range macros(n, r.check.Command.ByShell(), r.env) {
		r.warn(n.offset, "command", "still has %s, a macro of the core, which nobody replaces here: write what it stands for", macro)
	}
	return nil
}

// suggestion names the known key that an unknown one is nearest to.
func suggestion(unknown string) string {
	best, near := 4, ""
	for _, k := range keys() {
		if d := distance(strings.ToLower(unknown), k.name); d < best && d < len(k.name)/2+1 {
			best, near = d, k.name
		}
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}

// distance is the number of letters to change, add, take away or swap with
// their neighbour to make b of a.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
