package plugin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	shell = "/bin/sh"
	// defaultPath is where a program without a slash in its name is searched
	// when the check's environment has no PATH. It is the path that Debian's
	// /bin/sh falls back to, so that a command is found alike by both ways.
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Command is a plugin's command line and environment, prepared once for each
// check and used for each of its runs. It is never changed after it was made,
// so that any number of runs may share it. The zero Command names no program.
type Command struct {
	words   []string // the program and its arguments; for the shell: /bin/sh -c line
	env     []string // NAME=value, sorted
	path    string   // the directories searched for a program without a slash
	byShell bool
	// replaced are the names that $NAME stood for, in the order of the line.
	replaced []string
}

// Parse prepares the command line of a check, given as one string.
//
// A line of plain words and quotes is split as the shell would split it, and
// the program is run directly. There $NAME and ${NAME} stand for what env has
// under that name, in each word and within either kind of quote, and the
// result is not split again; a name that env lacks is left as it is written. A
// line with any other shell syntax, one that begins with an assignment, a
// reserved word or a command that only the shell has, goes to /bin/sh -c
// unchanged.
//
// env is the whole environment of the plugin. A program whose name has no
// slash is searched at each run, in env's PATH, or where there is none in the
// directories that /bin/sh would search.
//
// An empty line, a quote without its end, NUL bytes, and environment names
// that are empty or contain "=" are errors.
func Parse(line string, env map[string]string) (Command, error) {
	if strings.ContainsRune(line, 0) {
		return Command{}, fmt.Errorf("command %q contains a NUL byte, which no argument of a program can hold", line)
	}
	words, replaced, plain, err := split(line, env)
	if err != nil {
		return Command{}, err
	}
	if !plain {
		words = []string{shell, "-c", line}
	}
	c, err := List(words, env)
	if err != nil {
		return Command{}, err
	}
	c.byShell, c.replaced = !plain, replaced
	return c, nil
}

// List prepares a command that is given as a program and its arguments. They
// are run as they stand: no word is split, replaced or read by a shell. What
// Parse says about env and about finding the program holds here too.
func List(words []string, env map[string]string) (Command, error) {
	if len(words) == 0 || words[0] == "" {
		return Command{}, errors.New("the command names no program")
	}
	for _, w := range words {
		if strings.ContainsRune(w, 0) {
			return Command{}, fmt.Errorf("the word %q contains a NUL byte, which no argument of a program can hold", w)
		}
	}
	c := Command{words: slices.Clone(words), path: defaultPath}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if err := CheckVariable(name, env[name]); err != nil {
			return Command{}, err
		}
		c.env = append(c.env, name+"="+env[name])
		if name == "PATH" {
			c.path = env[name]
		}
	}
	return c, nil
}

// CheckVariable says what keeps a variable from being in an environment: a name
// that is empty or contains "=", a NUL byte in either. Parse and List refuse it
// with the same error.
func CheckVariable(name, value string) error {
	switch {
	case name == "":
		return errors.New("the environment has a variable without a name")
	case strings.ContainsAny(name, "=\x00"):
		return fmt.Errorf("the variable %q: a name can hold neither \"=\" nor a NUL byte", name)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("the variable %q: the value %q contains a NUL byte", name, value)
	}
	return nil
}

// Words returns the program and its arguments as they are run. For a line that
// needs the shell that is /bin/sh, -c, and the line.
func (c Command) Words() []string { return slices.Clone(c.words) }

// Env is the plugin's environment, as NAME=value and sorted by name.
func (c Command) Env() []string { return slices.Clone(c.env) }

// HasPath tells that the plugin's environment has a PATH.
func (c Command) HasPath() bool {
	return slices.ContainsFunc(c.env, func(v string) bool { return strings.HasPrefix(v, "PATH=") })
}

// ByShell tells that the command is a line for /bin/sh.
func (c Command) ByShell() bool { return c.byShell }

// Replaced are the names for which $NAME in the line was replaced, sorted.
func (c Command) Replaced() []string {
	return slices.Compact(slices.Sorted(slices.Values(c.replaced)))
}

// Equal says whether both run the same program with the same arguments in the
// same environment.
func (c Command) Equal(d Command) bool {
	return slices.Equal(c.words, d.words) && slices.Equal(c.env, d.env)
}

// subject is what the texts of an Outcome call the command by.
func (c Command) subject() string {
	const most = 100
	name := c.words[0]
	if c.byShell {
		name = c.words[2]
	}
	if c.byShell {
		return fmt.Sprintf("command %q", cut(name, most))
	}
	return fmt.Sprintf("plugin %q", cut(name, most))
}
