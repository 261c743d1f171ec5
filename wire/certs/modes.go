package certs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"massive-passive/internal/disk"
)

const (
	readableByAll    fs.FileMode = 0o004
	writableByOthers fs.FileMode = 0o022
	sticky                       = fs.ModeSticky

	mountedReadOnly = 1 // ST_RDONLY of statvfs(3)
)

// LooseKey says what is wrong with who may read or write a private key; "" if
// nothing is. A group may read it: that is how some systems hand keys out.
func LooseKey(file string) string { return LooseSecret(file, "the private key") }

// LooseSecret says the same of any file that others must not read; what names
// it, as "the password".
func LooseSecret(file, what string) string {
	info, err := disk.Stat(context.Background(), file)
	switch {
	case err != nil:
		return "" // whoever needs the file tells
	case info.Mode()&readableByAll != 0:
		return fmt.Sprintf("every user of this machine can read %s %s: `chmod 600 %s`, and make a new one if others work here", what, file, file)
	}
	return LooseFile(file)
}

// looseMost is how many files of a directory are named.
const looseMost = 10

// LooseFiles says what LooseFile does of the files of a directory whose names
// have one of the suffixes.
func LooseFiles(dir string, suffixes ...string) (problems []string) {
	entries, err := disk.ReadDir(context.Background(), dir)
	if err != nil {
		return nil // whoever needs the directory tells
	}
	more := 0
	for _, e := range entries {
		if !slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(e.Name(), s) }) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		why := ""
		if e.Type()&fs.ModeSymlink != 0 {
			why = LooseFile(path)
		} else {
			why = answered(path, func() string { return loose(path, false) })
		}
		if why != "" && len(problems) == looseMost {
			more++
		} else if why != "" {
			problems = append(problems, why)
		}
	}
	if more > 0 {
		problems = append(problems, fmt.Sprintf("%d more files in %s are like these", more, dir))
	}
	return problems
}

// LooseFile says who else may change a file or directory that decides whom to
// trust or what to run, by itself or by the directory that it lies in; "" if
// nobody may.
func LooseFile(file string) string {
	return answered(file, func() string { return looseFile(file) })
}

// looks is who looks at files that may lie on a disk that does not answer.
var looks = disk.Reader{Patience: time.Second}

// answered is what look says, or "" where the disk does not answer: whoever needs
// the file tells.
func answered(file string, look func() string) string {
	why, _ := disk.Within(context.Background(), &looks, file, func() (string, error) { return look(), nil })
	return why
}

func looseFile(file string) string {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	for _, at := range []string{path, filepath.Dir(path)} {
		if why := loose(at, at != path); why != "" {
			if at != path {
				why = fmt.Sprintf("%s is not safe from others: %s", file, why)
			}
			return why
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
	if err != nil || info.Mode()&writableByOthers == 0 && ours(info) {
		return ""
	}
	var system syscall.Statfs_t
	if syscall.Statfs(path, &system) == nil && system.Flags&mountedReadOnly != 0 {
		return ""
	}
	if info.Mode()&writableByOthers != 0 && !(above && info.Mode()&sticky != 0) {
		return fmt.Sprintf("%s can be written by others than its owner (mode %03o): `chmod go-w %s`", path, info.Mode().Perm(), path)
	}
	if !ours(info) {
		return fmt.Sprintf("%s belongs to the user with the number %d, who is neither root nor this process's: `chown root %s`",
			path, info.Sys().(*syscall.Stat_t).Uid, path)
	}
	return ""
}

// ours tells whether a file belongs to root or to this process's user.
func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Uid == 0 || int(stat.Uid) == os.Geteuid()
}
