package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The most that a policy's list and one pattern in it may have.
const (
	maxPatterns = 10000
	maxPattern  = 1024 // bytes
)

// commonName stands, within a pattern, for the common name of the client's
// certificate.
const commonName = "$CN"

// patterns are what a list allows: what at least one of them matches and no
// one that begins with "!". A list of such exclusions alone allows the rest.
type patterns struct {
	allow, deny []pattern
}

// pattern is a shell pattern, compiled. It matches a whole text: * any
// characters, / included, ? one, [a-z] one of a set, [!a-z] one of all others;
// a backslash takes the meaning from what follows it.
type pattern []token

type token struct {
	kind   byte // one of the constants below
	text   string
	negate bool
	ranges [][2]rune
}

const (
	star    byte = '*'
	single  byte = '?'
	charset byte = '['
	literal byte = 'a'
)

// parsePatterns reads a list. In it $CN is each of names in turn; without a
// name such a pattern matches nothing, and is an error where it should exclude
// somebody. check is what else a pattern must stand; nil: nothing.
func parsePatterns(list, names []string, check func(pattern) error) (patterns, error) {
	var p patterns
	if len(list) > maxPatterns {
		return p, fmt.Errorf("%d patterns are more than %d", len(list), maxPatterns)
	}
	for _, text := range list {
		if len(text) > maxPattern {
			return patterns{}, fmt.Errorf("a pattern of %d bytes is longer than %d", len(text), maxPattern)
		}
		bare, deny := strings.CutPrefix(text, "!")
		expanded := []string{bare}
		if strings.Contains(bare, commonName) {
			expanded = expand(bare, names)
			if _, err := parsePattern(strings.ReplaceAll(bare, commonName, "x")); err != nil {
				return patterns{}, fmt.Errorf("pattern %q: %w", text, err)
			}
			if deny && len(expanded) == 0 {
				return patterns{}, fmt.Errorf("pattern %q would exclude nothing: no certificate of this client has a common name", text)
			}
		}
		for _, e := range expanded {
			compiled, err := parsePattern(e)
			if err == nil && check != nil {
				err = check(compiled)
			}
			if err != nil {
				return patterns{}, fmt.Errorf("pattern %q: %w", text, err)
			}
			if deny {
				p.deny = append(p.deny, compiled)
			} else {
				p.allow = append(p.allow, compiled)
			}
		}
	}
	if len(list) > 0 && !hasAllowing(list) {
		p.allow = []pattern{{token{kind: star}}}
	}
	return p, nil
}

func hasAllowing(list []string) bool {
	for _, text := range list {
		if !strings.HasPrefix(text, "!") {
			return true
		}
	}
	return false
}

// expand puts each name in the place of $CN, as itself and not as a pattern.
func expand(text string, names []string) []string {
	var all []string
	for _, name := range names {
		if name == "" {
			continue
		}
		var quoted strings.Builder
		for _, c := range name {
			quoted.WriteByte('\\')
			quoted.WriteRune(c)
		}
		all = append(all, strings.ReplaceAll(text, commonName, quoted.String()))
	}
	return all
}

var (
	errEmptyPattern = errors.New("is empty")
	errOpenSet      = errors.New("a [ without its ]: write \\[ for the character")
	errLastEscape   = errors.New("ends in a backslash that escapes nothing")
)

func parsePattern(text string) (pattern, error) {
	if text == "" {
		return nil, errEmptyPattern
	}
	var p pattern
	for text != "" {
		var err error
		var t token
		switch text[0] {
		case star:
			text = strings.TrimLeft(text, "*")
			t.kind = star
		case single:
			text = text[1:]
			t.kind = single
		case charset:
			t, text, err = parseSet(text[1:])
		default:
			t, text, err = parseLiteral(text)
		}
		if err != nil {
			return nil, err
		}
		p = append(p, t)
	}
	return p, nil
}

func parseLiteral(text string) (t token, rest string, err error) {
	var b strings.Builder
	for text != "" && !strings.ContainsRune("*?[", rune(text[0])) {
		if text[0] == '\\' {
			if text = text[1:]; text == "" {
				return token{}, "", errLastEscape
			}
		}
		_, size := utf8.DecodeRuneInString(text)
		b.WriteString(text[:size])
		text = text[size:]
	}
	return token{kind: literal, text: b.String()}, text, nil
}

// parseSet reads what follows a "[". A "]" that comes first belongs to the set.
func parseSet(text string) (t token, rest string, err error) {
	t.kind = charset
	if text, t.negate = strings.CutPrefix(text, "!"); !t.negate {
		text, t.negate = strings.CutPrefix(text, "^")
	}
	for first := true; ; first = false {
		if text == "" {
			return token{}, "", errOpenSet
		}
		if text[0] == ']' && !first {
			return t, text[1:], nil
		}
		var from, to rune
		if from, text, err = setRune(text); err != nil {
			return token{}, "", err
		}
		to = from
		if len(text) > 1 && text[0] == '-' && text[1] != ']' {
			if to, text, err = setRune(text[1:]); err != nil {
				return token{}, "", err
			}
		}
		if to < from {
			return token{}, "", fmt.Errorf("the range %c-%c is the wrong way round", from, to)
		}
		t.ranges = append(t.ranges, [2]rune{from, to})
	}
}

func setRune(text string) (r rune, rest string, err error) {
	if text[0] == '\\' {
		if text = text[1:]; text == "" {
			return 0, "", errLastEscape
		}
	}
	r, size := utf8.DecodeRuneInString(text)
	return r, text[size:], nil
}

func (p *patterns) match(text string) bool {
	return matchAny(p.allow, text) && !matchAny(p.deny, text)
}

// matchHost is match for a host that has an address as well, by which it may be
// excluded. It is allowed by that only where the address is written out: a pattern
// is meant for names, and an address that it happens to match is no name.
func (p *patterns) matchHost(name, address string) bool {
	if address == "" {
		return p.match(name)
	}
	written := func(one pattern) bool { return one.exact() && one.match(address) }
	return (matchAny(p.allow, name) || slices.ContainsFunc(p.allow, written)) && !matchAny(p.deny, name) && !matchAny(p.deny, address)
}

// exact tells whether it matches one text only.
func (p pattern) exact() bool { return len(p) == 1 && p[0].kind == literal }

// all tells whether it matches every text.
func (p pattern) all() bool { return len(p) == 1 && p[0].kind == star }

func matchAny(list []pattern, text string) bool {
	for _, p := range list {
		if p.match(text) {
			return true
		}
	}
	return false
}

// match takes a time of at most the product of both lengths: of several stars
// only the last is ever tried again.
func (p pattern) match(text string) bool {
	at, last, resume := 0, -1, ""
	for text != "" || at < len(p) {
		if at < len(p) && p[at].kind == star {
			last, resume = at, text
			at++
			continue
		}
		if at < len(p) {
			if rest, ok := p[at].take(text); ok {
				text = rest
				at++
				continue
			}
		}
		if last < 0 || resume == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(resume)
		resume = resume[size:]
		at, text = last+1, resume
	}
	return true
}

// take matches one token, which is no star, at the begin of text.
func (t *token) take(text string) (rest string, ok bool) {
	if t.kind == literal {
		return strings.CutPrefix(text, t.text)
	}
	if text == "" {
		return text, false
	}
	r, size := utf8.DecodeRuneInString(text)
	return text[size:], t.kind == single || t.in(r) != t.negate
}

func (t *token) in(r rune) bool {
	for _, bounds := range t.ranges {
		if bounds[0] <= r && r <= bounds[1] {
			return true
		}
	}
	return false
}
