package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/certs/certstest"
)

// twoCAs returns the PEM of two certificates, without their last newlines.
func twoCAs(t testing.TB) (a, b string) {
	t.Helper()
	var all []string
	for _, name := range []string{"CA 1", "CA 2"} {
		authority, err := certstest.New(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Cert.Raw}))))
	}
	return all[0], all[1]
}

func TestPEMThatIsRead(t *testing.T) {
	a, b := twoCAs(t)
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	for name, text := range map[string]string{
		"plain":                    a + "\n" + b + "\n",
		"no newline between":       a + b,
		"byte order marks":         byteOrderMark + a + "\n" + byteOrderMark + b,
		"a mark in the joint":      a + byteOrderMark + b,
		"CR LF":                    strings.ReplaceAll(a+"\n"+b, "\n", "\r\n"),
		"CR":                       strings.ReplaceAll(a+"\n"+b, "\n", "\r"),
		"blanks before the dashes": "  " + strings.ReplaceAll(a+"\n"+b, "\n", "\n \t"),
		"blanks behind":            strings.ReplaceAll(a+"\n"+b, "\n", "  \n"),
		"empty lines":              strings.ReplaceAll(a+"\n"+b, "\n", "\n\n"),
		"text":                     "Bag Attributes\n  friendlyName: x\n" + a + "\n====\n---------\nsubject=CN = Ä\n" + b + "\nend of it\n",
		"text in the joint":        a + "Certificate:\n    Data:\n" + b,
		"other blocks":             params + a + params + b + "\n" + params,
		"a PGP block":              "-----BEGIN PGP SIGNATURE-----\nVersion: 1\n\nAAAA\n=abcd\n-----END PGP SIGNATURE-----\n" + a + "\n" + b,
	} {
		list, err := Parse("x.pem", []byte(text))
		if err != nil || len(list) != 2 || list[0].Subject.CommonName != "CA 1" || list[1].Subject.CommonName != "CA 2" {
			t.Errorf("%s: %d certificates, %v", name, len(list), err)
		}
	}
}

func TestPEMThatIsDamaged(t *testing.T) {
	a, b := twoCAs(t)
	block, _ := pem.Decode([]byte(b))
	lines := strings.Split(b, "\n")
	n := len(strings.Split(a, "\n"))
	second := n + 1 // the line in which b begins
	bad := func(old, new string) string { return a + "\n" + strings.Replace(b, old, new, 1) + "\n" }
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"breaks off in a line":       {a + "\n" + b[:len(b)/2], second},
		"breaks off before the end":  {a + "\n" + strings.Join(lines[:len(lines)-1], "\n") + "\n", second},
		"breaks off, another comes":  {b[:len(b)/2] + "\n" + a, 0},
		"breaks off at another":      {b[:len(b)/2] + a, 0},
		"the first line is gone":     {a + "\n" + strings.Join(lines[1:], "\n"), second},
		"first and last are gone":    {a + "\n" + strings.Join(lines[1:len(lines)-1], "\n"), second},
		"four dashes first":          {bad("-----BEGIN", "----BEGIN"), second},
		"six dashes first":           {bad("-----BEGIN", "------BEGIN"), second},
		"four dashes last":           {bad("-----END CERTIFICATE-----", "-----END CERTIFICATE----"), 0},
		"dashes of a word processor": {bad("-----BEGIN", "—–BEGIN"), second},
		"lower case":                 {bad("-----BEGIN", "-----begin"), second},
		"another label at the end":   {bad("-----END CERTIFICATE", "-----END CERTIFICATF"), 0},
		"another label":              {a + "\n" + strings.ReplaceAll(b, "CERTIFICATE", "CERTIFICATF"), second},
		"a damaged character":        {bad("M", "*"), second + 1},
		"one character lost":         {bad("M", ""), second},
		"a NUL":                      {bad("M", "\x00"), second + 1},
		"commented out":              {a + "\n# " + strings.ReplaceAll(b, "\n", "\n# "), second},
		"text before the dashes":     {a + "\nold: " + b, second},
		"line ends lost":             {a + "\n" + strings.ReplaceAll(b, "\n", " "), second},
		"DER behind":                 {a + "\n" + string(block.Bytes), 0},
		"DER in the joint":           {a + string(block.Bytes), 0},
		"UTF-16":                     {"\xff\xfe-\x00-\x00", 1},
	} {
		list, err := Parse("x.pem", []byte(c.text))
		var where *PEMError
		if list != nil || !errors.As(err, &where) || !strings.Contains(err.Error(), "x.pem") {
			t.Errorf("%s: %d certificates, %v", name, len(list), err)
		} else if c.line > 0 && where.Line != c.line {
			t.Errorf("%s: line %d is named, want %d: %v", name, where.Line, c.line, err)
		}
	}
}

