package sender

import (
	"slices"
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "--",
		"-H mon -p 5667 -to 15 -d ; -c x.cfg":  "--server=mon --port=5667 --timeout=15 --delimiter=; --config=x.cfg --",
		"mon -p 5667":                          "--port=5667 -- mon",
		"-p 5667 mon -quiet":                   "--port=5667 --quiet -- mon",
		"--quiet -ds 0x1e":                     "--quiet --set-delimiter=0x1e --",
		"-vvv -CS":                             "--verbose --verbose --verbose --raw --S --",
		"-Hmon -p5668 -Cd;":                    "--server=mon --port=5668 --raw --delimiter=; --",
		"-t -o 10":                             "--t --timeout=10 --",
		"-vo10 -e, -D3":                        "--verbose --timeout=10 --set-delimiter=, --delay=3 --",
		"--server=a,b --server c":              "--server=a,b --server=c --",
		"-to=7 --timeout=8":                    "--timeout=7 --timeout=8 --",
		"-d -":                                 "--delimiter=- --",
		"-d =":                                 "--delimiter== --",
		"-d=":                                  "--delimiter== --",
		"-d -- x":                              "--delimiter=-- -- x",
		"-- -H x":                              "-- -H x",
		"-":                                    "-- -",
		"--nonsense -Zq -vZ":                   "--nonsense -Zq -vZ --",
		"-H":                                   "-H",
		"mon -H":                               "-H",
		"-vH":                                  "-vH --",
		"--legacy-2-7-mode -h -V":              "--legacy-2-7-mode --show-help --version --",
		"-ssl-key k --ssl-cert=c --ssl-verify": "--ssl-key=k --ssl-cert=c --ssl-verify",
		"--quiet=false":                        "--quiet=false --",
	} {
		got := Arrange(append([]string{"send"}, strings.Fields(in)...))
		if !slices.Equal(got, append([]string{"send"}, strings.Fields(want)...)) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDelimiters(t *testing.T) {
	for in, want := range map[string]int{
		";": ';', "|x": '|', "0": '0', "7": '7', "0x09": 9, "0X1e": 0x1e, "011": 9, "9": '9', "10": 10, "23": 23,
		`\t`: 9, `\n`: '\n', `\\`: '\\', `\`: '\\', `\x17`: 0x17, `\027`: 0x17, `\27`: 0x17, `\e`: -1, `\x`: -1, `\0`: -1,
		"": -1, "0x100": -1, "0x": -1, "08": -1, "1;": -1, "00": -1, "ä": 0xc3, `\tx`: -1,
	} {
		got, err := parseDelimiter(in)
		if (err != nil) != (want < 0) || err == nil && int(got) != want {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
}
