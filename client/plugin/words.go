package plugin

import (
	"fmt"
	"strings"
)

// split cuts a line into words where it holds nothing but plain words and
// quotes. replaced are the names of env that a value was put in for. plain is
// false where the line needs a shell, and words is nil then.
//
// What is in doubt goes to the shell, because a shell reads a plain line
// rightly, but a line with syntax in it is read wrongly by whoever does not
// know that syntax.
func split(line string, env map[string]string) (words, replaced []string, plain bool, err error) {
	s := scanner{rest: strings.Trim(line, " \t\n"), env: env}
	if s.rest == "" {
		return nil, nil, false, fmt.Errorf("the command is empty")
	}
	for s.rest != "" {
		s.rest = strings.TrimLeft(s.rest, " \t")
		if !s.scanWord() {
			return nil, nil, false, s.err
		}
		words = append(words, s.word.String())
	}
	if needsShell(words[0]) {
		return nil, nil, false, nil
	}
	return words, s.replaced, true, nil
}

// scanner takes one word after the other from the front of rest.
type scanner struct {
	rest string
	env  map[string]string
	word strings.Builder
	// started is set when the first word, the only one in which an assignment
	// is one, has been read.
	started  bool
	replaced []string // names of env
	err      error
}

// scanWord reads the word that rest begins with. It returns false where the
// line needs a shell, or with err set where even a shell could not read it.
func (s *scanner) scanWord() bool {
	s.word.Reset()
	bare := true // nothing but unquoted letters so far
	for begin := true; s.rest != ""; begin = false {
		c := s.rest[0]
		switch {
		case c == ' ' || c == '\t':
			s.started = true
			return true
		case c == '\'' || c == '"':
			bare = false
			if !s.scanQuoted(c) {
				return false
			}
		case c == '$':
			bare = false
			if !s.scanVariable() {
				return false
			}
		case c == '=' && bare && !s.started && IsName(strings.TrimSuffix(s.word.String(), "+")):
			return false // an assignment
		case strings.IndexByte("|&;<>()`\\*?[\n", c) >= 0:
			return false
		case begin && (c == '#' || c == '~'):
			return false
		case c == '~' && strings.IndexByte("=:", s.last()) >= 0:
			return false // some shells expand it there
		default:
			s.take(1)
		}
	}
	return true
}

// last is the byte that the word ends with so far.
func (s *scanner) last() byte {
	if s.word.Len() == 0 {
		return 0
	}
	return s.word.String()[s.word.Len()-1]
}

// take moves n bytes from the line to the word.
func (s *scanner) take(n int) {
	s.word.WriteString(s.rest[:n])
	s.rest = s.rest[n:]
}

// scanQuoted reads what stands between two quotes of one kind.
func (s *scanner) scanQuoted(quote byte) bool {
	opened := s.rest
	s.rest = s.rest[1:]
	for s.rest != "" {
		c := s.rest[0]
		switch {
		case c == quote:
			s.rest = s.rest[1:]
			return true
		case c == '$' && quote == '\'':
			s.replaceVariable()
		case c == '$':
			if !s.scanVariable() {
				return false
			}
		case quote == '"' && (c == '`' || c == '\\'):
			return false
		default:
			s.take(1)
		}
	}
	s.err = fmt.Errorf("the quote %c that begins at %q has no end", quote, cut(opened, 40))
	return false
}

// scanVariable reads a dollar sign and what belongs to it, outside of single
// quotes. It returns false where the shell gives it a meaning other than that
// of a plain variable.
func (s *scanner) scanVariable() bool {
	if s.replaceVariable() || s.rest == "" {
		return true
	}
	// After a dollar sign that was left alone: the parameters and expansions
	// that only a shell knows. In double quotes a quote after a dollar sign
	// ends them, outside of them some shells read $'...' and $"..." as another
	// kind of quote.
	return strings.IndexByte("{(@*#?-$!'\"0123456789", s.rest[0]) < 0
}

// replaceVariable takes a dollar sign from the line. Where it begins $NAME or
// ${NAME} the whole of that is taken, and replaced if env has the name; it then
// returns true. Otherwise the dollar sign alone is taken as it is.
func (s *scanner) replaceVariable() bool {
	name, length := variable(s.rest)
	if name == "" {
		s.take(1)
		return false
	}
	value, ok := s.env[name]
	if !ok {
		s.take(length)
		return true
	}
	s.replaced = append(s.replaced, name)
	s.word.WriteString(value)
	s.rest = s.rest[length:]
	return true
}

// variable returns the name in a text that begins with $NAME or ${NAME}, and
// the length of the whole; an empty name where the text does not.
func variable(text string) (name string, length int) {
	braced := strings.HasPrefix(text, "${")
	begin := 1
	if braced {
		begin = 2
	}
	end := begin
	for end < len(text) && isNameByte(text[end], end == begin) {
		end++
	}
	if !braced {
		return text[begin:end], end
	}
	if end == len(text) || text[end] != '}' {
		return "", 0
	}
	return text[begin:end], end + 1
}

// IsName tells whether a shell takes text as the name of a variable.
func IsName(text string) bool {
	for i := range len(text) {
		if !isNameByte(text[i], i == 0) {
			return false
		}
	}
	return text != ""
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

// cut shortens a text that is shown to somebody.
func cut(text string, most int) string {
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