// Who was refused must not get in because a file of lists was damaged, neither at
// a start nor while running.
func TestDamagedRevocationLists(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	set, err := certstest.WriteSet(dir, "web1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := certstest.New("other")
	if err != nil {
		t.Fatal(err)
	}
	leaf := load(t, set.ClientCert, set.ClientKey, set.CA).Pair.Leaf()
	if err := errors.Join(set.Authority.WriteCRL(path("crl"), leaf), other.WriteCRL(path("crl2")), other.WriteCA(path("ca2"))); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(data))
	}
	write := func(name, text string) {
		if err := os.WriteFile(path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mine, theirs := read(path("crl")), read(path("crl2"))
	write("cas", read(set.CA)+"\n"+read(path("ca2")))
	der := func(text string) string { b, _ := pem.Decode([]byte(text)); return string(b.Bytes) }
	refused := func(r *Revoked) bool { return r.Check([][]*x509.Certificate{{leaf, set.Authority.Cert}}) != nil }
	for name, text := range map[string]string{
		"joined":            theirs + mine,
		"breaks off":        theirs + "\n" + mine[:len(mine)/2],
		"no last line":      theirs + "\n" + strings.TrimSuffix(mine, "-----END X509 CRL-----"),
		"damaged":           theirs + "\n" + strings.Replace(mine, "M", "*", 1),
		"of another label":  theirs + "\n" + strings.ReplaceAll(mine, "X509 CRL", "CRL"),
		"two in DER":        der(theirs) + der(mine),
		"DER behind PEM":    theirs + "\n" + der(mine),
		"more in one block": string(pem.EncodeToMemory(&pem.Block{Type: listType, Bytes: []byte(der(theirs) + der(mine))})),
		"PEM behind DER":    der(theirs) + "\n" + mine,
	} {
		write("lists", text)
		r, err := LoadRevoked(path("lists"), path("cas"), nil)
		if (err == nil) != (name == "joined") {
			t.Errorf("%s: at a start: %v", name, err)
		}
		if err == nil && !refused(r) {
			t.Errorf("%s: the client is in after a start", name)
		}
		write("lists", mine)
		var last error
		if r, err = LoadRevoked(path("lists"), path("cas"), func(_ []string, err error) { last = err }); err != nil {
			t.Fatal(err)
		}
		if got := r.Unlisted(); len(got) != 1 || !strings.Contains(got[0], "other") {
			t.Errorf("no list is known of: %q", got)
		}
		write("lists", text)
		later := time.Now().Add(time.Minute)
		os.Chtimes(path("lists"), later, later)
		if look(r.reloading); !refused(r) {
			t.Errorf("%s: the client is in after a reload", name)
		}
		if (last == nil) != (name == "joined") {
			t.Errorf("%s: at a reload: %v", name, last)
		}
	}
}

func FuzzReadPEM(f *testing.F) {
	a, b := twoCAs(f)
	for _, seed := range []string{a + b, byteOrderMark + a, a[:50], a + "\r\n" + b[5:], "text", "-----BEGIN X-----\nA: b\n\nAAAA\n-----END X-----", "\x30\x82"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks, err := ReadPEM(data)
		if err != nil {
			if blocks != nil {
				t.Error("blocks beside an error")
			}
			return
		}
		var again []byte
		for _, block := range blocks {
			again = append(again, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
		}
		second, err := ReadPEM(again)
		if err != nil || len(second) != len(blocks) {
			t.Fatalf("%d blocks, written and read again %d: %v", len(blocks), len(second), err)
		}
		for i := range second {
			if second[i].Type != blocks[i].Type || !bytes.Equal(second[i].Bytes, blocks[i].Bytes) {
				t.Fatalf("block %d changed", i)
			}
		}
		// What encoding/pem finds, this finds as well, or it is an error.
		for n, rest := 0, data; ; n++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if n >= len(blocks) {
				t.Fatalf("encoding/pem found more than %d blocks", len(blocks))
			}
		}
	})
}
