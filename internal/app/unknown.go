package app

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// unknown are variables of our prefix that no option has: a setting that
// somebody believes to be in force. A daemon says so in its log, any other
// command when it is through.
type unknown struct {
	texts []string
	said  bool
}

func (u *unknown) tell(say func(text string)) {
	if u.said {
		return
	}
	u.said = true
	for _, text := range u.texts {
		say(text)
	}
}

// ofAKubernetesService is what a cluster sets in each container for a service
// that is called massive-passive or begins so.
var ofAKubernetesService = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP)(_.+)?)$`)
})

// findUnknown looks through the environment. What another command knows is no
// mistake: one file may have the settings of several.
func findUnknown(std streams, environment []string) *unknown {
	var names []string
	known := []string{environmentPrefix + "ICINGA2_PASSWORD"} // has no option: a command line is for all to see
	for _, v := range environment {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, environmentPrefix) && !strings.HasPrefix(name, environmentPrefix+"PKI_") &&
			!ofAKubernetesService().MatchString(name) && !strings.HasPrefix(value, "tcp://") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return &unknown{}
	}
	for _, a := range applets() {
		c := a.command(std)
		bindAll(a.word, c)
		known = appendVariables(known, c)
	}
	u := &unknown{}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			u.texts = append(u.texts, fmt.Sprintf("no option has the environment variable %.200q: it sets nothing%s", name, nearestVariable(name, known)))
		}
	}
	return u
}

func appendVariables(known []string, c *cli.Command) []string {
	for _, f := range c.Flags {
		if of := variables(f); of != nil {
			known = append(known, *of...)
		}
	}
	for _, sub := range c.Subcommands {
		known = appendVariables(known, sub)
	}
	return known
}

// nearestVariable suggests the variable that a wrong one is nearest to, if it is
// near. pki's are for who knows them.
func nearestVariable(wrong string, known []string) string {
	rest := strings.TrimPrefix(wrong, environmentPrefix)
	if len(rest) > 100 {
		return ""
	}
	best, near := max(len(rest)/3, 1)+1, ""
	for _, name := range known {
		if strings.HasPrefix(name, environmentPrefix+"PKI_") {
			continue
		}
		if d := smetrics.WagnerFischer(rest, strings.TrimPrefix(name, environmentPrefix), 1, 1, 1); d < best {
			best, near = d, name
		}
	}
	if near == "" {
		return ""
	}
	return "; did you mean " + near + "?"
}
