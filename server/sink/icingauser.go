package sink

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// The permissions that the API user needs. Without the second one a restart of
// Icinga goes unnoticed.
const (
	permitResults = "actions/process-check-result"
	permitStatus  = "status/query"
)

// APIAccess is what the API wants of whoever connects, and what its certificate
// is held against.
type APIAccess struct {
	Password string
	TLS      *tls.Config
}

// permissions are those of the API user.
type permissions struct {
	list []string // as Icinga tells them
	told bool     // false: who answers does not tell them, as a proxy that lets only results pass
}

// filtered stands behind a permission that is for some objects only.
const filtered = " (filtered)"

// grant tells whether the user has a permission, and whether it is for some
// objects only. Icinga compares without regard to case, and knows * and ?.
func (p permissions) grant(name string) (granted, forSome bool) {
	for _, have := range p.list {
		pattern, some := strings.CutSuffix(have, filtered)
		if matches(strings.ToLower(pattern), name) {
			granted, forSome = true, forSome || some
		}
	}
	return granted, forSome
}

// matches tells whether a pattern with * and ? matches the whole text. Of
// several stars only the last is ever tried again.
func matches(pattern, text string) bool {
	at, star, resume := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, resume = at, i
			at++
		case at < len(pattern) && (pattern[at] == '?' || pattern[at] == text[i]):
			at++
			i++
		case star >= 0:
			resume++
			at, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[at:], "*") == ""
}

// admit finds out what the user may. An error is that it may hand in nothing,
// or that nobody answers.
//
// Icinga 2.13 answers a result of a user without the permission as if the
// object did not exist, so that the answer to a result tells nothing about it.
func (a *icingaAPI) admit(ctx context.Context) error {
	p, err := a.permissions(ctx)
	if err != nil {
		return err
	}
	if !p.told {
		a.statusAllowed, a.someOnly = true, false
		return nil
	}
	a.statusAllowed, _ = p.grant(permitStatus)
	granted := false
	if granted, a.someOnly = p.grant(permitResults); !granted {
		return shutError{fmt.Sprintf("%s takes no results from the API user %q: give it the permission %s (it has %s)", a.base, a.user, permitResults, p)}
	}
	return nil
}

func (p permissions) String() string {
	if len(p.list) == 0 {
		return "none"
	}
	const most = 200
	text := strings.Join(p.list, ", ")
	if len(text) > most {
		text = text[:most] + "..."
	}
	return text
}

// shutError is an Icinga that answers and takes no results from this user.
type shutError struct{ why string }

func (e shutError) Error() string { return e.why }

// permissions asks what the user may.
func (a *icingaAPI) permissions(ctx context.Context) (p permissions, err error) {
	code, text, err := a.ask(ctx, "/v1")
	switch {
	case err != nil:
		return p, err
	case code == http.StatusUnauthorized:
		return p, a.unauthorized()
	case code == http.StatusForbidden || code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return p, nil
	case code != http.StatusOK:
		return p, fmt.Errorf("%s answers %d %s", a.base, code, http.StatusText(code))
	}
	var info struct {
		Results []struct {
			Permissions *[]string `json:"permissions"`
		} `json:"results"`
	}
	if json.Unmarshal(text, &info) == nil && len(info.Results) == 1 && info.Results[0].Permissions != nil {
		p.list, p.told = *info.Results[0].Permissions, true
	}
	return p, nil
}

func (a *icingaAPI) unauthorized() error {
	return fmt.Errorf("%s does not know the user %q with the password in --icinga2-password-file", a.base, a.user)
}

// meet finds out who answers and what the user may.
func (a *icingaAPI) meet(ctx context.Context) (err error) {
	a.process = ""
	if err = a.admit(ctx); err == nil && a.statusAllowed {
		a.process, err = a.identity(ctx)
	}
	return err
}
