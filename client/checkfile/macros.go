package checkfile

import (
	"regexp"
	"slices"
	"sync"
)

var (
	// aMacro is what a core replaces in a command: $USER1$, $HOSTADDRESS:web1$,
	// $_HOSTCOMMUNITY$, and Icinga 2's $address$, $disk_wfree$ and $host.vars.port$.
	// Other words between dollar signs may be a part of a password.
	aMacro = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\$(_?[A-Z][A-Z0-9_]*|address6?|[a-z]+_[a-z0-9_]+|(?:host|service|user|icinga)\.[A-Za-z0-9_.]+)(:[^$\s]*)?\$`)
	})
	// aKnownMacro is one by its name alone: to a shell, $A$B is two variables, and
	// in a pattern $ is the end of a line.
	aKnownMacro = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\$((?:USER|ARG)[0-9]+|_?(?:HOST|SERVICE|CONTACT)[A-Z0-9_]*)(:[^$\s]*)?\$`)
	})
)

// macros are those of a core that are left in a command as it is written, each
// once. A name that the plugin's environment has is none.
func macros(command node, byShell bool, env map[string]string) (found []string) {
	pattern, texts := aMacro(), []string{command.str}
	if byShell {
		pattern = aKnownMacro()
	}
	for _, word := range command.items {
		texts = append(texts, word.str)
	}
	for _, text := range texts {
		for _, at := range pattern.FindAllStringSubmatch(text, -1) {
			name := "$" + at[1] + "$"
			if _, ours := env[at[1]]; !ours && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	return found
}
