package door

import (
	"context"
	"crypto/x509"
	"net"
	"time"

	"massive-passive/server/access"
	"massive-passive/wire"
)

// Peer is who is at the other end of a connection, once that is proved.
type Peer struct {
	Client  string // the name under which it is listed
	Address net.Addr
	Proof   Proof
}

// Proof is how a peer proved which client it is. What it proved may end while the
// connection is open.
type Proof interface {
	// Refused says why the peer would not get in as the client now; nil if it would.
	Refused(client string) *wire.ByeError
}

// certificate is the proof of a peer that showed one in its handshake.
type certificate struct {
	door   *Door
	leaf   *x509.Certificate
	chains [][]*x509.Certificate // those that the handshake proved
}

// Refused asks whether this very certificate is still listed for the client, still
// leads to a CA that is trusted, and is neither revoked nor over.
func (c *certificate) Refused(client string) *wire.ByeError {
	name, err := c.door.access.Client(c.leaf)
	if err == nil && name != client {
		err = access.ErrNotListed
	}
	if err == nil {
		err = c.door.options.End.Check(c.chains)
	}
	switch {
	case err != nil:
		return access.Refusal(err)
	case time.Now().After(c.leaf.NotAfter):
		return &wire.ByeError{Reason: wire.NotListed, Text: "your certificate has ended: renew it"}
	}
	return nil
}

const (
	recheckInterval = time.Second // between two looks at the CAs and the revocation lists
	expiryInterval  = time.Minute // between two looks at the clock
)

// keepRechecking has all open connections rechecked when CAs or revocation lists
// changed, and each minute for certificates that ended.
func (d *Door) keepRechecking(ctx context.Context) {
	tick := time.NewTicker(recheckInterval)
	defer tick.Stop()
	looked, generation := time.Now(), d.options.End.Generation()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			latest := d.options.End.Generation()
			if latest == generation && now.Sub(looked) < expiryInterval {
				continue
			}
			looked, generation = now, latest
			d.Recheck()
		}
	}
}

// Recheck ends the connections of peers that would not get in now. It is to be
// called when access changed.
func (d *Door) Recheck() {
	d.connections.endWhere(func(c *connection) *wire.ByeError { return c.Proof.Refused(c.Client) })
}
