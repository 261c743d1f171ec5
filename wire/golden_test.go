package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"massive-passive/wire/check"
)

var update = flag.Bool("update", false, "write the golden frames anew")

var goldenInstance = Instance{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

type goldenFrame struct {
	name   string
	kind   Type
	value  message
	decode func([]byte) (any, error)
}

func decodeAs[T any](decode func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) {
		m, err := decode(b)
		return &m, err
	}
}

func decodeAnyAck(b []byte) (Ack, error) { return DecodeAck(b, math.MaxInt) }

func goldenFrames() []goldenFrame {
	service := check.Result{Kind: check.Service, Host: "web1", Service: "load", Code: 1, Output: []byte("WARNING|load=5"),
		Start: 1700000000123456, Finish: 1700000000223456}
	host := check.Result{Kind: check.Host, Host: "web1", Code: 2, Output: []byte("down\nfor good"), Finish: 1700000000000000, TimedOut: true}
	command := check.Result{Kind: check.Command, Command: "DISABLE_NOTIFICATIONS", Finish: 1700000000000000}
	batch := &Batch{Instance: goldenInstance, Entries: []Entry{{Sequence: 1, Result: service.Append(nil)},
		{Sequence: 300, Result: host.Append(nil)}, {Sequence: 301, Result: command.Append(nil)}}}
	return []goldenFrame{
		{"hello", TypeHello, &Hello{Instance: goldenInstance, Version: "1.0", Host: "web1", Remember: 86400}, decodeAs(DecodeHello)},
		{"batch", TypeBatch, batch, decodeAs(DecodeBatch)},
		{"ping", TypePing, &Ping{Token: 7}, decodeAs(DecodePing)},
		{"bye", TypeBye, &Bye{Reason: NotListed, Text: "ask the operator"}, decodeAs(DecodeBye)},
		{"welcome", TypeWelcome, &Welcome{Version: "1.0", MaxFrame: MaxFrame, Window: Window}, decodeAs(DecodeWelcome)},
		{"welcome-back", TypeWelcome, &Welcome{Version: "1.0", MaxFrame: MaxFrame, Window: Window, Last: 301}, decodeAs(DecodeWelcome)},
		{"ack", TypeAck, &Ack{Sequence: 301, Rejections: []Rejection{{Sequence: 300, Reason: Denied, Text: "not web1"}}}, decodeAs(decodeAnyAck)},
		{"wait", TypeWait, &Wait{Text: "the journal is full"}, decodeAs(DecodeWait)},
		{"pong", TypePong, &Ping{Token: 7}, decodeAs(DecodePing)},
	}
}

// The frames in testdata are what version 1 is: a change here breaks peers.
func TestGoldenFrames(t *testing.T) {
	for _, g := range goldenFrames() {
		path := filepath.Join("testdata", g.name+".hex")
		frame := appendFrame(nil, g.kind, g.value)
		if *update {
			if err := os.WriteFile(path, []byte(hex.EncodeToString(frame)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(frame, want) {
			t.Errorf("%s: got %x\nwant %x", g.name, frame, want)
		}
		got, err := g.decode(want[HeaderSize:])
		if err != nil || !reflect.DeepEqual(got, g.value) {
			t.Errorf("%s: decodes to %+v, %v\nwant %+v", g.name, got, err, g.value)
		}
	}
}

func FuzzMessages(f *testing.F) {
	decoders := map[Type]func([]byte) (any, error){}
	for _, g := range goldenFrames() {
		decoders[g.kind] = g.decode
		f.Add(byte(g.kind), appendFrame(nil, g.kind, g.value)[HeaderSize:])
	}
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		decode, ok := decoders[Type(kind)]
		if !ok {
			return
		}
		m, err := decode(body)
		if err != nil {
			if zero := reflect.New(reflect.TypeOf(m).Elem()).Interface(); !reflect.DeepEqual(m, zero) {
				t.Fatalf("an error came with the value %+v", m)
			}
			return
		}
		if again := m.(message).Append(nil); !bytes.Equal(again, body) {
			t.Fatalf("%s %x decodes, but encodes to %x", Type(kind), body, again)
		}
	})
}

func TestDecodeBatchRefuses(t *testing.T) {
	entry := func(sequence uint64) []byte { return check.AppendVarint(nil, entrySequence, sequence) }
	batch := func(instance []byte, sequences ...uint64) []byte {
		b := check.AppendBytes(nil, batchInstance, instance)
		for _, s := range sequences {
			b = appendMessage(b, batchEntries, entry(s))
		}
		return b
	}
	good := goldenInstance[:]
	if _, err := DecodeBatch(batch(good, 1, 2, 9)); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"no instance":       batch(nil, 1),
		"short instance":    batch(good[:15], 1),
		"instance of zeros": batch(make([]byte, 16), 1),
		"no entries":        batch(good),
		"sequence 0":        batch(good, 0),
		"same sequence":     batch(good, 4, 4),
		"falling sequence":  batch(good, 4, 3),
	} {
		if m, err := DecodeBatch(b); err == nil || !reflect.DeepEqual(m, Batch{}) {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
}

func TestBatchSizeIsABound(t *testing.T) {
	b := Batch{Instance: goldenInstance}
	bound := BatchOverhead
	for i := range 50 {
		e := Entry{Sequence: 1<<63 + uint64(i), Result: make([]byte, i*i*40)}
		bound += e.Size()
		b.Entries = append(b.Entries, e)
	}
	if got := len(b.Append(nil)); got > bound {
		t.Errorf("a batch of %d bytes, over the bound of %d", got, bound)
	}
}
