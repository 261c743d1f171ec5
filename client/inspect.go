package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/client/plugin"
	"massive-passive/internal/disk"
	"massive-passive/internal/option"
	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"
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
func Inspect(o Options, what Inspection, out, warn io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	defaults, err := o.defaults()
	if err != nil {
		return err
	}
	files, warnings, err := checkfile.ReadDir(o.ConfDir, defaults)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintf(warn, "warning: %s\n", w)
	}
	if len(files) == 0 {
		fmt.Fprintf(warn, "warning: no *.cfg in %s: nothing to do\n", o.ConfDir)
	}
	bad := 0
	for _, f := range files {
		if f.Err != nil {
			bad++
		} else if neverAgain(f.Check, what.From) {
			fmt.Fprintf(warn, "warning: %s: its calendar never fires again\n", f.Name)
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

// Once runs the check of one file now, as the daemon would, writes what would
// be sent to out, and sends it if it shall.
func Once(ctx context.Context, o Options, file string, send bool, out, warn io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	k, err := readOne(o, file, warn)
	if err != nil {
		return err
	}
	runner, err := plugin.New(0)
	if err != nil {
		return err
	}
	defer runner.Close()
	r := result(k, runner.Run(ctx, plugin.Spec{Command: k.Command, Dir: k.Dir, Timeout: k.Timeout, MaxOutput: o.MaxOutput}))
	show(out, k, &r)
	if !send {
		return nil
	}
	return sendOnce(ctx, o, k.Servers, &r, out)
}

func readOne(o Options, file string, warn io.Writer) (checkfile.Check, error) {
	defaults, err := o.defaults()
	if err != nil {
		return checkfile.Check{}, err
	}
	data, err := disk.ReadFile(context.Background(), file, checkfile.MaxSize)
	if err != nil {
		return checkfile.Check{}, fmt.Errorf("read the check file: %w", err)
	}
	k, warnings, err := checkfile.Parse(filepath.Base(file), data, defaults)
	for _, w := range warnings {
		fmt.Fprintf(warn, "warning: %s\n", w)
	}
	return k, err
}

// sendOnceTimeout is how long one server may take to acknowledge.
const sendOnceTimeout = 10 * time.Second

func sendOnce(ctx context.Context, o Options, servers []checkfile.Server, r *check.Result, out io.Writer) error {
	end, err := certs.Load(o.certificates(), nil)
	if err != nil {
		return err
	}
	modern, err := loadModernServers(o.StateDir)
	if err != nil {
		return err
	}
	hello := wire.Hello{Version: o.Version, Remember: uint32(sendOnceTimeout / time.Second)}
	rand.Read(hello.Instance[:]) // never fails
	var failed error
	for _, s := range servers {
		so := sender.Options{Name: s.Name, Address: s.Address, End: end, Verify: certs.Verify(o.SSLVerify), Hello: hello,
			Modern: modern.has(s.Name)}
		short, cancel := context.WithTimeout(ctx, sendOnceTimeout)
		err := sender.Deliver(short, so, []sender.Item{{Instance: hello.Instance, Sequence: 1, Result: r.Append(nil)}})
		cancel()
		if err == nil {
			fmt.Fprintf(out, "sent to: %s (%s)\n", s.Name, s.Address)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// show writes a result for people.
func show(out io.Writer, k checkfile.Check, r *check.Result) {
	fmt.Fprintf(out, "host:    %s\n", r.Host)
	if r.Kind == check.Service {
		fmt.Fprintf(out, "service: %s\n", r.Service)
	}
	names := make([]string, len(k.Servers))
	for i, s := range k.Servers {
		names[i] = s.Name + " (" + s.Address + ")"
	}
	fmt.Fprintf(out, "servers: %s\ncommand: %q\ncode:    %d\ntook:    %v\noutput:\n%s\n", strings.Join(names, ", "), k.Command.Words(), r.Code,
		time.Duration(r.Finish-r.Start)*time.Microsecond, r.Output)
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
