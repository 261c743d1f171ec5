package checkfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxSize is the most that a check file may have, in bytes.
	MaxSize = 1 << 20
	// maxDepth is far more than a check file needs.
	maxDepth = 16
)

// kind is a type of JSON values, by the name that an author knows it by.
type kind string

const (
	text   kind = "a string"
	number kind = "a number"
	truth  kind = "true or false"
	null   kind = "null"
	list   kind = "a list"
	object kind = "an object"
)

// node is a JSON value that knows where it stands.
type node struct {
	kind   kind
	offset int
	str    string // of a string its content, of a number and a truth value its text
	items  []node
	fields []field
}

// field is a key of an object with its value, in the order of the file.
type field struct {
	key    string
	offset int
	value  node
}

// show is the value as an error quotes it.
func (n node) show() string {
	switch n.kind {
	case text:
		const most = 80
		if utf8.RuneCountInString(n.str) > most {
			return strconv.Quote(string([]rune(n.str)[:most])) + "..."
		}
		return strconv.Quote(n.str)
	case number, truth, null:
		return n.str
	}
	return ""
}

// parse reads a file's text. The result is an object.
func (s *source) parse() (node, error) {
	if err := s.checkText(); err != nil {
		return node{}, err
	}
	// The whole first: only this way the package says where exactly an error is.
	if err := json.Unmarshal(s.text, new(json.RawMessage)); err != nil {
		return node{}, s.syntaxError(err)
	}
	t := tokens{source: s, decoder: json.NewDecoder(bytes.NewReader(s.text))}
	t.decoder.UseNumber()
	n, err := t.value(0)
	if err != nil {
		return node{}, err
	}
	if n.kind != object {
		return node{}, s.broken(n.offset, "the file holds %s; a check is an object: {\"check_description\": ..., ...}", n.kind)
	}
	return n, nil
}

// checkText finds what keeps the file from being JSON text at all.
func (s *source) checkText() error {
	if len(s.text) > MaxSize {
		return s.whole("", "the file is larger than %d bytes, which no check file is", MaxSize)
	}
	s.text = bytes.TrimPrefix(s.text, []byte("\ufeff"))
	if bytes.HasPrefix(s.text, []byte("\xff\xfe")) || bytes.HasPrefix(s.text, []byte("\xfe\xff")) {
		return s.whole("", "the file is written in UTF-16; save it as UTF-8")
	}
	for i := 0; i < len(s.text); {
		r, size := utf8.DecodeRune(s.text[i:])
		if r == utf8.RuneError && size == 1 {
			return s.broken(i, "the byte 0x%02x is not UTF-8; save the file as UTF-8", s.text[i])
		}
		i += size
	}
	lines, comments := 0, 0
	for l := range bytes.Lines(s.text) {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			lines++
			if l[0] == '#' {
				comments++
			}
		}
	}
	switch {
	case lines == 0:
		return s.whole("", "the file is empty")
	case lines == comments:
		return s.whole("", "every line is commented out; take away the # of each line to use this check")
	}
	return nil
}

// syntaxError says where a text stops to be JSON, and the likely reason.
func (s *source) syntaxError(err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return s.whole("", "not JSON: %v", err)
	}
	at := min(max(int(syntax.Offset)-1, 0), len(s.text)-1)
	message := syntax.Error()
	hint := ""
	switch before := bytes.TrimRight(s.text[:at], " \t\r\n"); {
	case strings.HasPrefix(message, "unexpected end"):
		hint = "; a closing bracket or quote is missing"
	case s.text[at] == '#' || s.text[at] == '/':
		hint = "; JSON has no comments"
	case strings.Contains(message, "after object key:value pair"), strings.Contains(message, "after array element"):
		hint = "; is a comma missing before it?"
	case bytes.HasSuffix(before, []byte(",")) && (s.text[at] == '}' || s.text[at] == ']'):
		hint = "; the comma before it is one too many"
	case strings.Contains(message, "in string literal"):
		hint = "; a string ends on its line, and line breaks and tabs in it are written \\n and \\t"
	case strings.Contains(message, "after top-level value"):
		hint = "; a file holds one check and nothing after it"
	}
	return s.broken(at, "not JSON: %s%s", message, hint)
}

// tokens builds nodes from a text that is known to be JSON.
type tokens struct {
	source  *source
	decoder *json.Decoder
}

// next returns a token and where it begins.
func (t *tokens) next() (json.Token, int, error) {
	at := int(t.decoder.InputOffset())
	for at < len(t.source.text) && strings.IndexByte(" \t\r\n,:", t.source.text[at]) >= 0 {
		at++
	}
	token, err := t.decoder.Token()
	if err != nil {
		return nil, at, t.source.broken(at, "not JSON: %v", err)
	}
	return token, at, nil
}

func (t *tokens) value(depth int) (node, error) {
	token, at, err := t.next()
	if err != nil {
		return node{}, err
	}
	if depth > maxDepth {
		return node{}, t.source.broken(at, "more than %d lists and objects inside one another", maxDepth)
	}
	switch v := token.(type) {
	case string:
		return node{kind: text, offset: at, str: v}, nil
	case json.Number:
		return node{kind: number, offset: at, str: v.String()}, nil
	case bool:
		return node{kind: truth, offset: at, str: strconv.FormatBool(v)}, nil
	case nil:
		return node{kind: null, offset: at, str: "null"}, nil
	case json.Delim:
		if v == '[' {
			return t.list(at, depth)
		}
		return t.object(at, depth)
	}
	return node{}, t.source.broken(at, "not JSON: unexpected %s", fmt.Sprint(token))
}

func (t *tokens) list(at, depth int) (node, error) {
	n := node{kind: list, offset: at}
	for t.decoder.More() {
		item, err := t.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, item)
	}
	_, _, err := t.next() // the closing bracket
	return n, err
}

func (t *tokens) object(at, depth int) (node, error) {
	n := node{kind: object, offset: at}
	for t.decoder.More() {
		key, keyAt, err := t.next()
		if err != nil {
			return node{}, err
		}
		value, err := t.value(depth + 1)
		if err != nil {
			return node{}, err
		}
		n.fields = append(n.fields, field{key: fmt.Sprint(key), offset: keyAt, value: value})
	}
	_, _, err := t.next() // the closing brace
	return n, err
}
