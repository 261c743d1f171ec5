package server

import (
	"errors"
	"os"
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
