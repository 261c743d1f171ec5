package certs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	readableByAll    fs.FileMode = 0o004
	writableByOthers fs.FileMode = 0o022
	sticky                       = fs.ModeSticky

	mountedReadOnly = 1 // ST_RDONLY of statvfs(3)
)

// LooseKey says what is wrong with who may read or write a private key; "" if
// nothing is. A group may read it: that is how some systems hand keys out.
func LooseKey(file string) string {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return "" // whoever needs the file tells
	case info.Mode()&readableByAll != 0:
		return fmt.Sprintf("every user of this machine can read the private key %s: `chmod 600 %s`, and make a new one if others work here", file, file)
	}
	return LooseFile(file)
}

// LooseFile says who else may change a file or directory that decides whom to
// trust or what to run, by itself or by the directory that it lies in; "" if
// nobody may.
func LooseFile(file string) string {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	for _, at := range []string{path, filepath.Dir(path)} {
		if why := loose(at, at != path); why != "" {
			return fmt.Sprintf("%s, so that %s is not safe from others", why, file)
		}
	}
	return ""
}

// loose looks at one file. In a directory above it that has the sticky bit, as
// /tmp, others can make files but not replace ours; on a file system that is
// mounted for reading only, as a container's configuration is, modes say
// nothing.
func loose(path string, above bool) string {
	info, err := os.Stat(path)
	var system syscall.Statfs_t
	if err != nil || syscall.Statfs(path, &system) == nil && system.Flags&mountedReadOnly != 0 {
		return ""
	}
	if info.Mode()&writableByOthers != 0 && !(above && info.Mode()&sticky != 0) {
		return fmt.Sprintf("%s can be written by others than its owner (mode %03o): `chmod go-w %s`", path, info.Mode().Perm(), path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Sprintf("%s belongs to the user with the number %d, who is neither root nor this process's: `chown root %s`", path, stat.Uid, path)
	}
	return ""
}
