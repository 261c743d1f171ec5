// Package disk puts small files in place so that a crash or a power loss leaves
// the old one or the new one, and reads files whose disk or file server may not
// answer, or which somebody may have replaced by something that is no file.
//
// Replace is not for what must be writable on a full disk: that is the journal's
// cursors and the server's checkpoint, which have their blocks beforehand.
package disk

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a file of mode 0600 in place of what had its name. An error is
// of one of the steps; the old file stays then, but for one of the last step,
// after which either may be there.
func Replace(file string, data []byte) error {
	dir := filepath.Dir(file)
	temporary, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // gone already, unless a step failed
	_, err = temporary.Write(data)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), file); err != nil {
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes new, changed and removed names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
