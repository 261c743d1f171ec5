package certs_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"massive-passive/wire/certs"
	"massive-passive/wire/certs/certstest"
)

// anew makes the CA's certificate anew with the same key.
func anew(t *testing.T, a *certstest.Authority, until time.Time) []byte {
	t.Helper()
	key := a.Pair().PrivateKey.(crypto.Signer)
	template := *a.Cert
	template.SerialNumber, template.NotAfter = big.NewInt(7), until
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestChainsAreAskedAgain(t *testing.T) {
	ours, err := certstest.New("CA")
	if err != nil {
		t.Fatal(err)
	}
	twin, err := certstest.New("CA") // of the same name, with another key
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	leafFile := filepath.Join(dir, "leaf")
	if err := ours.Write(certstest.Request{Name: "web1"}, leafFile, leafFile+".key"); err != nil {
		t.Fatal(err)
	}
	leaf, err := certs.ReadFile(leafFile)
	if err != nil {
		t.Fatal(err)
	}
	chains := [][]*x509.Certificate{{leaf[0], ours.Cert}}
	itself := func(a *certstest.Authority) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Cert.Raw})
	}
	for name, c := range map[string]struct {
		pool []byte
		want error
	}{
		"as it was":                    {itself(ours), nil},
		"beside another":               {append(itself(twin), itself(ours)...), nil},
		"renewed with its key":         {anew(t, ours, time.Now().Add(100*time.Hour)), nil},
		"taken out":                    {itself(twin), certs.ErrUntrusted},
		"ended":                        {anew(t, ours, time.Now().Add(-time.Minute)), certs.ErrUntrusted},
		"ended, beside a renewed one":  {append(anew(t, ours, time.Now().Add(-time.Minute)), itself(ours)...), nil},
		"a renewed one, beside an old": {append(itself(ours), anew(t, ours, time.Now().Add(-time.Minute))...), nil},
	} {
		file := filepath.Join(t.TempDir(), "ca")
		if err := os.WriteFile(file, c.pool, 0o644); err != nil {
			t.Fatal(err)
		}
		pool, err := certs.LoadPool(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := (certs.End{Pool: pool}).Check(chains); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
