package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// DefaultMinVersion is the oldest version of TLS that an end takes unless told
// otherwise.
const DefaultMinVersion = "1.2"

// ParseVersion reads a version of TLS as options name it: 1.0, 1.1, 1.2 or 1.3.
// The result is a constant of package tls.
func ParseVersion(text string) (uint16, error) {
	switch text {
	case "1.0":
		return tls.VersionTLS10, nil
	case "1.1":
		return tls.VersionTLS11, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%q is no version of TLS: give 1.0, 1.1, 1.2 or 1.3", text)
}

// Old tells versions of TLS that are given up everywhere else: 1.0 and 1.1.
func Old(version uint16) bool { return version < tls.VersionTLS12 }

// restrict sets the oldest version; 0 means the default. A library that ends at
// TLS 1.0 may know no key exchange but RSA, which Go leaves out by default: who
// lets such a version in wants such a peer. RC4 and 3DES stay out, because every
// one of those libraries has AES.
func restrict(c *tls.Config, minVersion uint16) {
	c.MinVersion = max(minVersion, tls.VersionTLS10)
	if minVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	if !Old(c.MinVersion) {
		return
	}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if strings.Contains(suite.Name, "_AES_") || strings.Contains(suite.Name, "CHACHA20") {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
}

// TooOld says what a client offers too little of for c, and which option lets
// it in; "" where that is not what keeps it out.
func TooOld(c *tls.Config, hello *tls.ClientHelloInfo) string {
	newest := slices.MaxFunc(append([]uint16{0}, hello.SupportedVersions...), func(a, b uint16) int { return int(known(a)) - int(known(b)) })
	switch {
	case known(newest) == 0:
		return ""
	case newest < c.MinVersion:
		return fmt.Sprintf("it speaks nothing above %s: --tls-min-version=%s lets it in", tls.VersionName(newest), strings.TrimPrefix(tls.VersionName(newest), "TLS "))
	case c.CipherSuites == nil && !slices.ContainsFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return slices.Contains(hello.CipherSuites, s.ID) }):
		return "it has no key exchange but RSA's, or only ciphers that are not safe: --tls-min-version=1.0 lets in what can be let in"
	}
	return ""
}

// known is version, or 0 where it is none of TLS: some clients offer such to
// see whether a server can stand it.
func known(version uint16) uint16 {
	if version < tls.VersionTLS10 || version > tls.VersionTLS13 {
		return 0
	}
	return version
}
