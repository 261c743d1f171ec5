package checkfile

import (
	"strconv"
	"strings"
	"testing"
)

func TestMacrosOfACoreAreNamed(t *testing.T) {
	for command, want := range map[string]string{
		`$USER1$/check_disk -w $ARG1$ -w $ARG1$`:       "$USER1$ $ARG1$",
		`/check -H '$HOSTADDRESS$'`:                    "$HOSTADDRESS$",
		`/check -C $_HOSTCOMMUNITY$`:                   "$_HOSTCOMMUNITY$",
		`/check $HOSTSTATE:web1$`:                      "$HOSTSTATE$",
		`/check -H $address$ -p $host.vars.port$`:      "$address$ $host.vars.port$",
		`/check $HAVE$ $HAVE`:                          "",
		`/check -w $disk_wfree$ --hash 'x$salt$hash$'`: "$disk_wfree$",
		`/check $5 a$ $b`:                              "",
		`$USER1$/check -H $HOSTNAME$ | tail`:           "$USER1$ $HOSTNAME$",
		`/check $A$B; grep "$END$" x`:                  "",
	} {
		quoted := strconv.Quote(command)
		for _, form := range []string{quoted, `["/bin/echo", ` + quoted + `]`} {
			if form != quoted && strings.ContainsAny(command, "|;") {
				continue
			}
			text := `{"check_type": "host_check", "check_hostname": "h", "interval": 1, "servers": {"s": "127.0.0.1"},
				"env": {"HAVE": "x$SECRET$"}, "command": ` + form + `}`
			_, warnings, err := Parse("a.cfg", []byte(text), Defaults{})
			var got []string
			for _, w := range warnings {
				got = append(got, strings.Fields(w.Reason)[2])
			}
			if found := strings.ReplaceAll(strings.Join(got, " "), ",", ""); err != nil || found != want {
				t.Errorf("%s: %q, %v, want %q", form, found, err, want)
			}
		}
	}
}
