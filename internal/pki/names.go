package pki

import (
	"fmt"
	"massive-passive/internal/option"
	"net"
	"strings"
)

// maxName is the longest common name that certificates may have.
const maxName = 64

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// checkClientName holds a client's name to what is good as a file's name too.
func checkClientName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsAny(name[:1], ".-") || !consistsOf(name, nameLetters+"._-") {
		return option.Wrong(fmt.Sprintf("%q", name), fmt.Sprintf("no name for a client: it has 1 to %d letters, digits, dots, dashes "+
			"and underscores, and begins with neither a dot nor a dash", maxName))
	}
	return nil
}

func consistsOf(text, letters string) bool {
	for i := range len(text) {
		if strings.IndexByte(letters, text[i]) < 0 {
			return false
		}
	}
	return true
}

// checkHosts holds the names and addresses of a server to what clients can
// compare with, and returns them without brackets and doubles.
func checkHosts(hosts []string) ([]string, error) {
	var list []string
	seen := map[string]bool{}
	for _, host := range hosts {
		bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		ip := net.ParseIP(bare)
		if ip == nil {
			bare = strings.ToLower(strings.TrimSuffix(host, "."))
		}
		if ip == nil && !isDNSName(bare) {
			return nil, option.Wrong(fmt.Sprintf("%q", host), "neither a host's name nor an address: give those by which clients reach the server, "+
				"without a port, as mon.example.org 192.0.2.10 2001:db8::7")
		}
		if !seen[bare] {
			seen[bare] = true
			list = append(list, bare)
		}
	}
	return list, nil
}

func isDNSName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || !consistsOf(label, nameLetters+"-_") {
			return false
		}
	}
	return true
}
