package app

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// plainUsage puts what the option parser says into words that name the option
// as it is written and what would be right. The parser's errors have no types.
func plainUsage(err error, flags []cli.Flag) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		name = strings.TrimLeft(name, "-")
		return fmt.Errorf("there is no option %s%s", dashed(name), nearest(name, flags))
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return fmt.Errorf("%s needs a value", dashed(strings.TrimLeft(name, "-")))
	}
	value, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(text, "invalid value "), "invalid boolean value "), " for ")
	if !ok || !strings.HasPrefix(text, "invalid ") {
		return err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(rest, "flag "), ":")
	name = strings.TrimLeft(name, "-")
	if wanted := wanted(name, flags); wanted != "" {
		return fmt.Errorf("%s: %s is %s", dashed(name), value, wanted)
	}
	return err
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// wanted says what the value of an option is not.
func wanted(name string, flags []cli.Flag) string {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n != name {
				continue
			}
			switch f.(type) {
			case *cli.IntFlag, *cli.Int64Flag, *cli.UintFlag, *cli.Uint64Flag:
				return "no whole number, without a unit"
			case *cli.Float64Flag:
				return "no number, without a unit"
			case *cli.BoolFlag:
				return "neither true nor false"
			}
		}
	}
	return ""
}

// nearest suggests the option that a wrong one is nearest to, if it is near.
func nearest(wrong string, flags []cli.Flag) string {
	best, near := max(len(wrong)/3, 1)+1, ""
	for _, f := range flags {
		for _, name := range f.Names() {
			if d := smetrics.WagnerFischer(wrong, name, 1, 1, 1); len(name) > 1 && d < best {
				best, near = d, name
			}
		}
	}
	if near == "" {
		return ""
	}
	return "; did you mean " + dashed(near) + "?"
}

// speakPlainly has an app and its subcommands tell usage errors in our words.
func speakPlainly(app *cli.App) {
	tell := app.OnUsageError
	app.OnUsageError = func(c *cli.Context, err error, sub bool) error { return tell(c, plainUsage(err, app.Flags), sub) }
	for _, sub := range app.Commands {
		if told := sub.OnUsageError; told != nil {
			sub.OnUsageError = func(c *cli.Context, err error, isSub bool) error {
				return told(c, plainUsage(err, sub.Flags), isSub)
			}
		}
	}
}
