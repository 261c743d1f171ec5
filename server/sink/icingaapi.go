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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	apiTimeout = 30 * time.Second // of a question, and of a connection that the other end's kernel does not answer on
	// apiPatience is of a result, on a connection that stands. An Icinga that is
	// held up works on it afterwards: to hand it in again would repeat it.
	apiPatience = 5 * time.Minute
	apiIdle     = 5 * time.Second // of a connection; Icinga closes it after 10
	apiAnswer   = 64 << 10        // bytes of an answer that are looked at
)

// icingaAPI speaks to one endpoint, and hands in results to one process of it.
type icingaAPI struct {
	base, user, password string
	process              string       // that results go to; "" is any
	results              *http.Client // whose connections are that process's
	questions            *http.Client
}

func newIcingaAPI(base, user, password string, config *tls.Config, connections int) *icingaAPI {
	a := &icingaAPI{base: base, user: user, password: password}
	client := func(connections int, timeout time.Duration, dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
		transport := &http.Transport{TLSClientConfig: config, MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections,
			IdleConnTimeout: apiIdle, DisableCompression: true, TLSHandshakeTimeout: 10 * time.Second,
			ReadBufferSize: 4 << 10, WriteBufferSize: 16 << 10, DialContext: dial}
		noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: noRedirects}
	}
	a.results, a.questions = client(connections, apiPatience, a.dial), client(1, apiTimeout, nil)
	return a
}

// close gives up connections that are not in use.
func (a *icingaAPI) close() {
	a.results.CloseIdleConnections()
	a.questions.CloseIdleConnections()
}

// dial connects to the process that results go to, and to no other. As it
// ends, Icinga answers 200 to results that it does not work on any more, and
// the next one drops what is older than what it was given first: so that gets
// nothing before all of that is written again.
func (a *icingaAPI) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: apiTimeout, Control: giveUpDead}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || a.process == "" {
		return conn, err
	}
	// A process listens only when the one before it is gone: whoever answers
	// now has had this connection from the start.
	if err = a.same(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// giveUpDead has the kernel end a connection whose other end is gone.
func giveUpDead(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(apiTimeout/time.Millisecond)) // an older kernel waits longer
	})
}

// same returns an error unless the process that results go to still answers.
func (a *icingaAPI) same(ctx context.Context) error {
	now, err := a.identity(ctx)
	if err == nil && now != a.process {
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

// icingaAnswer is the body of an answer.
type icingaAnswer struct {
	Error   float64 `json:"error"`
	Status  string  `json:"status"`
	Results []struct {
		Status json.RawMessage `json:"status"`
	} `json:"results"`
}

// submit hands in a result. An error is the network's.
func (a *icingaAPI) submit(ctx context.Context, body []byte) (answer, error) {
	code, text, err := a.do(ctx, a.results, http.MethodPost, "/v1/actions/process-check-result", body)
	if err != nil || code == http.StatusOK {
		return answer{code: code, icinga: err == nil}, err
	}
	said := answer{code: code, own: true, message: http.StatusText(code)}
	var parsed icingaAnswer
	if json.Unmarshal(text, &parsed) != nil || parsed.Error == 0 && len(parsed.Results) == 0 {
		return said, nil
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
	return said, nil
}

// identity returns what changes when the process that answers becomes another;
// "" if the user may not ask.
func (a *icingaAPI) identity(ctx context.Context) (string, error) {
	code, text, err := a.do(ctx, a.questions, http.MethodGet, "/v1/status/IcingaApplication", nil)
	switch {
	case err != nil:
		return "", err
	case code == http.StatusForbidden:
		return "", nil
	case code == http.StatusUnauthorized:
		return "", fmt.Errorf("%s does not know the user %q with this password", a.base, a.user)
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

func (a *icingaAPI) do(ctx context.Context, client *http.Client, method, path string, body []byte) (code int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.SetBasicAuth(a.user, a.password)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(io.LimitReader(response.Body, apiAnswer)); err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", a.base, err)
	}
	return response.StatusCode, text, nil
}
