package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// apiDoor answers results as its handler says, and counts its connections.
type apiDoor struct {
	api            *icingaAPI
	opened, closed atomic.Int64
}

func newAPIDoor(t *testing.T, handle http.HandlerFunc) *apiDoor {
	d := &apiDoor{}
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			d.opened.Add(1)
		case http.StateClosed:
			d.closed.Add(1)
		}
	}
	server.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	d.api = newIcingaAPI(server.URL, "root", func() APIAccess { return APIAccess{"icinga", &tls.Config{RootCAs: pool}} })
	t.Cleanup(func() {
		d.api.close()
		server.Close()
	})
	return d
}

func (d *apiDoor) connect(t *testing.T) *apiConn {
	c := newAPIConn(d.api)
	t.Cleanup(c.close)
	return c
}

func (c *apiConn) expect(t *testing.T, body string, code int) {
	t.Helper()
	said, err := c.submit(t.Context(), []byte(body))
	if err != nil || said.code != code {
		t.Fatalf("a body of %d bytes is answered %d, %v; want %d", len(body), said.code, err, code)
	}
}

func TestAPIConnStays(t *testing.T) {
	t.Parallel()
	door := newAPIDoor(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		got := fmt.Sprint(r.Method, r.URL, r.Header.Get("Accept"), r.Header.Get("Content-Type"), user, password)
		if want := "POST/v1/actions/process-check-resultapplication/jsonapplication/jsonrooticinga"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		switch string(body) {
		case "early":
			w.WriteHeader(http.StatusEarlyHints)
		case "close":
			w.Header().Set("Connection", "close")
		case "long":
			fmt.Fprint(w, strings.Repeat(" ", 2*apiAnswer))
		}
	})
	conn := door.connect(t)
	for i, step := range []struct {
		body        string
		connections int64
	}{{"one", 1}, {"early", 1}, {strings.Repeat("x", 1<<20), 1}, {"close", 1}, {"after it", 2}, {"long", 2}, {"last", 3}} {
		conn.expect(t, step.body, http.StatusOK)
		if got := door.opened.Load(); got != step.connections {
			t.Fatalf("step %d used connection %d, want %d", i, got, step.connections)
		}
	}
	conn.used = time.Now().Add(-2 * apiIdle)
	conn.expect(t, "after a pause", http.StatusOK)
	if got := door.opened.Load(); got != 4 {
		t.Errorf("connection %d was used after a pause, want the 4th", got)
	}
}

// What refuses a request before it has read it is heard.
func TestAPIConnHearsARefusalBeforeTheEnd(t *testing.T) {
	t.Parallel()
	conn := newAPIDoor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}).connect(t)
	conn.expect(t, strings.Repeat("x", 16<<20), http.StatusRequestEntityTooLarge)
}

// Nor is what was not read believed to have been taken.
func TestAPIConnBelievesNoSuccessBeforeTheEnd(t *testing.T) {
	t.Parallel()
	conn := newAPIDoor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}).connect(t)
	if said, err := conn.submit(t.Context(), make([]byte, 16<<20)); err == nil {
		t.Errorf("a result that was not read is answered %d", said.code)
	}
}

// An answer too many, as a broken proxy may give, is not the next result's;
// and a connection that ended while it rested is none to fail on.
func TestAPIConnTakesNothingFromBefore(t *testing.T) {
	t.Parallel()
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	for _, more := range []struct {
		name   string
		answer func(net.Conn)
	}{
		{"in one record", func(c net.Conn) { io.WriteString(c, answer+answer) }},
		{"in two", func(c net.Conn) { io.WriteString(c, answer); io.WriteString(c, answer) }},
		{"behind a long one", func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n%30000d%s", 0, answer)
		}},
		{"none, but the end", func(c net.Conn) { io.WriteString(c, answer); c.Close() }},
	} {
		t.Run(more.name, func(t *testing.T) {
			t.Parallel()
			var worked atomic.Int64
			conn := newAPIDoor(t, func(w http.ResponseWriter, _ *http.Request) {
				worked.Add(1)
				raw, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				more.answer(raw)
				io.Copy(io.Discard, raw) // until the other end has enough
				raw.Close()
			}).connect(t)
			for n := range int64(3) {
				conn.expect(t, "x", http.StatusOK)
				if got := worked.Load(); got != n+1 {
					t.Fatalf("%d results were answered, and %d worked on", n+1, got)
				}
				time.Sleep(50 * time.Millisecond) // for what comes behind the answer
			}
		})
	}
}

func TestAPIConnTakesNoEndlessHeader(t *testing.T) {
	t.Parallel()
	conn := newAPIDoor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", apiHeader+apiAnswer))
	}).connect(t)
	if said, err := conn.submit(t.Context(), []byte("x")); err == nil || conn.conn != nil {
		t.Errorf("it took the answer %v", said)
	}
}

func TestAPIConnEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	conn := newAPIDoor(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not notice that the connection ends
		cancel()
		<-r.Context().Done()
	}).connect(t)
	if _, err := conn.submit(ctx, []byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want a closed connection", err)
	}
}

// Few results need one connection, however many workers they come by; none is
// kept that Icinga is about to close.
func TestAPIConnsAreAsManyAsNeeded(t *testing.T) {
	t.Parallel()
	came, goOn := make(chan bool), make(chan bool)
	door := newAPIDoor(t, func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) == "together" {
			came <- true
			<-goOn
		}
	})
	submit := func(body string) {
		if said, err := door.api.results.submit(t.Context(), []byte(body)); err != nil || said.code != http.StatusOK {
			t.Errorf("answered %d, %v", said.code, err)
		}
	}
	for range 5 {
		submit("alone")
	}
	if n := door.opened.Load(); n != 1 {
		t.Errorf("results one by one used %d connections", n)
	}
	const together = 3
	var workers sync.WaitGroup
	for range together {
		workers.Go(func() { submit("together") })
	}
	for range together {
		<-came
	}
	close(goOn)
	workers.Wait()
	if n := door.opened.Load(); n != together {
		t.Errorf("%d results at once used %d connections", together, n)
	}
	eventually(t, "what one result at a time does not need is closed", func() bool {
		submit("alone")
		return door.closed.Load() == together-1
	})
	eventually(t, "all connections are closed", func() bool { return door.closed.Load() == together })
}
