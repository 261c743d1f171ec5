package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// Block is one block of a PEM file.
type Block struct {
	Type    string
	Bytes   []byte
	Headers map[string]string
	Line    int // where it begins, from 1
}

// PEMError says what of a PEM file cannot be read, and where.
type PEMError struct {
	Line    int
	Problem string
}

func (e *PEMError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

const byteOrderMark = "\uFEFF"

// almost is what a damaged first or last line of a block looks like. The dashes may
// be those that a word processor made of them. It is made at its first use: every
// send would pay for it at its start.
var almost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)[-–—]{2,}[ \t]*(BEGIN|END)\b|\b(BEGIN|END) [^-–—]*[-–—]{2,}`)
})

// looksLikeLabel tells a line that almost would match, which few lines can.
func looksLikeLabel(line string) bool {
	upper := strings.ToUpper(line)
	return (strings.Contains(upper, "BEGIN") || strings.Contains(upper, "END")) && almost().MatchString(line)
}

// label returns the type in the first or last line of a block, which begins with
// word, and what stands behind it.
func label(line, word string) (kind, rest string, ok bool) {
	line, ok = strings.CutPrefix(line, "-----"+word+" ")
	if !ok {
		return "", "", false
	}
	kind, rest, ok = strings.Cut(line, "-----")
	return kind, rest, ok && kind != "" && kind[0] != '-' && !strings.Contains(kind, "--")
}

// header returns the parts of a line "name: value".
func header(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) {
		return "", "", false
	}
	return name, strings.TrimLeft(value, " \t"), true
}

// isBody tells a line of a certificate, key or list whose block is not there.
func isBody(line string) bool { return len(line) >= 60 && strings.HasPrefix(line, "MI") && plain(line) }

// ReadPEM reads all blocks of a PEM file. Package encoding/pem passes over what
// it cannot read, and with it over certificates and revocation lists; here that
// is a *PEMError. There may be text before, between and behind the blocks, byte
// order marks, blanks before the dashes, any line ends, and a block may begin in
// the line in which the one before ends, as when files are joined.
func ReadPEM(data []byte) ([]Block, error) {
	if len(data) > 1 && (data[0] == 0xfe && data[1] == 0xff || data[0] == 0xff && data[1] == 0xfe) {
		return nil, &PEMError{1, "the file is UTF-16: save it as ASCII or UTF-8"}
	}
	p := pemParser{}
	for line := range lines(data) {
		p.number++
		if err := p.line(line); err != nil {
			return nil, err
		}
	}
	if p.open != nil {
		return nil, &PEMError{p.open.Line, fmt.Sprintf("the block %q that begins here breaks off: its last line is missing", p.open.Type)}
	}
	return p.blocks, nil
}

// lines yields lines without their ends, which are LF, CR LF or CR.
func lines(data []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(data) > 0 {
			at := bytes.IndexAny(data, "\r\n")
			if at < 0 {
				yield(string(data))
				return
			}
			line := data[:at]
			if data[at] == '\r' && at+1 < len(data) && data[at+1] == '\n' {
				at++
			}
			data = data[at+1:]
			if !yield(string(line)) {
				return
			}
		}
	}
}

// pemParser is where ReadPEM is in the file.
type pemParser struct {
	blocks  []Block
	number  int
	open    *Block // the one that is being read
	text    strings.Builder
	headers bool // lines of the form "name: value" may still come
}

func (p *pemParser) fail(format string, args ...any) error {
	return &PEMError{p.number, fmt.Sprintf(format, args...)}
}

func (p *pemParser) line(raw string) error {
	line := strings.Trim(raw, " \t\v\f")
	for strings.HasPrefix(line, byteOrderMark) {
		line = strings.TrimLeft(strings.TrimPrefix(line, byteOrderMark), " \t")
	}
	if p.open == nil {
		return p.outside(line)
	}
	return p.inside(raw, line)
}

func (p *pemParser) outside(line string) error {
	if kind, rest, ok := label(line, "BEGIN"); ok && rest == "" {
		p.open, p.headers = &Block{Type: kind, Line: p.number}, true
		p.text.Reset()
		return nil
	}
	switch {
	case looksLikeLabel(line):
		return p.fail("%q looks like the first or last line of a block and is neither: such a line stands alone, "+
			"as -----BEGIN CERTIFICATE-----, and each last one has its first", clip(line))
	case isBody(line):
		return p.fail("there is a piece of a certificate, key or list without the line -----BEGIN …----- before it")
	case strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' && r != '\v' && r != '\f' }):
		return p.fail("there are bytes that are no text, as of a file in DER form: convert that to PEM (openssl x509 or crl -inform DER)")
	}
	return nil
}

func (p *pemParser) inside(raw, line string) error {
	if kind, rest, ok := label(line, "END"); ok {
		if kind != p.open.Type {
			return p.fail("the block %q that begins in line %d ends as %q", p.open.Type, p.open.Line, kind)
		}
		if err := p.close(); err != nil {
			return err
		}
		return p.line(rest)
	}
	if !plain(line) && looksLikeLabel(line) {
		return p.fail("the block %q that begins in line %d breaks off: %q is not its last line", p.open.Type, p.open.Line, clip(line))
	}
	if p.headers {
		if line == "" {
			p.headers = p.open.Headers == nil // blank lines before the first
			return nil
		}
		if name, value, ok := header(line); ok {
			if p.open.Headers == nil {
				p.open.Headers = map[string]string{}
			}
			p.open.Headers[name] = value
			return nil
		}
		if p.open.Headers != nil && (raw[0] == ' ' || raw[0] == '\t') {
			return nil // the line before goes on
		}
		p.headers = false
	}
	if p.foreign() {
		return nil
	}
	if plain(line) { // as all of them in files of millions of lines are
		p.text.WriteString(line)
		return nil
	}
	for _, r := range line {
		switch {
		case r == ' ' || r == '\t':
		case r < utf8.RuneSelf && strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", r):
			p.text.WriteRune(r)
		default:
			return p.fail("%q does not belong into a block %q: the file is damaged", r, p.open.Type)
		}
	}
	return nil
}

// plain tells a line that holds base64 and nothing else.
func plain(line string) bool {
	for i := range len(line) {
		c := line[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return true
}

// foreign tells a block of a format that only looks like PEM: its checksum is no
// base64 of it.
func (p *pemParser) foreign() bool { return strings.HasPrefix(p.open.Type, "PGP ") }

func (p *pemParser) close() error {
	b := *p.open
	p.open = nil
	var err error
	if b.Bytes, err = base64.StdEncoding.Strict().DecodeString(p.text.String()); err != nil {
		return &PEMError{b.Line, fmt.Sprintf("the block %q that begins here is damaged: %v", b.Type, err)}
	}
	if problem := mislabelled(b); problem != "" {
		return &PEMError{b.Line, problem}
	}
	p.blocks = append(p.blocks, b)
	return nil
}

// IsCertificate tells a block that holds a certificate.
func (b Block) IsCertificate() bool {
	return b.Type == "CERTIFICATE" || b.Type == "TRUSTED CERTIFICATE" || b.Type == "X509 CERTIFICATE"
}

const listType = "X509 CRL"

// mislabelled says that a block would be passed over because of its label,
// though what is in it is what is looked for.
func mislabelled(b Block) string {
	if b.IsCertificate() || b.Type == listType {
		return ""
	}
	if _, err := x509.ParseCertificate(b.Bytes); err == nil {
		return fmt.Sprintf("the block %q that begins here is a certificate: its first and last line must say CERTIFICATE", b.Type)
	}
	if _, err := x509.ParseRevocationList(b.Bytes); err == nil {
		return fmt.Sprintf("the block %q that begins here is a revocation list: its first and last line must say %s", b.Type, listType)
	}
	return ""
}

func clip(line string) string {
	const most = 60
	if len(line) > most {
		return line[:most] + "…"
	}
	return line
}

// isDER tells data that is one DER sequence of more than 127 bytes.
func isDER(data []byte) bool {
	return len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80 && data[1] <= 0x84
}

// Parse reads all certificates of a PEM file, at least one. from is
// what its errors call the file. Whole blocks of other types are passed over.
func Parse(from string, data []byte) ([]*x509.Certificate, error) {
	if isDER(data) {
		return nil, fmt.Errorf("%s %w: it is in DER form, convert it with `openssl x509 -inform DER -in OLD -out NEW`", from, ErrNoCertificate)
	}
	blocks, err := ReadPEM(data)
	if err != nil {
		return nil, fmt.Errorf("%s, %w", from, err)
	}
	var list []*x509.Certificate
	for _, b := range blocks {
		if !b.IsCertificate() {
			continue
		}
		c, err := b.Certificate()
		if err != nil {
			return nil, fmt.Errorf("certificate %d in %s, line %d: %w", len(list)+1, from, b.Line, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s %w", from, ErrNoCertificate)
	}
	return list, nil
}

// Certificate reads a certificate; one that openssl marked as trusted has more
// behind it.
func (b Block) Certificate() (*x509.Certificate, error) {
	der := b.Bytes
	if b.Type == "TRUSTED CERTIFICATE" {
		var first asn1.RawValue
		if _, err := asn1.Unmarshal(der, &first); err == nil {
			der = first.FullBytes
		}
	}
	return x509.ParseCertificate(der)
}
