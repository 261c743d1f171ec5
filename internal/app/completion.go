package app

import (
	"fmt"
	"slices"
	"strings"
)

// completion is the script with which a shell completes our commands.
func completion(shell string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion(), nil
	case "zsh":
		return zshCompletion(), nil
	case "fish":
		return fishCompletion(), nil
	}
	return "", fmt.Errorf("there is no completion for %q: give bash, zsh or fish", shell)
}

// completed is a command as completion sees it: options of the commands below
// it count as its own.
type completed struct {
	manual
	links []string
	below []string // words that may follow
}

func completions() []completed {
	var all []completed
	for i, m := range manuals() {
		c := completed{manual: m, links: applets()[i].links}
		for _, sub := range m.commands {
			c.below = append(c.below, strings.TrimPrefix(sub.name, m.name+" "))
			for _, o := range sub.options {
				if !slices.ContainsFunc(c.options, func(known option) bool { return known.names[0] == o.names[0] }) {
					c.options = append(c.options, o)
				}
			}
		}
		if m.word == "help" {
			c.below = slices.Concat(words(), topics(), []string{"man", "completion"})
		}
		all = append(all, c)
	}
	return all
}

// completable are the program's names but send_nsca: another package may bring
// that name, and its completion.
func completable() []string {
	return slices.DeleteFunc(Programs(), func(name string) bool { return name == "send_nsca" })
}

func bashCompletion() string {
	var b strings.Builder
	b.WriteString("# bash completion for massive-passive; made by `massive-passive help completion bash`\n" +
		"_massive_passive() {\n\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} word=${COMP_WORDS[0]##*/}\n" +
		"\tword=${word#massive-passive}; word=${word#-}\n" +
		"\tif [ -z \"$word\" ]; then\n\t\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	fmt.Fprintf(&b, "\t\t\tCOMPREPLY=($(compgen -W %q -- \"$current\"))\n\t\t\treturn\n\t\tfi\n\t\tword=${COMP_WORDS[1]}\n\tfi\n", strings.Join(words(), " "))
	b.WriteString("\tlocal words= files=\n\tcase $word in\n")
	for _, c := range completions() {
		var names, files []string
		for _, o := range c.options {
			names = append(names, o.names...)
			if o.takesPath() {
				files = append(files, o.names...)
			}
		}
		fmt.Fprintf(&b, "\t%s) words=%q files=%q ;;\n", c.word, strings.Join(append(c.below, names...), " "), strings.Join(files, " "))
	}
	b.WriteString("\tesac\n\tcase \" $files \" in\n\t*\" $previous \"*) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n" +
		"\t*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n\tesac\n}\n")
	fmt.Fprintf(&b, "complete -o filenames -F _massive_passive %s\n", strings.Join(completable(), " "))
	return b.String()
}

func zshCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# zsh completion for massive-passive; made by `massive-passive help completion zsh`\n", strings.Join(completable(), " "))
	b.WriteString("_massive_passive() {\n\tlocal word=${${service#massive-passive}#-}\n\tif [[ -z $word ]]; then\n\t\tif (( CURRENT == 2 )); then\n")
	b.WriteString("\t\t\tlocal -a commands=(\n")
	for _, c := range completions() {
		fmt.Fprintf(&b, "\t\t\t\t%s\n", zshQuote(c.word+":"+c.usage))
	}
	b.WriteString("\t\t\t)\n\t\t\t_describe command commands\n\t\t\treturn\n\t\tfi\n\t\tword=$words[2]\n\t\tshift words\n\t\t(( CURRENT-- ))\n\tfi\n\tcase $word in\n")
	for _, c := range completions() {
		fmt.Fprintf(&b, "\t%s) _arguments", c.word)
		for _, o := range c.options {
			for _, name := range o.names {
				spec := name + "[" + strings.NewReplacer("[", `\[`, "]", `\]`).Replace(o.usage) + "]"
				switch {
				case o.takesPath():
					spec += ":" + o.placeholder + ":_files"
				case o.placeholder != "":
					spec += ":" + strings.ReplaceAll(o.placeholder, ":", `\:`) + ":"
				}
				fmt.Fprintf(&b, " \\\n\t\t%s", zshQuote(spec))
			}
		}
		if len(c.below) > 0 {
			fmt.Fprintf(&b, " \\\n\t\t%s", zshQuote("1:command:("+strings.Join(c.below, " ")+")"))
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("\tesac\n}\n_massive_passive \"$@\"\n")
	return b.String()
}

func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# fish completion for massive-passive; made by `massive-passive help completion fish`\n")
	fmt.Fprintf(&b, "complete -c massive-passive -f\n")
	for _, c := range completions() {
		fmt.Fprintf(&b, "complete -c massive-passive -n __fish_use_subcommand -a %s -d %s\n", c.word, fishQuote(c.usage))
		under := []string{"massive-passive -n '__fish_seen_subcommand_from " + c.word + "'"}
		for _, link := range c.links {
			if slices.Contains(completable(), link) {
				under = append(under, link)
			}
		}
		for _, prefix := range under {
			if len(c.below) > 0 {
				fmt.Fprintf(&b, "complete -c %s -f -a %s\n", prefix, fishQuote(strings.Join(c.below, " ")))
			}
			for _, o := range c.options {
				fmt.Fprintf(&b, "complete -c %s%s -d %s\n", prefix, fishNames(o), fishQuote(o.usage))
			}
		}
	}
	return b.String()
}

func fishNames(o option) string {
	text := ""
	for _, name := range o.names {
		if bare := strings.TrimLeft(name, "-"); len(bare) == 1 {
			text += " -s " + bare
		} else {
			text += " -l " + bare
		}
	}
	switch {
	case o.takesPath():
		text += " -r -F"
	case o.placeholder != "":
		text += " -x"
	}
	return text
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
