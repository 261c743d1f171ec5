package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"
	"time"
)

// maxPage bounds a page, in bytes: some 500,000 clients.
const maxPage = 128 << 20

// SilentError says why nobody answered on a socket.
type SilentError struct {
	Path string
	Err  error
}

func (e *SilentError) Error() string {
	switch {
	case e.Absent():
		return fmt.Sprintf("no client or server is running with this state directory, or it could not make its socket (its log says why): there is no %s", e.Path)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no process is running behind %s: it was killed, and not started again", e.Path)
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("no permission for %s: run this as root, as the user that the client or server runs as, or in the group that its --status-group names", e.Path)
	}
	return fmt.Sprintf("no answer from %s: %v", e.Path, e.Err)
}

func (e *SilentError) Unwrap() error { return e.Err }

// Absent tells that there is no socket.
func (e *SilentError) Absent() bool {
	return errors.Is(e.Err, fs.ErrNotExist) || errors.Is(e.Err, syscall.ENOTDIR)
}

// Fetch asks the process whose state directory is dir. An error is a
// *SilentError.
func Fetch(ctx context.Context, dir string) (*Page, error) {
	page, err := fetch(ctx, dir)
	if err != nil {
		return nil, &SilentError{filepath.Join(dir, SocketName), err}
	}
	return page, nil
}

func fetch(ctx context.Context, dir string) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	s, err := locate(dir)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", s.path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	data, err := io.ReadAll(io.LimitReader(conn, maxPage))
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil, errors.New("it ended before the page did")
	}
	var page Page
	if err := json.Unmarshal(data, &page); err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	return &page, nil
}
