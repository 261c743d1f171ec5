package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Who owns what is in the way, and what to do, stands in the message.
func TestARefusedPermissionNamesTheOwner(t *testing.T) {
	dir := t.TempDir()
	refused := &fs.PathError{Op: "open", Path: filepath.Join(dir, "journal", "lock"), Err: fs.ErrPermission}
	err := withOwner(refused, filepath.Join(dir, "journal"))
	me := account(strconv.Itoa(os.Getuid()))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir+" belongs to user "+me) || !strings.Contains(err.Error(), "chown") {
		t.Errorf("said %v", err)
	}
	if other := errors.New("another"); withOwner(other, dir) != other {
		t.Error("an error of another kind was changed")
	}
	if got := account("4000000000"); got != "4000000000" {
		t.Errorf("a user without a name is %q", got)
	}
}
