package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	apiTimeout = 30 * time.Second // of a question, and of a connection that the other end's kernel does not answer on
	// apiPatience is of a result, on a connection that stands. An Icinga that is
	// held up works on it afterwards: to hand it in again would repeat it.
	apiPatience = 5 * time.Minute
	apiIdle     = 5 * time.Second // of a connection; Icinga closes it after 10
	apiAnswer   = 64 << 10        // bytes of an answer that are looked at
)

// icingaAPI is one endpoint, and one process of it that results go to.
type icingaAPI struct {
	base, user string
	access     func() APIAccess // asked before each connection and each question: files may be renewed
	process    string           // that results go to; "" is any
	results    *apiConns
	questions  *http.Client

	// What the user may, when it was last asked. Owned by who asks.
	statusAllowed bool
	someOnly      bool // its permission has a filter
}

func newIcingaAPI(base, user string, access func() APIAccess) *icingaAPI {
	a := &icingaAPI{base: base, user: user, access: access}
	transport := &http.Transport{DialTLSContext: a.dialTLS, MaxConnsPerHost: 1, IdleConnTimeout: apiIdle, DisableCompression: true}
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a.questions = &http.Client{Transport: transport, Timeout: apiTimeout, CheckRedirect: noRedirects}
	a.results = newAPIConns(a)
	return a
}

// dialTLS connects for questions.
func (a *icingaAPI) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: apiTimeout}
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn, err := a.secure(ctx, raw, a.access())
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// secure makes the handshake on a connection, or closes it.
func (a *icingaAPI) secure(ctx context.Context, raw net.Conn, access APIAccess) (*tls.Conn, error) {
	config := access.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(a.host())
	}
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, apiHandshake)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("TLS with %s: %w%s", a.base, err, tlsAdvice(err))
	}
	return conn, nil
}

// host is the endpoint's host:port.
func (a *icingaAPI) host() string { return strings.TrimPrefix(a.base, "https://") }

// close gives up connections that are not in use.
func (a *icingaAPI) close() {
	a.results.close()
	a.questions.CloseIdleConnections()
}

// same returns an error unless the process that results go to still answers.
func (a *icingaAPI) same(ctx context.Context) error {
	if a.process == "" {
		return nil // nobody may ask
	}
	now, err := a.identity(ctx)
	if err == nil && now != a.process {
		if now == "" {
			now = "one that does not tell the API user who it is"
		}
		err = restartError{a.process, now}
	}
	return err
}

// restartError is an Icinga whose process became another.
type restartError struct{ before, now string }

func (e restartError) Error() string {
	return fmt.Sprintf("a restarted Icinga gets again what the old one may have dropped (%s, before %s)", e.now, e.before)
}

// answer is what an endpoint said. Of its own objections it tells in error,
// of those of the object in results. A proxy before it has neither.
type answer struct {
	code    int
	icinga  bool // these are Icinga's words
	own     bool // the objection is to the request, whatever the object
	message string
}

// ignored begins what Icinga says of a result that it took and does nothing with,
// as for an object whose parent is down.
const ignored = "Ignoring "

// icingaAnswer is the body of an answer.
type icingaAnswer struct {
	Error   float64 `json:"error"`
	Status  string  `json:"status"`
	Results []struct {
		Status json.RawMessage `json:"status"`
	} `json:"results"`
}

// heard reads the answer to a result.
func heard(code int, text []byte) answer {
	if code == http.StatusOK && !bytes.Contains(text, []byte(ignored)) {
		return answer{code: code, icinga: true}
	}
	said := answer{code: code, own: true, message: http.StatusText(code)}
	var parsed icingaAnswer
	if json.Unmarshal(text, &parsed) != nil || parsed.Error == 0 && len(parsed.Results) == 0 {
		return said
	}
	said.icinga, said.own = true, parsed.Error != 0
	if parsed.Status != "" {
		said.message = parsed.Status
	}
	if len(parsed.Results) > 0 {
		var status string
		if json.Unmarshal(parsed.Results[0].Status, &status) == nil {
			said.message = status
		}
	}
	return said
}

// identity returns what changes when the process that answers becomes another;
// "" if the user may not ask.
func (a *icingaAPI) identity(ctx context.Context) (string, error) {
	code, text, err := a.ask(ctx, "/v1/status/IcingaApplication")
	switch {
	case err != nil:
		return "", err
	case code == http.StatusForbidden, code == http.StatusNotFound && heard(code, text).icinga: // 2.13 knows no status then
		return "", nil
	case code == http.StatusUnauthorized:
		return "", a.unauthorized()
	case code != http.StatusOK:
		return "", fmt.Errorf("%s answers %d %s", a.base, code, http.StatusText(code))
	}
	var status struct {
		Results []struct {
			Status struct {
				Application struct {
					App struct {
						PID   float64 `json:"pid"`
						Start float64 `json:"program_start"`
					} `json:"app"`
				} `json:"icingaapplication"`
			} `json:"status"`
		} `json:"results"`
	}
	if err := json.Unmarshal(text, &status); err != nil || len(status.Results) != 1 {
		return "", fmt.Errorf("%s does not tell its status as Icinga 2 does: %.100q", a.base, text)
	}
	app := status.Results[0].Status.Application.App
	return fmt.Sprintf("process %.0f of %s, started at %.0f", app.PID, a.base, app.Start), nil
}

// ask returns the answer to a question.
func (a *icingaAPI) ask(ctx context.Context, path string) (code int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return 0, nil, err
	}
	request.SetBasicAuth(a.user, a.access().Password)
	request.Header.Set("Accept", "application/json")
	response, err := a.questions.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(io.LimitReader(response.Body, apiAnswer)); err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", a.base, err)
	}
	if response.StatusCode == http.StatusUnauthorized {
		defer a.questions.CloseIdleConnections() // the next one begins with what the files hold then
	}
	return response.StatusCode, text, nil
}
