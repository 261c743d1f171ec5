package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"massive-passive/wire/check"
)

// maxPolicy is the most bytes of a policy file.
const maxPolicy = 1 << 20

// policy says what one client may send. A nil list was left out.
type policy struct {
	hosts, services, commands *patterns
}

// PolicyError says that a client is refused because its policy is bad: nobody
// can know what it may send.
type PolicyError struct {
	Client string
	Err    error
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("the policy of client %q cannot be used: %v", e.Client, e.Err)
}

func (e *PolicyError) Unwrap() error { return e.Err }

// readPolicy reads what a policy file says. names are the common names of the
// client's certificates.
func readPolicy(file string, data []byte, names []string) (*policy, error) {
	data = bytes.TrimPrefix(data, byteOrderMark) // as some editors begin a file
	p, at, err := parsePolicy(data, names)
	if err != nil {
		line, column := position(data, at)
		return nil, fmt.Errorf("%s:%d:%d: %w", file, line, column, err)
	}
	return p, nil
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// position returns the line and the column, in characters, of a byte of data,
// each from 1 on.
func position(data []byte, at int64) (line, column int) {
	before := string(data[:min(max(at, 0), int64(len(data)))])
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// parsePolicy reads {"hosts": [...], "services": [...], "commands": [...]}. A
// key that is misspelt, or there twice, would let more pass than was meant: it
// is an error. With one it returns the byte that it is about.
func parsePolicy(data []byte, names []string) (p *policy, at int64, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, next(data, 0), fmt.Errorf(`is no JSON object like {"hosts": ["web*"]}%s`, why(err))
	}
	p = &policy{}
	for d.More() {
		at := next(data, d.InputOffset())
		key, err := d.Token()
		if err != nil {
			return nil, next(data, d.InputOffset()), fmt.Errorf("is no good JSON%s", why(err))
		}
		var list []string
		if err := d.Decode(&list); err != nil {
			return nil, at, fmt.Errorf("%q: give a list of patterns%s", key, why(err))
		}
		if list == nil {
			return nil, at, fmt.Errorf("%q: give a list of patterns, not null", key)
		}
		if err := p.set(key.(string), list, names); err != nil { // a key is a string
			return nil, at, fmt.Errorf("%q: %w", key, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, next(data, d.InputOffset()), fmt.Errorf("is no good JSON%s", why(err))
	}
	end := next(data, d.InputOffset())
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, end, errors.New("goes on behind its last }")
	}
	return p, 0, nil
}

// next is the place of the first byte, from at on, that means something.
func next(data []byte, at int64) int64 {
	rest := bytes.TrimLeft(data[at:], " \t\r\n,")
	return int64(len(data) - len(rest))
}

func why(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (p *policy) set(key string, list, names []string) error {
	lists := map[string]**patterns{"hosts": &p.hosts, "services": &p.services, "commands": &p.commands}
	at, known := lists[key]
	if !known {
		return errors.New("is none of hosts, services and commands")
	}
	if *at != nil {
		return errors.New("is there twice")
	}
	var check func(pattern) error
	if key == "commands" {
		check = pattern.checkCommand
	}
	parsed, err := parsePatterns(list, names, check)
	if err != nil {
		return err
	}
	*at = &parsed
	return nil
}

// Commands are patterns of external commands that all clients may send, but
// for those whose policy names its own.
type Commands struct{ patterns }

// ParseCommands reads them. A pattern without a ";" is for a command's name,
// one with it for the whole command.
func ParseCommands(list []string) (Commands, error) {
	for _, text := range list {
		if strings.Contains(text, commonName) {
			return Commands{}, fmt.Errorf("pattern %q: %s has a meaning in a client's NAME.json only", text, commonName)
		}
	}
	p, err := parsePatterns(list, nil, pattern.checkCommand)
	return Commands{p}, err
}

// namesOnly tells that the policy bounds hosts by their names alone, or does not
// bound them: nobody can mean another host than it allows by that one's address.
func (p *policy) namesOnly() bool {
	if p.hosts == nil {
		return true
	}
	if len(p.hosts.deny) > 0 {
		return false
	}
	return !slices.ContainsFunc(p.hosts.allow, func(one pattern) bool { return !one.exact() && !one.all() })
}

// judge says why a client with this policy may not send r, "" if it may. address
// leads to r's host as its name does, and may be "".
func (p *policy) judge(client string, r *check.Result, address string, forAll *Commands) string {
	if r.Kind == check.Command {
		commands := p.commands
		if commands == nil {
			commands = &forAll.patterns
		}
		if !commands.matchCommand(r.Command) {
			return fmt.Sprintf("client %q may not send the external command %q", client, clip(check.CommandName(r.Command)))
		}
		return ""
	}
	if p.hosts != nil && !p.hosts.matchHost(r.Host, address) {
		if address != "" {
			return fmt.Sprintf("client %q may not send results for the host %q, whose address is %q", client, clip(r.Host), clip(address))
		}
		return fmt.Sprintf("client %q may not send results for the host %q", client, clip(r.Host))
	}
	if r.Kind == check.Service && p.services != nil && !p.services.match(r.Service) {
		return fmt.Sprintf("client %q may not send results for the service %q", client, clip(r.Service))
	}
	return ""
}

// matchCommand matches each pattern against what it is for.
func (p *patterns) matchCommand(command string) bool {
	name := check.CommandName(command)
	matches := func(one pattern) bool {
		if one.hasSemicolon() {
			return one.match(command)
		}
		return one.match(name)
	}
	return slices.ContainsFunc(p.allow, matches) && !slices.ContainsFunc(p.deny, matches)
}

func (p pattern) hasSemicolon() bool {
	return slices.ContainsFunc(p, func(t token) bool { return t.kind == literal && strings.Contains(t.text, ";") })
}

// commandLetters are those of the names of external commands.
const commandLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// checkCommand refuses a pattern that is matched against the name alone, as it
// has no ";", but looks as if arguments were meant: as an exclusion it would
// quietly exclude nothing.
func (p pattern) checkCommand() error {
	if p.hasSemicolon() {
		return nil
	}
	for _, t := range p {
		if odd := strings.Trim(t.text, commandLetters); odd != "" {
			return fmt.Errorf("no command's name can be meant, which has capitals, digits and _ only, and not %q: write a ; between the name and its arguments", odd)
		}
		if t.kind == charset && t.in(';') {
			return errors.New("write the ; that ends a command's name as itself, not in a set")
		}
	}
	return nil
}

// clip keeps a reason within what a rejection may carry.
func clip(text string) string {
	const most = 120
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
