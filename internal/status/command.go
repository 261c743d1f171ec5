package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"massive-passive/internal/option"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"
)

// Env is what the command gets from the program around it.
type Env struct {
	Stdout    io.Writer
	StateDirs []string // where clients and servers are unless told otherwise
}

// Command is `massive-passive status`.
func Command(env Env) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "say how a running client or server is doing",
		Description: "Asks the client or the server on this machine, or both. With --warning or --critical it is a Nagios plugin:\n" +
			"one line with perfdata, and 0, 1 or 2 by the age of the oldest result that is not delivered yet. 1 also where results\n" +
			"were rejected or given up in the last 15 minutes, or a check file is wrong; 2 where the journal takes nothing; 3: nobody answered.\n" +
			"What the core has taken rests for 10 s more in case it dies, and does not count as waiting.\n\n" +
			"Example: massive-passive status --warning 5m --critical 30m",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "state-dir", DefaultText: "the client's and the server's default",
				Usage: "`DIR` that the client or server has its journal in; may be repeated"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a process, with everything"},
			&cli.BoolFlag{Name: "all", Usage: "list every client of a server, not only those that were not heard of for longest"},
			&cli.StringFlag{Name: "warning", Aliases: []string{"w"}, Usage: "plugin: WARNING if the oldest result waits for longer than `DURATION`, as 5m or 300"},
			&cli.StringFlag{Name: "critical", Aliases: []string{"c"}, Usage: "plugin: CRITICAL if it waits for longer than `DURATION`"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return wrong(c.Args().First(), "there is no such option; `massive-passive status --help` lists them")
			}
			o := Options{StateDirs: c.StringSlice("state-dir"), JSON: c.Bool("json"), All: c.Bool("all")}
			for option, to := range map[string]*time.Duration{"warning": &o.Thresholds.Warning, "critical": &o.Thresholds.Critical} {
				if err := parseDuration(c, option, to); err != nil {
					return err
				}
			}
			return Run(c.Context, env, o)
		},
	}
}

func parseDuration(c *cli.Context, option string, to *time.Duration) error {
	if !c.IsSet(option) {
		return nil
	}
	text := c.String(option)
	d, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); err != nil && numErr == nil && seconds < 1e9 {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return wrong("--"+option, fmt.Sprintf("%q is no length of time over 0: give one as 90s, 5m or 300", text))
	}
	*to = d
	return nil
}

// Options say what `status` shows.
type Options struct {
	StateDirs  []string // empty: those of Env that are in use
	JSON       bool
	All        bool
	Thresholds Thresholds // where one is given: be a plugin
}

// wrong says what is wrong with an option, with a plugin's exit code for that.
func wrong(name, problem string) error { return option.WrongWith(int(Unknown), name, problem) }

// Exit ends the program with a plugin's exit code after all was said.
type Exit struct{ State State }

func (e *Exit) Error() string { return "" }

// ExitCode is the state.
func (e *Exit) ExitCode() int { return int(e.State) }

// unanswered says that nobody, or not everybody, answered.
type unanswered struct{ error }

func (unanswered) ExitCode() int { return int(Unknown) }

// Run asks and shows. An error has the exit code of a plugin.
func Run(ctx context.Context, env Env, o Options) error {
	if t := o.Thresholds; t.Warning > 0 && t.Critical > 0 && t.Warning > t.Critical {
		return wrong("--warning", fmt.Sprintf("%v is over --critical %v: then nothing would only be worth a warning", t.Warning, t.Critical))
	}
	pages, failures := collect(ctx, env, o.StateDirs)
	if o.Thresholds.asked() && !o.JSON {
		line, state := o.Thresholds.Line(pages, failures)
		fmt.Fprintln(env.Stdout, line)
		if state == OK {
			return nil
		}
		return &Exit{state}
	}
	for i, p := range pages {
		if err := show(env.Stdout, p, o, i > 0); err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		return unanswered{errors.Join(failures...)}
	}
	if _, state := o.Thresholds.Line(pages, nil); o.Thresholds.asked() && state != OK {
		return &Exit{state}
	}
	return nil
}

func show(w io.Writer, p *Page, o Options, again bool) error {
	if o.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(p)
	}
	if again {
		fmt.Fprintln(w)
	}
	_, err := io.WriteString(w, p.Text(o.All))
	return err
}

// collect asks every process. Of the default directories one without a socket
// is not in use, as long as there is another.
func collect(ctx context.Context, env Env, dirs []string) (pages []*Page, failures []error) {
	defaults := len(dirs) == 0
	if defaults {
		dirs = env.StateDirs
	}
	var absent []error
	for _, dir := range dirs {
		page, err := Fetch(ctx, dir)
		var silent *SilentError
		switch {
		case err == nil:
			pages = append(pages, page)
		case defaults && errors.As(err, &silent) && silent.Absent():
			absent = append(absent, err)
		default:
			failures = append(failures, err)
		}
	}
	if len(pages)+len(failures) == 0 {
		failures = absent
	}
	return pages, failures
}
