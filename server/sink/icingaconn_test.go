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
	"sync/atomic"
	"testing"
	"time"
)

// newTestConn is a connection to a server that answers as the handler says,
// and counts its connections.
func newTestConn(t *testing.T, handle http.HandlerFunc) (*apiConn, *atomic.Int64) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		connections.Add(1)
		return ctx
	}
	server.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	conn := newAPIConn(newIcingaAPI(server.URL, "root", "icinga", &tls.Config{RootCAs: pool}))
	t.Cleanup(func() {
		conn.close()
		server.Close()
	})
	return conn, &connections
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
	conn, connections := newTestConn(t, func(w http.ResponseWriter, r *http.Request) {
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
	for i, step := range []struct {
		body        string
		connections int64
	}{{"one", 1}, {"early", 1}, {strings.Repeat("x", 1<<20), 1}, {"close", 1}, {"after it", 2}, {"long", 2}, {"last", 3}} {
		conn.expect(t, step.body, http.StatusOK)
		if got := connections.Load(); got != step.connections {
			t.Fatalf("step %d used connection %d, want %d", i, got, step.connections)
		}
	}
	conn.used = time.Now().Add(-2 * apiIdle)
	conn.expect(t, "after a pause", http.StatusOK)
	if got := connections.Load(); got != 4 {
		t.Errorf("connection %d was used after a pause, want the 4th", got)
	}
}

// What refuses a request before it has read it is heard.
func TestAPIConnHearsARefusalBeforeTheEnd(t *testing.T) {
	t.Parallel()
	conn, _ := newTestConn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	conn.expect(t, strings.Repeat("x", 16<<20), http.StatusRequestEntityTooLarge)
}

func TestAPIConnTakesNoEndlessHeader(t *testing.T) {
	t.Parallel()
	conn, _ := newTestConn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", apiHeader+apiAnswer))
	})
	if said, err := conn.submit(t.Context(), []byte("x")); err == nil || conn.conn != nil {
		t.Errorf("it took the answer %v", said)
	}
}

func TestAPIConnEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	conn, _ := newTestConn(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not notice that the connection ends
		cancel()
		<-r.Context().Done()
	})
	if _, err := conn.submit(ctx, []byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want a closed connection", err)
	}
}
