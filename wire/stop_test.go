package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// certificate makes one that signed itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A client that asks and never reads the answer, whatever keeps the server from
// going on: its PONG, an ACK, or the BYE.
func TestAPeerThatReadsNoMoreDoesNotHoldUpAStop(t *testing.T) {
	batch := batchOf(1)
	for name, last := range map[string][]byte{
		"PONG": appendFrame(nil, TypePing, &Ping{Token: 1}),
		"ACK":  appendFrame(nil, TypeBatch, &batch),
		"BYE":  nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			client := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
			server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, SessionTicketsDisabled: true})
			ctx, stop := context.WithCancelCause(t.Context())
			over := make(chan error, 1)
			go func() {
				err := Serve(ctx, server, ServerConfig{}, &taker{})
				Close(server)
				over <- err
			}()
			client.Write(append(appendFrame(nil, TypeHello, &Hello{Instance: goldenInstance}), last...))
			client.Read(make([]byte, HeaderSize))
			synctest.Wait()
			begin := time.Now()
			stop(&ByeError{Reason: Stopping})
			var bye *ByeError
			if err := <-over; !errors.As(err, &bye) || bye.Reason != Stopping {
				t.Errorf("%s: Serve returned %v", name, err)
			}
			if took := time.Since(begin); took > 3*DrainTimeout {
				t.Errorf("%s: the stop took %v", name, took)
			}
		})
	}
}
