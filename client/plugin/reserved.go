package plugin

// ownWord holds the first words that have a meaning in a shell only: reserved
// words, and commands that change or ask the shell itself, for which there is
// no program. Commands that exist both ways (echo, printf, test, true) are not
// here: run as programs they do the same without a shell. It is read only.
var ownWord = map[string]bool{
	"!": true, "{": true, "}": true, "case": true, "do": true, "done": true, "elif": true, "else": true,
	"esac": true, "fi": true, "for": true, "function": true, "if": true, "in": true, "select": true,
	"then": true, "time": true, "until": true, "while": true, "[[": true, "]]": true,

	".": true, ":": true, "alias": true, "bg": true, "break": true, "builtin": true, "cd": true,
	"command": true, "continue": true, "declare": true, "eval": true, "exec": true, "exit": true,
	"export": true, "fc": true, "fg": true, "getopts": true, "hash": true, "jobs": true, "let": true,
	"local": true, "read": true, "readonly": true, "return": true, "set": true, "shift": true,
	"source": true, "times": true, "trap": true, "type": true, "typeset": true, "ulimit": true,
	"umask": true, "unalias": true, "unset": true, "wait": true,
}
