package sender

import (
	"fmt"
	"strconv"
	"strings"
)

// arrange rewrites a command line of any of today's send_nsca programs into
// the one form that the option parser reads: `--name=value`, flags one by one,
// and bare words behind all options.
//
// A word that is an option's whole name counts as that (NSCA: -to 10, -ds ';');
// any other is taken apart as getopt does it (NSCA-ng: -vv, -p5668, -Cd;).
func arrange(args []string, known []optionName) []string {
	var options, bare []string
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			bare = append(bare, args...)
			args = nil
		case len(word) < 2 || word[0] != '-':
			bare = append(bare, word)
		default:
			var rest []string
			options, rest = readOption(options, word, args, known)
			args = rest
		}
	}
	if n := len(options); n > 0 {
		if o, known := find(known, strings.TrimLeft(options[n-1], "-")); known && o.takesValue() {
			return options // the parser says that its value is missing, unless something follows
		}
	}
	return append(append(options, "--"), bare...)
}

// readOption appends what one word stands for, and takes its value off args.
func readOption(done []string, word string, args []string, known []optionName) (options, rest []string) {
	name := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
	before, value, assigned := strings.Cut(name, "=")
	o, whole := find(known, before)
	switch {
	case whole && assigned && (o.takesValue() || strings.HasPrefix(word, "--")) && (len(before) > 1 || strings.HasPrefix(word, "--")):
		return append(done, "--"+o.names[0]+"="+value), args
	case whole && !assigned && !o.takesValue():
		return append(done, "--"+o.names[0]), args
	case whole && !assigned && len(args) > 0:
		return append(done, "--"+o.names[0]+"="+args[0]), args[1:]
	case whole && !assigned, strings.HasPrefix(word, "--"):
		return append(done, word), args // the parser says what is wrong
	}
	var letters []string
	for i, letter := range name {
		o, ok := find(known, string(letter))
		switch {
		case !ok:
			return append(done, word), args // the parser names the word
		case !o.takesValue():
			letters = append(letters, "--"+o.names[0])
		case i+1 < len(name):
			return append(append(done, letters...), "--"+o.names[0]+"="+name[i+1:]), args
		case len(args) > 0:
			return append(append(done, letters...), "--"+o.names[0]+"="+args[0]), args[1:]
		default:
			return append(done, word), nil
		}
	}
	return append(done, letters...), args
}

// parseDelimiter reads a delimiter as both send_nsca programs do: a character,
// a C escape, or, where it is longer and begins with a digit, a number (0x09,
// 011, 9). Of anything else the first byte counts, as in NSCA.
func parseDelimiter(text string) (byte, error) {
	switch {
	case text == "":
		return 0, fmt.Errorf("it is empty: give a character, an escape as '\\n', or a number as 0x17")
	case len(text) > 1 && text[0] >= '0' && text[0] <= '9':
		n, err := strconv.ParseUint(text, 0, 8)
		if err != nil || n == 0 {
			return 0, fmt.Errorf("%q is no number of a character, from 1 to 255 (0x01 to 0xff)", text)
		}
		return byte(n), nil
	case len(text) > 1 && text[0] == '\\':
		return parseEscape(text)
	}
	return text[0], nil
}

func parseEscape(text string) (byte, error) {
	digits, base := text[1:], 8
	if text[1] == 'x' {
		digits, base = text[2:], 16
	}
	if n, err := strconv.ParseUint(digits, base, 8); err == nil && n > 0 {
		return byte(n), nil
	}
	value, _, rest, err := strconv.UnquoteChar(text, 0)
	if err != nil || rest != "" || value > 255 || value == 0 {
		return 0, fmt.Errorf("%q is no escape of one character, as '\\t', '\\n' or '\\x17'", text)
	}
	return byte(value), nil
}
