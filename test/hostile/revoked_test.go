package hostile

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire/certs/certstest"
)

// Who was revoked stays out, whatever becomes of the file of revocation lists while
// the server runs: each damage is an error in its log, and the lists before count on.
func TestRevokedClientsStayOut(t *testing.T) {
	p := rig.NewPair(t, rig.NewCore(t).Path, "nagios")
	own, err := os.ReadFile(p.Set.ClientCert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(own)
	thief, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	other, err := certstest.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(p.Dir, name) }
	for _, err := range []error{p.Set.Authority.WriteCRL(in("crl"), thief), other.WriteCRL(in("crl2")), other.WriteCA(in("ca2"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string { return strings.TrimSpace(string(rig.ReadFile(t, name))) }
	mine, theirs := read(in("crl")), read(in("crl2"))
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(in("new"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(in("new"), in("lists")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.Set.CA, []byte(read(p.Set.CA)+"\n"+read(in("ca2"))+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	put(theirs + "\n" + mine + "\n")
	p.ServerArgs = append(p.ServerArgs, "--ssl-crl", in("lists"))
	p.StartServer()
	p.AwaitPort()
	server := fmt.Sprint("127.0.0.1:", p.Port)
	refused := func(when string) {
		t.Helper()
		code, stdout, _ := rig.Program(t, "h\ts\t0\tstolen", "massive-passive-send", "--server", server, "--timeout", "0",
			"--ssl-cert", p.Set.ClientCert, "--ssl-key", p.Set.ClientKey, "--ssl-ca-cert", p.Set.CA)
		if code != 4 {
			t.Errorf("%s: the revoked client is not refused: %d, %s", when, code, stdout)
		}
	}
	refused("at the start")
	for when, text := range map[string]string{
		"breaks off":       theirs + "\n" + mine[:len(mine)/2],
		"damaged":          theirs + "\n" + strings.Replace(mine, "M", "*", 1) + "\n",
		"the label is off": theirs + "\n" + strings.ReplaceAll(mine, "X509 CRL", "CRL") + "\n",
		"six dashes":       theirs + "\n" + strings.Replace(mine, "-----BEGIN", "------BEGIN", 1) + "\n",
		"empty":            "",
	} {
		const says = "changed certificates were not taken over: the old ones stay in use"
		before := strings.Count(p.Server.Words(), says)
		put(text)
		p.Server.Signal(syscall.SIGHUP) // it counts at once
		for deadline := time.Now().Add(30 * time.Second); strings.Count(p.Server.Words(), says) == before; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the log does not say that %s\n%s", when, says, p.Server.Words())
			}
		}
		refused(when)
	}
	put(theirs + mine) // joined without a newline: both count
	p.Server.Signal(syscall.SIGHUP)
	refused("joined")
}
