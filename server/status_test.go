package server

import (
	"fmt"
	"testing"
	"time"

	"massive-passive/wire"
)

func TestPageCountsWhatHappened(t *testing.T) {
	r := newRig(t)
	instance := wire.Instance{7}
	r.deliver(instance, 1, 2, 3)
	r.deliver(instance, 2, 3, 4)
	s, err := r.connect(instance)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.exchange(s, wire.Batch{Instance: instance, Entries: []wire.Entry{{Sequence: 9, Result: []byte("?")}}})
	r.expect(1, 2, 3, 4)
	p := r.server.status()
	of := p.Server
	if of.Taken != 4 || of.Duplicates != 2 || of.Rejected["malformed"] != 1 || of.Connections < 1 || of.Listed != 1 {
		t.Errorf("got %+v", of)
	}
	if len(of.Clients) != 1 || of.Clients[0].Name != "web1" || of.Clients[0].Results != 7 || time.Since(of.Clients[0].Last) > time.Minute ||
		of.Clients[0].Connections != of.Connections {
		t.Errorf("clients: %+v", of.Clients)
	}
	if len(p.Outlets) != 1 || p.Outlets[0].Depth != 4 || p.Journal.Depth != 4 || p.Journal.Bytes == 0 {
		t.Errorf("outlets %+v, journal %+v", p.Outlets, p.Journal)
	}
	why := "the journal is full"
	r.server.intake.trouble.Store(&why)
	if p = r.server.status(); p.Journal.Refuses == "" || len(p.Problems()) == 0 {
		t.Errorf("a full journal does not show: %+v", p.Journal)
	}
}

func TestHeardIsBounded(t *testing.T) {
	var h heard
	for i := range mostHeard + 1000 {
		h.note(fmt.Sprint("client ", i), 1)
	}
	all := h.all()
	if len(all) != mostHeard {
		t.Errorf("%d clients are known", len(all))
	}
	if _, known := all[fmt.Sprint("client ", mostHeard+999)]; !known {
		t.Error("the newest is not among them")
	}
}
