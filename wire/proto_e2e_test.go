//go:build e2e

package wire

import (
	"bytes"
	"os/exec"
	"reflect"
	"testing"

	"massive-passive/wire/check"
)

// protoc runs the official compiler as a decoder or an encoder of one message.
func protoc(t *testing.T, mode, message string, in []byte) []byte {
	t.Helper()
	cmd := exec.Command("protoc", "--"+mode+"=massive."+message, "massive.proto")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("protoc --%s=%s (Debian's protobuf-compiler, see .ci/setup): %v: %s", mode, message, err, stderr.Bytes())
	}
	return out
}

// The published schema, read by the official implementation, gives the same
// bytes back for every message and every result.
func TestE2ESchemaAgreesWithProtoc(t *testing.T) {
	names := map[Type]string{TypeHello: "Hello", TypeBatch: "Batch", TypePing: "Ping", TypeBye: "Bye", TypeWelcome: "Welcome",
		TypeAck: "Ack", TypeWait: "Wait", TypePong: "Ping"}
	for _, g := range goldenFrames() {
		body := g.value.Append(nil)
		text := protoc(t, "decode", names[g.kind], body)
		if again := protoc(t, "encode", names[g.kind], text); !bytes.Equal(again, body) {
			t.Errorf("%s: protoc makes %x of %s, ours is %x", g.name, again, text, body)
		}
	}
	text := []byte(`kind: HOST host: "h\351" code: -7 output: "a\000b\n" start: -1 finish: 1700000000123456 timed_out: true`)
	want := check.Result{Kind: check.Host, Host: "h\xe9", Code: -7, Output: []byte("a\x00b\n"), Start: -1,
		Finish: 1700000000123456, TimedOut: true}
	got, err := check.Decode(protoc(t, "encode", "Result", text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}
