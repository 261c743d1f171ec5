package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"massive-passive/wire"
	"massive-passive/wire/certs/certstest"
)

// replaceCA puts another CA file in the place of the server's.
func (r *rig) replaceCA(a *certstest.Authority) {
	r.t.Helper()
	next := r.set.CA + ".new"
	if err := errors.Join(a.WriteCA(next), os.Rename(next, r.set.CA)); err != nil {
		r.t.Fatal(err)
	}
}

// cutOff waits for the BYE of a client that is not welcome any more.
func cutOff(t *testing.T, s *wire.Session) *wire.ByeError {
	t.Helper()
	_, err := s.Receive(t.Context())
	var bye *wire.ByeError
	if !errors.As(err, &bye) || bye.Reason != wire.NotListed {
		t.Fatalf("the open connection was told %v", err)
	}
	return bye
}

// A CA that is taken out locks out whom it let in, and at once.
func TestClientsOfACAThatIsTakenOutAreCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, err := r.connect(wire.Instance{1})
	if err != nil {
		t.Fatal(err)
	}
	another, err := certstest.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	r.replaceCA(another)
	if bye := cutOff(t, s); !strings.Contains(bye.Text, "CA") {
		t.Errorf("told %q", bye.Text)
	}
}

// Neither a directory that is gone nor a file behind a symlink that is gone
// leaves anybody in.
func TestClientsWhoseListingIsGoneAreCutOff(t *testing.T) {
	for name, c := range map[string]struct{ prepare, remove func(r *rig) error }{
		"the directory removed": {nil, func(r *rig) error { return os.RemoveAll(r.set.AllowedDir) }},
		"the directory moved":   {nil, func(r *rig) error { return os.Rename(r.set.AllowedDir, r.set.AllowedDir+".away") }},
		"a file in its place": {nil, func(r *rig) error {
			return errors.Join(os.RemoveAll(r.set.AllowedDir), os.WriteFile(r.set.AllowedDir, nil, 0o644))
		}},
		"the target of a symlink removed": {
			func(r *rig) error {
				file, elsewhere := filepath.Join(r.set.AllowedDir, "web1.pem"), filepath.Join(r.t.TempDir(), "web1")
				return errors.Join(os.Rename(file, elsewhere), os.Symlink(elsewhere, file))
			},
			func(r *rig) error {
				target, err := os.Readlink(filepath.Join(r.set.AllowedDir, "web1.pem"))
				return errors.Join(err, os.Remove(target))
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if c.prepare != nil {
				r.stop()
				if err := c.prepare(r); err != nil {
					t.Fatal(err)
				}
				r.start()
			}
			s, err := r.connect(wire.Instance{1})
			if err != nil {
				t.Fatal(err)
			}
			// What is removed is behind the watch's first look, then.
			if err := os.WriteFile(filepath.Join(r.set.AllowedDir, "marker.pem"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			r.log.await(t, "marker.pem")
			if err := c.remove(r); err != nil {
				t.Fatal(err)
			}
			cutOff(t, s)
			if _, err := r.connect(wire.Instance{2}); err == nil {
				t.Error("it gets in again")
			}
		})
	}
}
