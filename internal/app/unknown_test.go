package app

import (
	"strings"
	"testing"
)

// A setting that is misspelt is told of; what is for another command, or set by
// a cluster, is none.
func TestUnknownVariablesAreToldOf(t *testing.T) {
	for variable, want := range map[string]string{
		"MASSIVE_PASSIVE_LOGLEVL=debug":                       "did you mean MASSIVE_PASSIVE_LOGLEVEL?",
		"MASSIVE_PASSIVE_TIMEOT=1":                            "did you mean MASSIVE_PASSIVE_TIMEOUT?",
		"MASSIVE_PASSIVE_" + strings.Repeat("X", 10000) + "=": "it sets nothing",
		"MASSIVE_PASSIVE_CONFDIR=/x":                          "",
		"MASSIVE_PASSIVE_SINK=x":                              "",
		"MASSIVE_PASSIVE_ICINGA2_PASSWORD=x":                  "",
		"MASSIVE_PASSIVE_PKI_ANYTHING=x":                      "",
		"MASSIVE_PASSIVE_SERVER_PORT=tcp://192.0.2.1:5678":    "",
		"MASSIVE_PASSIVE_SERVER_SERVICE_HOST=192.0.2.1":       "",
		"OTHER=x": "",
	} {
		u := findUnknown(streams{}, []string{variable})
		if text := strings.Join(u.texts, "\n"); (text == "") != (want == "") || !strings.Contains(text, want) || len(text) > 500 {
			t.Errorf("%.60s: %.600q, want %q", variable, text, want)
		}
	}
}

func TestThePageNamesPagesThatExist(t *testing.T) {
	if page := overviewManual().page("1"); strings.Contains(page, `massive\-passive\-help (8)`) || !strings.Contains(page, `massive\-passive\-send (8)`) {
		t.Errorf("the page:\n%s", page)
	}
}
