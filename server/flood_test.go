package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/server/sink"
	"massive-passive/wire"
	"massive-passive/wire/certs/certstest"
	"massive-passive/wire/check"
)

// What a peer can write into the files of a server in a minute by anything that
// it sends, to the log and to rejects.log together. The names that it invents
// are long, and what it invents is more than any table remembers.
const (
	invented       = 200_000
	linesAMinute   = 80
	bytesAMinute   = 100 << 10
	linesAtTheEnds = 20 // of a start and a stop
)

// flood is something that a peer does again and again.
type flood struct {
	change func(*Options)
	do     func(*rig) // with as many names as it invents
	said   string     // what the log must say of it
	counts int        // how many times the lines of the log must add up to; 0: not looked at
}

// connections is how often a flood comes that costs a connection each time.
const connections = 300

var floods = map[string]flood{
	"results of hosts that its policy denies": {
		do: func(r *rig) {
			r.writePolicy(`{"hosts": ["own"]}`)
			r.log.await(r.t, "read the directory")
			r.awaitPolicy()
			r.invent(func(n int) check.Result { return check.Result{Kind: check.Host, Host: name(n)} })
		},
		said: "rejected a result", counts: invented,
	},
	"commands that nobody allows": {
		do: func(r *rig) {
			r.invent(func(n int) check.Result {
				return check.Result{Kind: check.Command, Command: fmt.Sprintf("C%d;%s", n, name(n))}
			})
		},
		said: "rejected a result", counts: invented,
	},
	"results that cannot be read": {
		do: func(r *rig) {
			r.invent(func(n int) check.Result { return check.Result{Kind: check.Host, Host: name(n) + "\n[1] X"} })
		},
		said: "rejected a result", counts: invented,
	},
	"services that its own host does not have in the core": {
		change: withObjects,
		do: func(r *rig) {
			r.invent(func(n int) check.Result { return check.Result{Kind: check.Service, Host: "own", Service: name(n)} })
			r.awaitSink(func(outcomes map[sink.Outcome]uint64) bool { return outcomes[sink.RejectedNoObject] == invented })
		},
		said: "the core will never take this result", counts: invented,
	},
	"results older than another client's": {
		do:   olderResults,
		said: "dropped results older than what another client delivered", counts: invented,
	},
	"lines of old messages": {
		do: func(r *rig) {
			for first := 0; first < invented; first += invented / 10 {
				var text strings.Builder
				for n := range invented / 10 {
					fmt.Fprintf(&text, "[1] %d;%s\n", first+n, name(n))
				}
				if err := r.sendOld(text.String()); err != nil {
					r.t.Fatal(err)
				}
			}
		},
		said: "refused a line of an old message",
	},
	"connections that break the protocol": {
		do: func(r *rig) {
			r.knockOften(func(n int) []byte { return append([]byte{0, 0, 1, 0, byte(n)}, strings.Repeat(name(n), 3)...) })
		},
		said: "the connection ended",
	},
	"offers of protocols": {
		do: func(r *rig) {
			for n := range connections {
				conn, err := tls.Dial("tcp", r.server.Addrs()[0].String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{name(n)[:250]}})
				if err == nil {
					conn.Close()
					r.t.Fatal("the server takes any protocol")
				}
			}
		},
		said: "refused a connection",
	},
	"what is no TLS": {
		do: func(r *rig) {
			for n := range connections {
				conn, err := net.Dial("tcp", r.server.Addrs()[0].String())
				if err != nil {
					r.t.Fatal(err)
				}
				fmt.Fprint(conn, name(n))
				conn.SetReadDeadline(time.Now().Add(r.options.Limits.Handshake))
				io.Copy(io.Discard, conn)
				conn.Close()
			}
		},
		said: "refused a connection",
	},
	"certificates that are not listed": {
		do: func(r *rig) {
			for n := range connections {
				cert, key := filepath.Join(r.t.TempDir(), "cert"), filepath.Join(r.t.TempDir(), "key")
				request := certstest.Request{Name: name(n)[:60], Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
				if err := r.set.Authority.Write(request, cert, key); err != nil {
					r.t.Fatal(err)
				}
				if conn, err := r.dial(cert, key, wire.ALPN); err == nil {
					io.Copy(io.Discard, conn)
					conn.Close()
				}
			}
		},
		said: "refused a connection",
	},
}

// name is a long one that nobody has said before.
func name(n int) string { return fmt.Sprintf("%d-%s", n, strings.Repeat("x", 400+n%7)) }

// Whatever peers send, and whatever they call it, the log and the file of
// rejected results grow by a bounded number of lines and bytes a minute.
func TestNoPeerFillsTheLog(t *testing.T) {
	for what, f := range floods {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) {
				if f.change != nil {
					f.change(o)
				}
			})
			go r.playCore()
			began := time.Now()
			f.do(r)
			r.stop()
			minutes := int(time.Since(began)/time.Minute) + 1
			lines := r.log.lines()
			rejects, err := os.ReadFile(filepath.Join(r.options.StateDir, rejectsFile))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			number, size := len(lines)+bytes.Count(rejects, []byte("\n")), len(strings.Join(lines, ""))+len(rejects)
			if number > minutes*linesAMinute+linesAtTheEnds || size > minutes*bytesAMinute {
				t.Errorf("%d lines, %d bytes within %d minutes", number, size, minutes)
			}
			about := r.log.lines(f.said)
			if len(about) == 0 {
				t.Errorf("the log does not say %q:\n%.5000s", f.said, strings.Join(lines, ""))
			}
			if n := counted(t, about); f.counts != 0 && n != f.counts {
				t.Errorf("the log tells of %d, want %d:\n%.5000s", n, f.counts, strings.Join(about, ""))
			}
		})
	}
}

