package checkfile

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// DefaultPort is the port of a server whose address names none.
const DefaultPort = 5678

// ParseAddress reads ADDRESS[:PORT] and returns it with its port, as net.Dial
// takes it. ADDRESS is an IPv4 address, an IPv6 address (in brackets where a
// port follows) or a host name. The error says what is wrong with the text,
// without the text itself.
func ParseAddress(text string) (string, error) {
	host, port := text, strconv.Itoa(DefaultPort)
	switch {
	case strings.HasPrefix(text, "["):
		inner, rest, closed := strings.Cut(text[1:], "]")
		if !closed {
			return "", errors.New(`has a "[" without a "]"`)
		}
		if ip, err := netip.ParseAddr(inner); err != nil || !ip.Is6() {
			return "", errors.New("has no IPv6 address between its brackets")
		}
		host = inner
		if rest != "" {
			var colon bool
			if port, colon = strings.CutPrefix(rest, ":"); !colon {
				return "", errors.New(`has something other than :PORT after "]"`)
			}
		}
	case strings.Count(text, ":") > 1:
		if _, err := netip.ParseAddr(text); err != nil {
			return "", errors.New("is not an address; write IPv6 with a port as [::1]:5678")
		}
		return net.JoinHostPort(text, port), nil
	case strings.Contains(text, ":"):
		host, port, _ = strings.Cut(text, ":")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '+' {
		return "", fmt.Errorf("has the port %q; ports are 1 to 65535", port)
	}
	if reason := hostFault(host); reason != "" {
		return "", errors.New(reason)
	}
	return net.JoinHostPort(host, port), nil
}

// hostFault says what is wrong with a host, empty if nothing is.
func hostFault(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	switch {
	case host == "":
		return "names no host"
	case strings.Trim(host, "0123456789.") == "":
		return "is not an IPv4 address, which has four numbers from 0 to 255"
	case len(host) > 253:
		return "has a host name of more than 253 characters"
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 {
			return "has a host name with a part that is empty or longer than 63 characters"
		}
		for _, c := range label {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return fmt.Sprintf("has a host name with %q in it; names are of a to z, 0 to 9, \"-\", \"_\" and dots", c)
			}
		}
	}
	return ""
}
