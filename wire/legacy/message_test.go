package legacy

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"massive-passive/wire/check"
)

func TestAnswers(t *testing.T) {
	if got := AppendAnswer(nil, 107); !bytes.Equal(got, golden(t, "answer")) {
		t.Errorf("answer %q", got)
	}
	if got := AppendRefusal(nil, "the server stops"); !bytes.Equal(got, golden(t, "refusal")) {
		t.Errorf("refusal %q", got)
	}
}

func TestAppendLine(t *testing.T) {
	for want, r := range map[string]check.Result{
		"[5] PROCESS_SERVICE_CHECK_RESULT;h;s;1;a;b|c=1\n":             {Kind: check.Service, Host: "h", Service: "s", Code: 1, Output: []byte("a;b|c=1"), Finish: 5e6},
		`[5] PROCESS_SERVICE_CHECK_RESULT;h;s;-1;a\nb\nc\\nd` + "\n":   {Kind: check.Service, Host: "h", Service: "s", Code: -1, Output: []byte("a\nb\r\nc\\nd"), Finish: 5e6},
		"[5] PROCESS_SERVICE_CHECK_RESULT;h;s;0;x y\\n[6] DISABLE_X\n": {Kind: check.Service, Host: "h", Service: "s", Output: []byte("x\x00y\r[6] DISABLE_X"), Finish: 5.9e6},
		"[5] PROCESS_HOST_CHECK_RESULT;h;0;\n":                         {Kind: check.Host, Host: "h", Code: 1, Finish: 5e6},
		"[5] PROCESS_HOST_CHECK_RESULT;h;1;down\n":                     {Kind: check.Host, Host: "h", Code: 2, Output: []byte("down"), Finish: 5e6},
		"[5] DISABLE_NOTIFICATIONS\n":                                  {Kind: check.Command, Command: "DISABLE_NOTIFICATIONS", Finish: 5e6},
	} {
		if got := AppendLine(nil, &r); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzAppendLine: no output begins a second line, and a server of ours reads back what was sent.
func FuzzAppendLine(f *testing.F) {
	f.Add("web1", "load", int32(0), []byte("fine|a=1"))
	f.Add("web1", "load", int32(2), []byte("C:\\new\nline\r\n[1] DISABLE_NOTIFICATIONS\\"))
	f.Add("web1", "", int32(3), []byte("\x00\xff;"))
	f.Fuzz(func(t *testing.T, host, service string, code int32, output []byte) {
		r := check.Result{Kind: check.Service, Host: host, Service: service, Code: code, Output: output, Finish: 5e6}
		if service == "" {
			r.Kind, r.Code = check.Host, check.HostCode(check.HostState(code))
		}
		if r.Validate() != nil {
			return
		}
		line := AppendLine(nil, &r)
		if n := bytes.IndexByte(line, '\n'); n != len(line)-1 {
			t.Fatalf("more than one line: %q", line)
		}
		got, err := check.ParseLine(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		output = bytes.ReplaceAll(bytes.ReplaceAll(output, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		output = bytes.TrimRight(bytes.ReplaceAll(output, []byte{0}, []byte(" ")), " \t")
		if got.Host != r.Host || got.Service != r.Service || got.Code != r.Code || !bytes.Equal(got.Output, output) {
			t.Fatalf("%+v came back as %+v", r, got)
		}
	})
}

// connBytes is a connection on which all has come already.
type connBytes struct {
	net.Conn
	rest io.Reader
}

func (c connBytes) Read(b []byte) (int, error) { return c.rest.Read(b) }

// FuzzReader: what decodes encodes to a message that decodes to the same.
func FuzzReader(f *testing.F) {
	files, err := filepath.Glob("testdata/single_*")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds: ", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("8 QUFBQQ=="))
	f.Add([]byte("QUFB\nQUFBCg==12 QUFB\nQUFB\n\n "))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages := readAll(t, data)
		var again []byte
		for _, m := range messages {
			again = Append(again, Newer, m.Text)
		}
		back := readAll(t, again)
		if len(back) != len(messages) {
			t.Fatalf("%d messages came back as %d", len(messages), len(back))
		}
		for i, m := range back {
			if !bytes.Equal(m.Text, messages[i].Text) {
				t.Fatalf("%q came back as %q", messages[i].Text, m.Text)
			}
		}
	})
}

func readAll(t *testing.T, data []byte) (list []Message) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	r := NewReader(connBytes{ours, bytes.NewReader(data)})
	for {
		m, err := r.Next(t.Context())
		if err != nil {
			if m.Text != nil {
				t.Fatalf("an error came with the value %q", m.Text)
			}
			return list
		}
		list = append(list, m)
	}
}
