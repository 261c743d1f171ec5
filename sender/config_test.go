package sender

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "send.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigFilesOfAllPrograms(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		set     func(*SendOptions)
		ignored []string
	}{
		"NSCA": {"# password\n\npassword=a#b=c\nencryption_method=1\npassword=again\n", func(*SendOptions) {}, nil},
		"NSCA-ng": {"  identity = \"web \\\"1\\\"\"  # who we are\n server= 'monitor.example.com' # there\ntls_ciphers = \"PSK-AES256-\\\nCBC-SHA\"\ndelay = 2\nport = 5668 # its\ntimeout = 0\r\n",
			func(o *SendOptions) {
				o.Servers, o.Delay, o.Port, o.Timeout = []string{"monitor.example.com"}, 2*time.Second, "5668", 0
			}, []string{"identity", "tls_ciphers"}},
		"ours": {"ssl_key = /k\nssl_cert=\"/c d\"\nssl_ca_cert='/a'\nssl_verify=ca\ntls_min_version=1.0\nserver = a, b:99 ,[::1]\ntimeout=2.5",
			func(o *SendOptions) {
				o.SSLKey, o.SSLCert, o.SSLCACert, o.SSLVerify, o.TLSMinVersion = "/k", "/c d", "/a", "ca", "1.0"
				o.Servers, o.Timeout = []string{"a", "b:99", "[::1]"}, 2500*time.Millisecond
			}, nil},
		"empty":     {"", func(*SendOptions) {}, nil},
		"a mark":    {"\ufeffport=1\nx=\ufeff", func(o *SendOptions) { o.Port = "1" }, []string{"x"}},
		"lines":     {"sets = lines", func(o *SendOptions) { o.SetDelimiter = '\n' }, nil},
		"ETB again": {"sets=lines\r\nsets = \"etb\" # as ever", func(*SendOptions) {}, nil},
	} {
		got, want := DefaultSendOptions(), DefaultSendOptions()
		c.set(&want)
		_, ignored, err := readConfig(write(t, c.text), &got)
		if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(ignored, c.ignored) {
			t.Errorf("%s: got %+v, ignored %q, %v\nwant %+v", name, got, ignored, err, want)
		}
	}
}

func TestConfigFilesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"port=1\nnonsense\n":              `:2: "nonsense" is not KEY=VALUE`,
		"=x":                              `:1: "=x" is not KEY=VALUE`,
		"server = \"a":                    `:1: the value has no closing "`,
		"server = 'a' b":                  `:1: "b" stands behind the closing quote`,
		"timeout = soon":                  `:1: timeout: "soon" is no number of seconds`,
		"delay = -1":                      `:1: delay: "-1" is no number`,
		"port = 1\nsets = line":           `:2: sets: "line" is neither lines`,
		"port = 1\n\ufeffport = 2\nsets=": `:3: sets: ""`,
		"\xff\xfep\x00":                   `:1: this is UTF-16`,
		"p\x00o\x00r\x00t\x00":            `:1: this is UTF-16`,
		"\\\n\\\ntimeout=NaN\nx=\n":       `:1: timeout: "NaN"`,
	} {
		file := write(t, text)
		o := DefaultSendOptions()
		_, _, err := readConfig(file, &o)
		var bad *ConfigError
		if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), file+want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	o := DefaultSendOptions()
	if _, _, err := readConfig("/nowhere/send.cfg", &o); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/nowhere/send.cfg") {
		t.Errorf("a missing file: %v", err)
	}
}
