package legacy

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// forms are the files of one text as 0.3.9 sends it.
var forms = map[string]Form{"newer_wrapped": Newer, "newer_unwrapped": Newer, "older_wrapped": Older, "older_unwrapped": Older}

// receive writes the pieces and returns what Next makes of them, up to its error.
func receive(t *testing.T, pieces ...[]byte) (list []Message, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		for _, p := range pieces {
			theirs.Write(p) // fails where the reader gave up
		}
		theirs.Close()
	}()
	r := NewReader(ours)
	defer r.Close()
	for {
		m, err := r.Next(t.Context())
		if err != nil {
			return list, err
		}
		list = append(list, m)
	}
}

func TestGoldenMessages(t *testing.T) {
	for _, text := range []string{"single", "batch"} {
		want := golden(t, text+".txt")
		for name, form := range forms {
			data := golden(t, text+"_"+name)
			got, err := receive(t, data)
			if err != io.EOF || len(got) != 1 || got[0].Form != form || !bytes.Equal(got[0].Text, want) {
				t.Errorf("%s %s: %d messages, %v", text, name, len(got), err)
			}
			if strings.HasSuffix(name, "_wrapped") && !bytes.Equal(Append(nil, form, want), data) {
				t.Errorf("%s %s is not what Append makes", text, name)
			}
		}
	}
}

func TestEveryCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := golden(t, "single.txt")
		for name, form := range forms {
			data := golden(t, "single_"+name)
			for i := 1; i < len(data); i++ {
				got, err := receive(t, data[:i], data[i:])
				if err != io.EOF || len(got) != 1 || got[0].Form != form || !bytes.Equal(got[0].Text, want) {
					t.Fatalf("%s cut at %d: %q, %v", name, i, got, err)
				}
			}
			var bytewise [][]byte
			for i := range data {
				bytewise = append(bytewise, data[i:i+1])
			}
			if got, err := receive(t, bytewise...); err != io.EOF || len(got) != 1 || !bytes.Equal(got[0].Text, want) {
				t.Errorf("%s byte by byte: %q, %v", name, got, err)
			}
		}
	})
}

// Wherever its sender rests, a message of the older form may be cut in two only between two lines.
func TestAPauseCutsBetweenLinesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := golden(t, "batch.txt")[:2000]
		want = want[:bytes.LastIndexByte(want, '\n')+1]
		data := []byte(base64.StdEncoding.EncodeToString(want))
		for i := 1; i < len(data); i++ {
			ours, theirs := net.Pipe()
			go func() {
				theirs.Write(data[:i])
				time.Sleep(10 * Silence)
				theirs.Write(data[i:])
				theirs.Close()
			}()
			r := NewReader(ours)
			var all []byte
			for {
				m, err := r.Next(t.Context())
				if err != nil && err != io.EOF {
					t.Fatalf("rest at %d: %v", i, err)
				}
				if err != nil {
					break
				}
				if m.Text[len(m.Text)-1] != '\n' {
					t.Fatalf("rest at %d: a message ends within a line: %q", i, m.Text)
				}
				all = append(all, m.Text...)
			}
			ours.Close()
			if !bytes.Equal(all, want) {
				t.Fatalf("rest at %d: got %q", i, all)
			}
		}
	})
}

// The sender of the older form waits for its answer and closes nothing before.
func TestTheOlderFormNeedsNoClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for length := 1; length < 400; length++ {
			text := append(bytes.Repeat([]byte{'x'}, length), '\n')
			for _, data := range [][]byte{Append(nil, Older, text), []byte(base64.StdEncoding.EncodeToString(text))} {
				ours, theirs := net.Pipe()
				r := NewReader(ours)
				for range 2 { // and the next one on the same connection
					begin := time.Now()
					go theirs.Write(data)
					m, err := r.Next(t.Context())
					if err != nil || !bytes.Equal(m.Text, text) || time.Since(begin) > Silence {
						t.Fatalf("%d bytes: %q, %v after %v", length, m.Text, err, time.Since(begin))
					}
				}
				ours.Close()
				theirs.Close()
			}
		}
	})
}