// playCore reads the pipe until it is closed, and removes markers as a core does.
func (r *rig) playCore() {
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return
		}
		if _, marker, passed := strings.Cut(line, "] PROCESS_FILE;"); passed {
			os.Remove(strings.TrimSuffix(marker, ";1\n"))
		}
	}
}

// counted adds up how often the lines say that something happened.
func counted(t *testing.T, lines []string) (n int) {
	t.Helper()
	for _, text := range lines {
		var line struct{ Times, Others int }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		n += line.Times + line.Others
	}
	return n
}

// invent sends results as the client.
func (r *rig) invent(result func(n int) check.Result) {
	r.t.Helper()
	s, err := r.connect(wire.Instance{7})
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	r.inventOver(s, wire.Instance{7}, result)
}

func (r *rig) inventOver(s *wire.Session, instance wire.Instance, result func(n int) check.Result) {
	r.t.Helper()
	const together = 1000
	for first := 0; first < invented; first += together {
		b := wire.Batch{Instance: instance}
		for n := first; n < first+together; n++ {
			res := result(n)
			if res.Finish == 0 {
				res.Finish = time.Now().UnixMicro()
			}
			b.Entries = append(b.Entries, wire.Entry{Sequence: uint64(n + 1), Result: res.Append(nil)})
		}
		if ack := r.exchange(s, b); ack.Sequence != uint64(first+together) {
			r.t.Fatalf("acknowledged %d of %d", ack.Sequence, first+together)
		}
	}
}

// knockOften sends each time other bytes over a connection of the client.
func (r *rig) knockOften(text func(n int) []byte) {
	r.t.Helper()
	for n := range connections {
		conn, err := r.dial(r.set.ClientCert, r.set.ClientKey, wire.ALPN)
		if err != nil {
			r.t.Fatal(err)
		}
		conn.Write(text(n))
		awaitEnd(r.t, conn)
		conn.Close()
	}
}

// awaitPolicy waits until the client's policy is in force.
func (r *rig) awaitPolicy() {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); r.server.access.Judge("web1", &check.Result{Kind: check.Host, Host: "x"}) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("the policy is not in force")
		}
	}
}

// awaitSink waits until the only sink is done with so much.
func (r *rig) awaitSink(done func(outcomes map[sink.Outcome]uint64) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		outcomes := r.server.sinks[0].Status().Outcomes
		if done(outcomes) {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the sink has come so far: %v", outcomes)
		}
	}
}

// withObjects has the server know what its core has: one host.
func withObjects(o *Options) {
	dir := filepath.Dir(o.CommandFile)
	cache, config := filepath.Join(dir, "objects.cache"), filepath.Join(dir, "nagios.cfg")
	settled := time.Now().Add(-time.Hour)
	err := errors.Join(
		os.WriteFile(cache, []byte("define host {\n\thost_name\town\n\t}\n"), 0o600), os.Chtimes(cache, settled, settled),
		os.WriteFile(config, fmt.Appendf(nil, "command_file=%s\nobject_cache_file=%s\n", o.CommandFile, cache), 0o600))
	if err != nil {
		panic(err)
	}
	o.NagiosConfig = config
}

// olderResults has one client deliver what another has newer results of.
func olderResults(r *rig) {
	r.t.Helper()
	now := time.Now()
	r.invent(func(n int) check.Result {
		return check.Result{Kind: check.Service, Host: "own", Service: fmt.Sprint(n), Finish: now.UnixMicro()}
	})
	cert, key := filepath.Join(r.t.TempDir(), "cert"), filepath.Join(r.t.TempDir(), "key")
	request := certstest.Request{Name: "other", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	text, err := []byte(nil), r.set.Authority.Write(request, cert, key)
	if err == nil {
		text, err = os.ReadFile(cert)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(r.set.AllowedDir, "other.pem"), text, 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := r.dial(cert, key, wire.ALPN)
		if err != nil {
			r.t.Fatal(err)
		}
		s, err := wire.Connect(r.t.Context(), conn, wire.Hello{Instance: wire.Instance{8}, Remember: 3600}, nil, nil)
		if err == nil {
			r.inventOver(s, wire.Instance{8}, func(n int) check.Result {
				return check.Result{Kind: check.Service, Host: "own", Service: fmt.Sprint(n), Finish: now.Add(-time.Minute).UnixMicro()}
			})
			s.Close()
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatal(err)
		}
	}
	r.awaitSink(func(outcomes map[sink.Outcome]uint64) bool { return outcomes[sink.DroppedOlder] == invented })
}
