package hostile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/internal/disk/disktest"
	"massive-passive/test/rig"
)

// A file server that hangs behind a client's file, and a named pipe in the place
// of another, keep a server neither from its start, nor from locking out another
// client, nor from its end.
func TestFilesThatNeverAnswer(t *testing.T) {
	hung, _ := disktest.Hang(t)
	p := rig.NewPair(t, filepath.Join(t.TempDir(), "pipe"), "nagios")
	in := func(name string) string { return filepath.Join(p.Set.AllowedDir, name) }
	err := errors.Join(os.Symlink(hung, in("hung.pem")), syscall.Mkfifo(in("fifo.pem"), 0o644), os.Symlink(hung, in("client-1.json")))
	if err != nil {
		t.Fatal(err)
	}
	p.StartServer()
	p.AwaitPort()
	await := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.Server.Words(), what); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in %s", what, p.Server.Words())
			}
		}
	}
	await("does not answer")
	await("it is a named pipe, not an ordinary file")
	if err := os.Remove(in("client-1.pem")); err != nil {
		t.Fatal(err)
	}
	await(`"certificates":0`)
	p.Server.Stop() // fails where it does not end
}

// movable is a directory whose path leads to a file server that hangs from away on.
type movable struct {
	*testing.T
	path, to string
}

func newMovable(t *testing.T) movable {
	m := movable{t, filepath.Join(t.TempDir(), "link"), t.TempDir()}
	m.must(os.Symlink(m.to, m.path))
	return m
}

func (m movable) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m movable) away() {
	m.Helper()
	hung, _ := disktest.Hang(m.T)
	m.must(os.Symlink(filepath.Dir(hung), m.path+".new"))
	m.must(os.Rename(m.path+".new", m.path))
}

// ends asks a daemon to stop and wants it gone soon.
func ends(t *testing.T, d *rig.Daemon) {
	t.Helper()
	asked := time.Now()
	d.Stop() // fails where it does not end
	if took := time.Since(asked); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// awaitWords waits until a daemon has said something.
func awaitWords(t *testing.T, d *rig.Daemon, what string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(d.Words(), what); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in %s", what, d.Words())
		}
	}
}

// Directories of which a file server takes the answers away while the daemons run
// keep neither from its end.
func TestDirectoriesThatAnswerNoMore(t *testing.T) {
	for name, where := range map[string]struct{ server, client string }{
		"what is configured": {"--allowed-client-cert-dir", "--confdir"},
		"state":              {"--state-dir", "--state-dir"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := rig.NewCore(t)
			p := rig.NewPair(t, c.Path, "nagios")
			server, client := newMovable(t), newMovable(t)
			if where.client == "--confdir" {
				server.must(os.CopyFS(filepath.Join(server.to, "in"), os.DirFS(p.Set.AllowedDir)))
			} else {
				p.AddCheck("sleeper", map[string]any{"check_description": "s", "check_hostname": "h", "check_type": "service_check", "interval": 1, "command": "/bin/sleep 600"})
			}
			client.must(os.MkdirAll(filepath.Join(client.to, "in"), 0o700))
			p.ServerArgs = append(p.ServerArgs, where.server, filepath.Join(server.path, "in"))
			p.ClientArgs = append(p.ClientArgs, where.client, filepath.Join(client.path, "in"))
			if where.client == "--confdir" {
				p.ClientArgs = slices.DeleteFunc(p.ClientArgs, func(a string) bool { return a == filepath.Join(p.Dir, "checks") })
				i := slices.Index(p.ClientArgs, "--confdir")
				p.ClientArgs = slices.Delete(p.ClientArgs, i, i+1)
				text := `{"check_description": "good", "check_hostname": "h", "check_type": "service_check", "interval": 1, "command": "/bin/echo fine"}`
				client.must(os.WriteFile(filepath.Join(client.to, "in", "good.cfg"), []byte(text), 0o644))
			}
			p.StartServer()
			p.AwaitPort()
			p.StartClient()
			awaitWords(t, p.Client, `"message":"connected"`)
			server.away()
			client.away()
			if where.client == "--confdir" {
				p.Client.Signal(syscall.SIGHUP)
				p.Server.Signal(syscall.SIGHUP)
				awaitWords(t, p.Client, "does not answer")
				awaitWords(t, p.Server, "does not answer")
			}
			ends(t, p.Client)
			ends(t, p.Server)
		})
	}
}

// A start that hangs says so, or ends when it is told to.
func TestStartOnADirectoryThatNeverAnswers(t *testing.T) {
	hung, _ := disktest.Hang(t)
	p := rig.NewPair(t, filepath.Join(t.TempDir(), "pipe"), "nagios")
	p.ClientArgs = append(p.ClientArgs, "--confdir", hung)
	p.StartClient()
	awaitWords(t, p.Client, "read the directory of check files (--confdir)")
	<-p.Client.Exited
	p.ClientArgs = append(p.ClientArgs[:len(p.ClientArgs)-2], "--state-dir", hung)
	p.StartClient()
	time.Sleep(100 * time.Millisecond) // or it dies of the signal, which is as good
	ends(t, p.Client)
}
