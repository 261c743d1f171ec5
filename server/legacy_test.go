package server

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/legacy"
)

// oldPeer is a connection as a client of version 0.3.9 has it.
type oldPeer struct {
	*tls.Conn
	below *legacy.Below
}

func (r *rig) oldPeer() oldPeer {
	r.t.Helper()
	end, err := certs.Load(certs.Files{Cert: r.set.ClientCert, Key: r.set.ClientKey, CA: r.set.CA, MinVersion: "1.0"}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	config := certs.ClientConfig(end, certs.VerifyName, "127.0.0.1")
	config.NextProtos = nil
	plain, err := net.Dial("tcp", r.server.Addrs()[0].String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { plain.Close() })
	below := &legacy.Below{Conn: plain}
	conn := tls.Client(below, config)
	if err := conn.HandshakeContext(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return oldPeer{conn, below}
}

func (r *rig) sendOld(text string) error {
	p := r.oldPeer()
	defer p.Close()
	return legacy.Send(r.t.Context(), p.Conn, p.below, []byte(text))
}

// answer reads the answer to a message of the older form.
func (p oldPeer) answer(t *testing.T) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := p.Read(b)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	text, err := base64.StdEncoding.DecodeString(string(b[:n]))
	if err != nil {
		t.Fatalf("answer %q: %v", b[:n], err)
	}
	return string(text)
}

func numbered(n int) string {
	return fmt.Sprintf("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;number %d\n", n)
}

func TestOldMessagesReachThePipe(t *testing.T) {
	r := newRig(t)
	if err := r.sendOld(numbered(1)); err != nil {
		t.Fatal(err)
	}
	// When the server has closed, all is in the journal.
	if n := r.server.intake.Status().Taken; n != 1 {
		t.Errorf("%d results are in the journal", n)
	}
	if err := r.sendOld(numbered(2) + "\n" + numbered(3) + strings.TrimSuffix(numbered(4), "\n")); err != nil {
		t.Fatal(err)
	}
	r.expect(1, 2, 3, 4)
	if err := r.sendOld("[5] PROCESS_HOST_CHECK_RESULT;h;1;down\nPROCESS_HOST_CHECK_RESULT;h;0;C:\\\\new\\nline\n"); err != nil {
		t.Fatal(err)
	}
	if got, want := r.line(), "[5] PROCESS_HOST_CHECK_RESULT;h;1;down\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := r.line(), "PROCESS_HOST_CHECK_RESULT;h;0;C:\\\\new\\nline\n"; !strings.HasSuffix(got, want) || strings.HasPrefix(got, "[0]") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOldMessagesSeveralOnAConnection(t *testing.T) {
	r := newRig(t)
	p := r.oldPeer()
	var data []byte
	for n := 1; n <= 3; n++ {
		data = legacy.Append(data, legacy.Newer, []byte(numbered(n)))
	}
	if _, err := p.Write(data); err != nil {
		t.Fatal(err)
	}
	r.expect(1, 2, 3) // nothing was closed yet
	for n := 4; n <= 5; n++ {
		if _, err := p.Write(legacy.Append(nil, legacy.Older, []byte(numbered(n)))); err != nil {
			t.Fatal(err)
		}
		if got, want := p.answer(t), fmt.Sprintf("OK %d bytes received and written.\n", len(numbered(n))); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
		if taken := r.server.intake.Status().Taken; taken != uint64(n) {
			t.Errorf("answered with %d results in the journal", taken)
		}
	}
	if err := legacy.Send(t.Context(), p.Conn, p.below, []byte(numbered(6))); err != nil {
		t.Fatal(err)
	}
	r.expect(4, 5, 6)
}

func TestALongOldMessage(t *testing.T) {
	r := newRig(t)
	var text bytes.Buffer
	const lines = 100_000
	for n := range lines {
		text.WriteString(numbered(n))
	}
	if err := r.sendOld(text.String()); err != nil {
		t.Fatal(err)
	}
	for n := range lines {
		r.expect(n)
	}
}

func TestRefusedLinesAreLogged(t *testing.T) {
	r := newRig(t)
	bad := []string{"[7] DISABLE_NOTIFICATIONS\n", "[7] PROCESS_FILE;/etc/passwd;1\n", "second line of an output\n", "PROCESS_SERVICE_CHECK_RESULT;h;s;x;y\x1b[2J\n"}
	if err := r.sendOld(numbered(1) + strings.Join(bad, numbered(2)) + numbered(3)); err != nil {
		t.Fatal(err)
	}
	r.expect(1, 2, 2, 2, 3)
	for _, line := range []string{`"[7] DISABLE_NOTIFICATIONS`, `"[7] PROCESS_FILE;/etc/passwd;1`, `"second line of an output`, `h;s;x;y\\x1b[2J`} {
		if len(r.log.lines("refused a line", strings.ReplaceAll(line, `"`, `\"`), `"client":"web1"`)) != 1 {
			t.Errorf("%s is not in the log:\n%s", line, strings.Join(r.log.lines("refused"), ""))
		}
	}
	p := r.oldPeer()
	if _, err := p.Write(legacy.Append(nil, legacy.Older, []byte(bad[0]+numbered(4)))); err != nil {
		t.Fatal(err)
	}
	if got := p.answer(t); !strings.HasPrefix(got, "ERROR 1 lines were refused; the first: client \"web1\" may not send") {
		t.Errorf("answer %q", got)
	}
	r.expect(4)
	if err := r.sendOld(strings.Repeat("nonsense\n", 1000)); err != nil {
		t.Fatal(err)
	}
	if len(r.log.lines("further lines", "980")) != 1 || len(r.log.lines("refused a line", "nonsense")) != 1 {
		t.Errorf("a thousand lines are logged as\n%s", strings.Join(r.log.lines("line"), ""))
	}
}

// Lines that are none count, one that is denied counts as such, and a message
// that is none counts as one.
func TestWhatIsRefusedOfOldPeersIsCounted(t *testing.T) {
	r := newRig(t)
	if err := r.sendOld("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;zero;text\n[1] PROCESS_SERVICE_CHECK_RESULT;h\n[7] DISABLE_NOTIFICATIONS\n" + numbered(1)); err != nil {
		t.Fatal(err)
	}
	r.expect(1)
	p := r.oldPeer()
	if _, err := p.Write([]byte("hello, world")); err != nil {
		t.Fatal(err)
	}
	p.answer(t)
	want := map[string]uint64{wire.Malformed.String(): 3, wire.Denied.String(): 1}
	if got := r.server.status().Server.Rejected; !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

// What was not taken is never confirmed.
func TestOldMessagesThatAreNotTaken(t *testing.T) {
	r := newRig(t)
	for name, data := range map[string]string{
		"no base64":     "hello",
		"broken base64": "8 AAA-AAAA",
		"too long":      "99999999 QUFB",
		"cut off":       "800 " + strings.Repeat("QUFB", 20),
	} {
		p := r.oldPeer()
		p.Write([]byte(data))
		p.CloseWrite()
		_, err := io.Copy(io.Discard, p)
		if inOrder := err == nil && !ended(p); inOrder && name != "no base64" { // which is answered, as the older form is
			t.Errorf("%s: closed in order", name)
		}
	}
	p := r.oldPeer()
	p.Write([]byte("hello, world"))
	if got := p.answer(t); !strings.HasPrefix(got, "ERROR ',' at byte 6") {
		t.Errorf("answer %q", got)
	}
	r.deliver(wire.Instance{1}, 1)
	r.expect(1)
}

// ended tells whether the peer closed without a close_notify: its message would not be confirmed.
func ended(p oldPeer) bool {
	return legacy.Confirmed(p.below) != nil
}

func TestTheStopConfirmsNothing(t *testing.T) {
	r := newRig(t)
	p := r.oldPeer()
	if _, err := p.Write([]byte("800 QUFB")); err != nil { // a message that is under way
		t.Fatal(err)
	}
	r.log.await(t, "listening")
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	if _, err := io.Copy(io.Discard, p); err == nil && !ended(p) {
		t.Error("closed in order")
	}
	<-stopped
}

func TestLegacyCanBeRefused(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Legacy = false })
	if err := r.sendOld(numbered(1)); err == nil {
		t.Error("the message was confirmed")
	}
	r.log.await(t, "refused a connection", "--legacy=false", "web1")
	r.deliver(wire.Instance{1}, 2)
	r.expect(2)
}

func TestOldPeersMustBeListed(t *testing.T) {
	r := newRig(t)
	p := r.oldPeer()
	if err := os.Remove(filepath.Join(r.set.AllowedDir, "web1.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, p); err == nil && !ended(p) { // an open connection
		t.Error("closed in order")
	}
	if err := r.sendOld(numbered(1)); err == nil {
		t.Error("the message was confirmed")
	}
	r.log.await(t, "refused a connection", "is not in", r.set.AllowedDir)
}
