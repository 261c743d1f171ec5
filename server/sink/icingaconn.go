package sink

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	apiHandshake  = 10 * time.Second
	apiHeader     = 64 << 10        // bytes of an answer before its body
	apiLastAnswer = 2 * time.Second // to one that refuses a request before it has read it
)

// apiConns are the connections to one endpoint that results are handed in on.
// The transport of net/http has two goroutines for each, which costs as much
// again as the request and TLS together.
type apiConns struct {
	api  *icingaAPI
	rest *time.Timer // runs out when nobody needs them any more

	mu   sync.Mutex
	idle []*apiConn // the last is taken first, so that few results need few
}

func newAPIConns(api *icingaAPI) *apiConns {
	p := &apiConns{api: api}
	p.rest = time.AfterFunc(apiIdle, p.closeIdle)
	return p
}

// submit hands in a result. An error is the network's. The connection ends
// with ctx.
func (p *apiConns) submit(ctx context.Context, body []byte) (answer, error) {
	c := p.take()
	defer p.put(c)
	return c.submit(ctx, body)
}

func (p *apiConns) take() *apiConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return newAPIConn(p.api)
	}
	c := p.idle[last]
	p.idle = p.idle[:last]
	return c
}

func (p *apiConns) put(c *apiConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
	p.drop()
	p.rest.Reset(apiIdle)
}

func (p *apiConns) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

// drop closes the connections that nobody needed for a while: the first ones,
// as the last is taken first.
func (p *apiConns) drop() {
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].used) >= apiIdle {
		p.idle[n].close()
		n++
	}
	p.idle = slices.Delete(p.idle, 0, n)
}

// close closes all that are not in use.
func (p *apiConns) close() {
	p.rest.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.close()
	}
}

// apiConn hands in results one after the other, on one connection at a time.
type apiConn struct {
	api       *icingaAPI
	conn      *tls.Conn // nil while there is none
	raw       *net.TCPConn
	unwatch   func() bool
	header    io.LimitedReader // what the next answer may have of the connection
	answers   *bufio.Reader
	used      time.Time // when it was last answered
	head, out []byte
}

func newAPIConn(api *icingaAPI) *apiConn {
	return &apiConn{api: api, answers: bufio.NewReader(nil)}
}

// login makes what each request of a connection begins with.
func (c *apiConn) login(password string) {
	login := base64.StdEncoding.EncodeToString([]byte(c.api.user + ":" + password))
	c.head = fmt.Appendf(c.head[:0],
		"POST /v1/"+permitResults+" HTTP/1.1\r\nHost: %s\r\nUser-Agent: massive-passive\r\nAuthorization: Basic %s\r\n"+
			"Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: ", c.api.host(), login)
}

func (c *apiConn) submit(ctx context.Context, body []byte) (answer, error) {
	if c.conn != nil && (time.Since(c.used) >= apiIdle || !c.quiet()) {
		c.close()
	}
	if c.conn == nil {
		if err := c.open(ctx); err != nil {
			return answer{}, err
		}
	}
	code, text, stays, err := c.exchange(body)
	if c.used = time.Now(); err != nil || !stays || code == http.StatusUnauthorized { // the password may be a new one at the next
		c.close()
	}
	if err != nil {
		return answer{}, fmt.Errorf("hand a result to %s: %w", c.api.base, err)
	}
	return heard(code, text), nil
}

// open connects to the process that results go to, and to no other. As it
// ends, Icinga answers 200 to results that it does not work on any more, and
// the next one drops what is older than what it was given first: so that gets
// nothing before all of that is written again.
func (c *apiConn) open(ctx context.Context) error {
	dialer := net.Dialer{Timeout: apiTimeout, Control: giveUpDead}
	dialed, err := dialer.DialContext(ctx, "tcp", c.api.host())
	if err != nil {
		return err
	}
	raw := dialed.(*net.TCPConn)
	// A process listens only when the one before it is gone: whoever answers
	// now has had this connection from the start.
	if err = c.api.same(ctx); err != nil {
		raw.Close()
		return err
	}
	access := c.api.access()
	conn, err := c.api.secure(ctx, raw, access)
	if err != nil {
		return err
	}
	c.login(access.Password)
	c.conn, c.raw, c.used, c.header.R = conn, raw, time.Now(), conn
	c.answers.Reset(&c.header)
	c.unwatch = context.AfterFunc(ctx, func() { raw.Close() })
	return nil
}

// tlsAdvice names the option that mends a certificate which is not accepted.
func tlsAdvice(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return ": name the CA of Icinga's API with --icinga2-ca-file"
	case errors.As(err, &name):
		return ": name the endpoint as its certificate does, or give that name with --icinga2-server-name"
	}
	return ""
}

// giveUpDead has the kernel end a connection whose other end is gone.
func giveUpDead(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(apiTimeout/time.Millisecond)) // an older kernel waits longer
	})
}

// exchange sends a result and reads the answer to it. stays tells that the
// connection can take another.
func (c *apiConn) exchange(body []byte) (code int, text []byte, stays bool, err error) {
	c.out = append(strconv.AppendInt(append(c.out[:0], c.head...), int64(len(body)), 10), "\r\n\r\n"...)
	c.out = append(c.out, body...)
	c.conn.SetDeadline(time.Now().Add(apiPatience))
	_, failed := c.conn.Write(c.out)
	if cap(c.out) > apiAnswer {
		c.out = nil
	}
	if failed != nil { // it may have answered that it does not want the rest
		c.conn.SetReadDeadline(time.Now().Add(apiLastAnswer))
	}
	code, text, stays, err = c.answer()
	if failed != nil && (err != nil || code == http.StatusOK) { // it cannot have taken what it did not read
		err = failed
	}
	return code, text, stays && failed == nil, err
}

func (c *apiConn) answer() (code int, text []byte, stays bool, err error) {
	for {
		c.header.N = apiHeader + apiAnswer
		answer, err := http.ReadResponse(c.answers, nil)
		if err != nil {
			return 0, nil, false, err
		}
		if answer.StatusCode < http.StatusOK { // a proxy's, and not the last
			continue
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body, apiAnswer))
		return answer.StatusCode, text, !answer.Close && len(text) < apiAnswer, err
	}
}

// quiet tells that nothing came since the last answer. What did is the end of
// the connection, or an answer too many, which the next result must not have.
func (c *apiConn) quiet() bool {
	c.header.N = 1
	c.conn.SetReadDeadline(time.Unix(1, 0)) // looks at what was read of the connection, but not at the connection
	if _, err := c.answers.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	raw, err := c.raw.SyscallConn()
	if err != nil {
		return false
	}
	looked := raw.Control(func(fd uintptr) {
		_, _, err = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return looked == nil && err == unix.EAGAIN
}

func (c *apiConn) close() {
	if c.conn != nil {
		c.unwatch()
		c.conn.Close()
		c.conn = nil
	}
}
