package sender

import (
	"errors"
	"fmt"
	"io/fs"
	"massive-passive/internal/disk"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultConfigFiles are read, the first that exists, where none is named.
func defaultConfigFiles() []string {
	return []string{"/etc/massive-passive/send.cfg", "/etc/send_nsca.cfg"}
}

// ConfigError is a configuration file that cannot be used.
type ConfigError struct {
	File string
	Line int // 0: the whole file
	Err  error
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("read the configuration: %v", e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *ConfigError) Unwrap() error { return e.Err }

// ExitCode is that of NSCA for such a file.
func (e *ConfigError) ExitCode() int { return ExitNotSent }

// readConfig applies a configuration file: that of NSCA's or NSCA-ng's
// send_nsca, or one with our own keys in the same form. It returns the keys that
// mean nothing here. Without a name, a usual file is read if there is one.
func readConfig(file string, o *SendOptions) (usedFile string, ignored []string, err error) {
	if file != "" {
		ignored, err = readConfigFile(file, o)
		return file, ignored, err
	}
	for _, file := range defaultConfigFiles() {
		if ignored, err = readConfigFile(file, o); !errors.Is(err, fs.ErrNotExist) {
			return file, ignored, err
		}
	}
	return "", nil, nil
}

// maxConfig is the most bytes of a configuration file.
const maxConfig = 1 << 20

func readConfigFile(file string, o *SendOptions) (ignored []string, err error) {
	data, err := disk.ReadNow(file, maxConfig)
	if err != nil {
		return nil, &ConfigError{file, 0, err}
	}
	if data, err = plainText(data); err != nil {
		return nil, &ConfigError{file, 1, err}
	}
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		number, line := i+1, strings.TrimRight(lines[i], "\r")
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + strings.TrimRight(lines[i], "\r")
		}
		key, value, err := parseSetting(line)
		if err != nil {
			return nil, &ConfigError{file, number, err}
		}
		if key == "" {
			continue
		}
		known, err := o.set(key, value)
		if err != nil {
			return nil, &ConfigError{file, number, fmt.Errorf("%s: %w", key, err)}
		}
		if !known && !slices.Contains(ignored, key) {
			ignored = append(ignored, key)
		}
	}
	return ignored, nil
}

// parseSetting reads `key = value`; the value may be quoted, and a comment may
// stand behind it.
func parseSetting(line string) (key, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	key, value, ok := strings.Cut(line, "=")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return "", "", fmt.Errorf("%q is not KEY=VALUE", line)
	}
	value = strings.TrimSpace(value)
	if value == "" || value[0] != '"' && value[0] != '\'' {
		if i := strings.IndexAny(value, " \t"); i >= 0 && strings.HasPrefix(strings.TrimLeft(value[i:], " \t"), "#") {
			value = value[:i]
		}
		return key, value, nil
	}
	value, rest, err := unquote(value)
	if rest = strings.TrimSpace(rest); err == nil && rest != "" && rest[0] != '#' {
		err = fmt.Errorf("%q stands behind the closing quote", rest)
	}
	return key, value, err
}

// unquote takes the quoted text off the beginning of s; a backslash takes the
// next character as it is.
func unquote(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", fmt.Errorf("the value has no closing %c", s[0])
}

// setDividers are what divides the sets of standard input, by the values of the
// key sets.
var setDividers = map[string]byte{"etb": etb, "lines": '\n'}

// ofNSCA are keys that every configuration file of NSCA has, and that certificates
// take the place of. To name them at each call would tell nobody anything.
var ofNSCA = []string{"password", "encryption_method"}

// set applies one setting, unless it means nothing here.
func (o *SendOptions) set(key, value string) (known bool, err error) {
	texts := map[string]*string{"port": &o.Port, "ssl_key": &o.SSLKey, "ssl_cert": &o.SSLCert, "ssl_ca_cert": &o.SSLCACert,
		"ssl_verify": &o.SSLVerify, "tls_min_version": &o.TLSMinVersion}
	times := map[string]*time.Duration{"timeout": &o.Timeout, "delay": &o.Delay}
	switch {
	case key == "server":
		o.Servers = nil
		for server := range strings.SplitSeq(value, ",") {
			o.Servers = append(o.Servers, strings.TrimSpace(server))
		}
	case texts[key] != nil:
		*texts[key] = value
	case times[key] != nil:
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || !(seconds >= 0 && seconds <= maxSeconds) { // NaN is neither
			return true, fmt.Errorf("%q is no number of seconds from 0 to %d", value, maxSeconds)
		}
		*times[key] = time.Duration(seconds * float64(time.Second))
	case key == "sets":
		divider, known := setDividers[value]
		if !known {
			return true, fmt.Errorf("%q is neither lines (a result a line) nor etb (divided by the byte 0x17, the default)", value)
		}
		o.SetDelimiter = divider
	default:
		return slices.Contains(ofNSCA, key), nil
	}
	return true, nil
}
