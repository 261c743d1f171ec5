package program

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"massive-passive/test/rig"
	"massive-passive/wire/certs/certstest"
)

// Whoever shows a certificate that is not accepted is told why, each time: with TLS
// 1.3 it has begun to send by then, and a connection that is reset takes the reason
// along.
func TestARefusedCertificateIsToldEachTime(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	stranger, err := certstest.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(p.Dir, "own.cert"), filepath.Join(p.Dir, "own.key")
	if err := stranger.Write(certstest.Request{Name: "web1", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, cert, key); err != nil {
		t.Fatal(err)
	}
	results := strings.Repeat("h\ts\t0\t"+strings.Repeat("x", 1000)+"\x17", 50)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				code, _, stderr := rig.Program(t, results, "massive-passive-send", "--server", fmt.Sprint("127.0.0.1:", p.Port), "--timeout", "0",
					"--ssl-cert", cert, "--ssl-key", key, "--ssl-ca-cert", p.Set.CA)
				if code != 4 || !strings.Contains(stderr, `does not know the CA "CN=another CA"`) {
					t.Errorf("%d, %q", code, stderr)
				}
			}
		})
	}
	all.Wait()
	const want = `its certificate \"CN=web1\", issued by \"CN=another CA\", does not lead to a CA in `
	if !strings.Contains(p.Server.Words(), want) {
		t.Errorf("the server does not say %s but\n%s", want, p.Server.Words())
	}
}
