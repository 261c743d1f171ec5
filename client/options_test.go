package client

import (
	"errors"
	"massive-passive/internal/option"
	"strings"
	"testing"
)

func TestADefaultServerThatCannotBeMeant(t *testing.T) {
	for server, want := range map[string]string{
		"127.0.0.1":                             "is not NAME=ADDRESS[:PORT]",
		"=127.0.0.1":                            "is not NAME=ADDRESS[:PORT]",
		"core=:80":                              "names no host",
		"co;re=127.0.0.1":                       "which may not stand in a name",
		strings.Repeat("x", 190) + "=127.0.0.1": "1 to 200 bytes",
	} {
		o := DefaultOptions()
		o.DefaultServers = []string{server}
		var wrong *option.Error
		if err := o.validate(); !errors.As(err, &wrong) || wrong.Option != "--default-servers" || !strings.Contains(wrong.Problem, want) {
			t.Errorf("%s: %v, want an error with %q", server, err, want)
		}
	}
}

func TestADefaultEnvironmentThatCannotBeMeant(t *testing.T) {
	for text, want := range map[string]string{
		"PATH":         `"PATH" is not NAME=VALUE`,
		"=/bin":        `"" is not NAME=VALUE`,
		"A=1\nB C=2":   `"B C" is not NAME=VALUE`,
		"1A=2":         `"1A" is not NAME=VALUE`,
		"A=\x00secret": "NUL",
	} {
		o := DefaultOptions()
		o.DefaultEnv = []string{text}
		var wrong *option.Error
		if err := o.validate(); !errors.As(err, &wrong) || wrong.Option != "--default-env" || !strings.Contains(wrong.Problem, want) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}