func TestSeveralMessagesOnAConnection(t *testing.T) {
	text := golden(t, "single.txt")
	var data []byte
	var want []Form
	for _, name := range []string{"newer_wrapped", "older_wrapped", "newer_unwrapped", "newer_wrapped", "older_unwrapped"} {
		data = append(append(data, golden(t, "single_"+name)...), "\r\n"...)
		want = append(want, forms[name])
	}
	got, err := receive(t, data)
	if err != io.EOF || len(got) != len(want) {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	for i, m := range got {
		if m.Form != want[i] || !bytes.Equal(m.Text, text) {
			t.Errorf("message %d: %s %q", i, m.Form, m.Text)
		}
	}
}

func TestALongMessage(t *testing.T) {
	text := bytes.Repeat(golden(t, "batch.txt"), 5<<20/len(golden(t, "batch.txt"))+1)
	unwrapped := base64.StdEncoding.EncodeToString(text)
	for name, data := range map[string][]byte{
		"newer": Append(nil, Newer, text), "newer unwrapped": fmt.Appendf(nil, "%d %s", len(unwrapped), unwrapped),
		"older": Append(nil, Older, text), "older unwrapped": []byte(unwrapped),
	} {
		if got, err := receive(t, data); err != io.EOF || len(got) != 1 || !bytes.Equal(got[0].Text, text) {
			t.Errorf("%s: %d messages, %v", name, len(got), err)
		}
	}
}

func TestMalformedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for in, want := range map[string]string{
			"GET / HTTP/1.1\r\n":                     "' ' at byte 4",
			"{}":                                     "'{' at byte 1",
			"0 ":                                     "length is given as 0",
			"16777217 QQ==":                          "length is given as 16777217",
			"999999999 QQ==":                         "length is given as 999999999",
			"4 Q-==":                                 "illegal base64",
			"2 \n\n":                                 "it is empty",
			"4 QQ= =":                                "illegal base64",
			"A===":                                   "illegal base64",
			"QQ=A":                                   "'A' at byte 4",
			"Q\x00":                                  `'\x00' at byte 2`,
			strings.Repeat("QUFB", MaxMessage/4+100): "over the limit",
		} {
			got, err := receive(t, []byte(in))
			var bad *FormatError
			if !errors.As(err, &bad) || !strings.Contains(bad.Reason, want) || len(got) != 0 {
				t.Errorf("%.40q: %d messages, %v, want %q", in, len(got), err, want)
			}
		}
		for _, in := range []string{"8 QUFB", "8 ", "Q", "QUF", "QUFBQ"} {
			if got, err := receive(t, []byte(in)); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 0 {
				t.Errorf("%q cut off: %q, %v", in, got, err)
			}
		}
		if got, err := receive(t, []byte("8")); err == nil || err == io.EOF || len(got) != 0 {
			t.Errorf("a bare digit: %q, %v", got, err)
		}
	})
}

func TestTimesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		single := string(golden(t, "single_newer_wrapped"))
		for name, c := range map[string]struct {
			said string
			good int // messages before the silence
			want time.Duration
		}{
			"nothing":               {"", 0, FirstTimeout},
			"nothing behind one":    {single, 1, IdleTimeout},
			"half a newer one":      {single[:50], 0, MessageTimeout},
			"half an older one":     {"WzEz", 0, MessageTimeout},
			"digits and no more":    {"12", 0, MessageTimeout},
			"a line without an end": {"QUFB\n", 0, MessageTimeout},
		} {
			ours, theirs := net.Pipe()
			go theirs.Write([]byte(c.said))
			r := NewReader(ours)
			begin := time.Now()
			var err error
			n := -1
			for ; err == nil; n++ {
				_, err = r.Next(t.Context())
			}
			if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || n != c.good || took != c.want {
				t.Errorf("%s: %d messages, %v after %v, want %v", name, n, err, took, c.want)
			}
			ours.Close()
			theirs.Close()
		}
	})
}

func TestTheEndOfTheContextEndsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the server stops")
		for _, said := range []string{"", "8 QUFB", "WzEz"} {
			ours, theirs := net.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			go theirs.Write([]byte(said))
			time.AfterFunc(time.Second, func() { cancel(why) })
			if _, err := NewReader(ours).Next(ctx); !errors.Is(err, why) {
				t.Errorf("%q: %v", said, err)
			}
			ours.Close()
			theirs.Close()
		}
	})
}

func TestRoomIsAskedForAndGivenBack(t *testing.T) {
	text := bytes.Repeat([]byte("PROCESS_HOST_CHECK_RESULT;h;0;x\n"), Small/10)
	small := golden(t, "single_newer_wrapped")
	for _, form := range []Form{Newer, Older} {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(append(Append(nil, form, text), small...))
			theirs.Close()
		}()
		r := NewReader(ours)
		var asked, given int
		r.Room = func(_ context.Context, held, more int) (func(), error) {
			if held != asked-given {
				t.Errorf("holds %d, says %d", asked-given, held)
			}
			asked += more
			return func() { given += more }, nil
		}
		if _, err := r.Next(t.Context()); err != nil || asked < 2*len(text) || given != 0 {
			t.Errorf("%s: asked for %d, given back %d, %v", form, asked, given, err)
		}
		before := asked
		if _, err := r.Next(t.Context()); err != nil || asked != before || given != asked {
			t.Errorf("%s: asked for %d, given back %d, %v", form, asked, given, err)
		}
		r.Close()
		ours.Close()
	}
}

// What came is paid for, not what may come: whoever stops in the midst of a
// message holds no more.
func TestRoomForAnUnknownLengthGrows(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	const sent = Small + 4001
	go func() {
		theirs.Write(bytes.Repeat([]byte("A"), sent))
		theirs.Close()
	}()
	r := NewReader(ours)
	asked := 0
	r.Room = func(_ context.Context, _, more int) (func(), error) {
		asked += more
		return func() { asked -= more }, nil
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a message: %v", err)
	}
	if asked < 2*sent || asked > 6*sent {
		t.Errorf("asked for %d bytes for %d that came", asked, sent)
	}
	if r.Close(); asked != 0 {
		t.Errorf("%d bytes are not given back", asked)
	}
}
