package plugin

// needsShell says whether a first word has a meaning in a shell only: reserved
// words, and commands that change or ask the shell itself, for which there is
// no program. Commands that exist both ways (echo, printf, test, true) are not
// among them: run as programs they do the same without a shell.
func needsShell(word string) bool {
	switch word {
	case "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in",
		"select", "then", "time", "until", "while", "[[", "]]":
		return true
	case ".", ":", "alias", "bg", "break", "builtin", "cd", "command", "continue", "declare", "eval", "exec",
		"exit", "export", "fc", "fg", "getopts", "hash", "jobs", "let", "local", "read", "readonly", "return", "set",
		"shift", "source", "times", "trap", "type", "typeset", "ulimit", "umask", "unalias", "unset", "wait":
		return true
	}
	return false
}
