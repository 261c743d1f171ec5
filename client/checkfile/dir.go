package checkfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"massive-passive/internal/disk"
	"massive-passive/wire/check"
)

// File is what became of one file of a directory: a Check, or the error about
// it.
type File struct {
	// Name is the file's name in the directory.
	Name  string
	Check Check
	Err   error // an *Error
	// Unread tells that the disk did not give the file: another time it may.
	Unread bool
}

// ReadDirs reads the check files of directories: those whose names end in .cfg
// and do not begin with a dot, sorted by name. A directory that is given twice,
// by whatever path, counts once. A bad file, or one that cannot be read, does not
// stop the others; neither does a name that is in two directories, which is an
// error of that file alone. The error is that of a directory.
func ReadDirs(dirs []string, d Defaults) ([]File, []Warning, error) {
	var all []File
	var warnings, empty []Warning
	in := map[string]string{} // by the name of a file, its directory
	dirs, err := distinct(dirs)
	for _, dir := range dirs {
		files, found, failed := readDir(dir, d)
		if err == nil {
			err = failed
		}
		if len(files) == 0 {
			empty = append(empty, Warning{Place: Place{File: dir}, Reason: "holds no *.cfg"})
		}
		for _, w := range found {
			if !slices.Contains(dirs, filepath.Join(dir, w.File)) { // else it is read as well
				warnings = append(warnings, w)
			}
		}
		for _, f := range files {
			if first, twice := in[f.Name]; twice {
				f.Err = &Error{Place: Place{File: f.Name}, Reason: fmt.Sprintf("is there twice, as %s and as %s: rename or remove one of them",
					filepath.Join(first, f.Name), filepath.Join(dir, f.Name))}
				all = slices.DeleteFunc(all, func(other File) bool { return other.Name == f.Name })
			} else {
				in[f.Name] = dir
			}
			all = append(all, f)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the directory of the check files: %w", err)
	}
	if len(all) > 0 {
		warnings = append(warnings, empty...)
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return all, append(warnings, duplicates(all)...), nil
}

// distinct leaves out directories that are there already under another path.
func distinct(dirs []string) (list []string, failed error) {
	var seen []os.FileInfo
	for _, dir := range dirs {
		info, err := disk.Stat(context.Background(), dir)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		if !slices.ContainsFunc(seen, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
			seen, list = append(seen, info), append(list, filepath.Clean(dir))
		}
	}
	return list, failed
}

// readDir reads the check files of one directory.
func readDir(dir string, d Defaults) (files []File, warnings []Warning, err error) {
	entries, err := disk.ReadDir(context.Background(), dir)
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".cfg") || strings.HasPrefix(name, ".") {
			if why := passedOver(dir, e); why != "" {
				warnings = append(warnings, Warning{Place: Place{File: name}, Reason: why})
			}
			continue
		}
		f := File{Name: name}
		var found []Warning
		data, err := readFile(filepath.Join(dir, name))
		if err != nil {
			f.Err, f.Unread = &Error{Place: Place{File: name}, Reason: fmt.Sprintf("cannot be read: %v", err)}, disk.MayPass(err)
		} else {
			f.Check, found, f.Err = Parse(name, data, d)
		}
		files, warnings = append(files, f), append(warnings, found...)
	}
	return files, warnings, err
}

func duplicates(files []File) []Warning {
	var checks []Check
	for _, f := range files {
		if f.Err == nil {
			checks = append(checks, f.Check)
		}
	}
	return Duplicates(checks)
}

// readFile leaves the path away from an error, which its place has already.
func readFile(path string) ([]byte, error) {
	data, err := disk.ReadFile(context.Background(), path, MaxSize)
	var at *os.PathError
	if errors.As(err, &at) {
		return nil, at.Err
	}
	return data, err
}

// passedOver says why a name that looks as if it were meant for a check is not
// read; it is empty for hidden names, backups and texts.
func passedOver(dir string, e os.DirEntry) string {
	name, isDir := e.Name(), e.IsDir()
	if e.Type()&os.ModeSymlink != 0 && !strings.HasPrefix(name, ".") {
		info, err := disk.Stat(context.Background(), filepath.Join(dir, name))
		isDir = err == nil && info.IsDir()
	}
	switch extension := strings.ToLower(filepath.Ext(name)); {
	case strings.HasPrefix(name, ".") || name == "lost+found":
	case isDir:
		return "is a directory, and check files in directories below are not read: put them beside it, or name it with another --confdir"
	case extension == ".json" || extension == ".cfg" || extension == ".conf":
		return fmt.Sprintf("is not read: the name of a check file ends in .cfg, not in %s", filepath.Ext(name))
	}
	return ""
}

// Duplicates warns about checks that report the same service or host, whose
// results would take turns in the core. Each warning is in the place of the
// later check and names the earlier one's file.
func Duplicates(checks []Check) []Warning {
	type object struct {
		kind          check.Kind
		host, service string
	}
	first := map[object]string{}
	var warnings []Warning
	for _, c := range checks {
		o := object{kind: c.Kind, host: c.Hostname}
		subject := fmt.Sprintf("host %q", c.Hostname)
		if c.Kind == check.Service {
			o.service = c.Description
			subject = fmt.Sprintf("service %q of %s", c.Description, subject)
		}
		if file, ok := first[o]; ok {
			warnings = append(warnings, Warning{Place: Place{File: c.File}, Reason: fmt.Sprintf("reports the %s, as %s does already", subject, file)})
			continue
		}
		first[o] = c.File
	}
	return warnings
}
