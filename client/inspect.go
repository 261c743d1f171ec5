package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/internal/option"
)

// Inspection is what --check-config asks.
type Inspection struct {
	Next int       // how many of each check's next times to show
	From time.Time // from where they are reckoned
	JSON bool      // one object a file, else one line
}

// inspected is one check file in the JSON form of --check-config.
type inspected struct {
	File        string   `json:"file"`
	OK          bool     `json:"ok"`
	Error       string   `json:"error"`
	Description string   `json:"check_description"`
	Hostname    string   `json:"check_hostname"`
	Next        []string `json:"next"`
}

// subject names what the check is about. A host check needs no description.
func (i inspected) subject() string {
	if i.Description == "" {
		return fmt.Sprintf("host %q", i.Hostname)
	}
	return fmt.Sprintf("%q on %q", i.Description, i.Hostname)
}

// badFilesError says that check files are wrong; each was named already.
type badFilesError struct{ bad, all int }

func (e badFilesError) Error() string {
	return fmt.Sprintf("%d of %d check files are wrong", e.bad, e.all)
}

// Inspect reads the check files as a start would and writes what it found to
// out, warnings to warn. It fails where a file is wrong.
func Inspect(ctx context.Context, o Options, what Inspection, out, warn io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	defaults, err := o.defaults()
	if err != nil {
		return err
	}
	if err := o.drop(); err != nil {
		return err
	}
	files, warnings, err := checkfile.ReadDirs(o.ConfDirs, defaults)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintf(warn, "warning: %s\n", w)
	}
	if len(files) == 0 {
		fmt.Fprintf(warn, "warning: %s\n", nothingIn(o.ConfDirs))
	}
	bad := 0
	for _, f := range files {
		if f.Err != nil {
			bad++
		} else {
			tell(ctx, f, what.From, warn)
		}
		if err := write(out, inspect(f, what), what.JSON); err != nil {
			return err
		}
	}
	if bad > 0 {
		return badFilesError{bad, len(files)}
	}
	return nil
}

// tell names what is doubtful about a good file, and what may surprise its
// author.
func tell(ctx context.Context, f checkfile.File, from time.Time, warn io.Writer) {
	c := f.Check
	if neverAgain(c, from) {
		fmt.Fprintf(warn, "warning: %s: its calendar never fires again\n", f.Name)
	}
	if problem := c.Command.Problem(ctx, c.Dir); problem != "" {
		fmt.Fprintf(warn, "warning: %s: %s\n", f.Name, problem)
	}
	if names := c.Command.Replaced(); len(names) > 0 {
		fmt.Fprintf(warn, "note: %s: in its command, what its environment has is put in for $%s\n", f.Name, strings.Join(names, ", $"))
	}
	if c.Command.HasPath() {
		return
	}
	if name := c.Command.EnvInterpreter(ctx, c.Dir); name != "" {
		fmt.Fprintf(warn, "note: %s: its plugin begins with #!/usr/bin/env %s, and its environment has no PATH: %s may not be found, or not find its libraries; "+
			"set PATH in env, or for all checks by --default-env\n", f.Name, name, name)
	}
}

func inspect(f checkfile.File, what Inspection) inspected {
	if f.Err != nil {
		return inspected{File: f.Name, Error: f.Err.Error(), Next: []string{}}
	}
	c := f.Check
	return inspected{File: f.Name, OK: true, Description: c.Description, Hostname: c.Hostname, Next: next(c, what)}
}

// next reckons a check's next times in its time zone. An interval has no fixed
// phase: it counts from there.
func next(c checkfile.Check, what Inspection) []string {
	times := []string{}
	at := what.From.In(c.Timezone)
	for range what.Next {
		if c.Calendar == nil {
			at = at.Add(c.Every)
		} else {
			var again bool
			if at, again = c.Calendar.Next(at); !again {
				break
			}
		}
		times = append(times, at.Format(time.RFC3339))
		if c.Calendar != nil {
			at = at.Add(time.Second)
		}
	}
	return times
}

func write(out io.Writer, i inspected, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(i)
	}
	line := i.Error
	if i.OK {
		line = fmt.Sprintf("%s: ok: %s", i.File, i.subject())
		if len(i.Next) > 0 {
			line += ", next " + strings.Join(i.Next, " ")
		}
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// parseFrom reads --from.
func parseFrom(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, option.Wrong("--from", fmt.Sprintf("%q is no time as 2026-01-31T09:00:00+01:00", text))
	}
	return t, nil
}
