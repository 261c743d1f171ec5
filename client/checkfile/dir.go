package checkfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// ReadDir reads the check files of a directory: those whose names end in .cfg
// and do not begin with a dot, sorted by name. A bad file, or one that cannot
// be read, does not stop the others. The error is that of the directory.
func ReadDir(dir string, d Defaults) ([]File, []Warning, error) {
	entries, err := disk.ReadDir(context.Background(), dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the directory of the check files: %w", err)
	}
	var files []File
	var checks []Check
	var warnings []Warning
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".cfg") || strings.HasPrefix(name, ".") {
			if why := passedOver(e); why != "" {
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
		if f.Err == nil {
			checks = append(checks, f.Check)
		}
		files, warnings = append(files, f), append(warnings, found...)
	}
	return files, append(warnings, Duplicates(checks)...), nil
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
func passedOver(e os.DirEntry) string {
	name := e.Name()
	switch extension := strings.ToLower(filepath.Ext(name)); {
	case strings.HasPrefix(name, ".") || name == "lost+found":
	case e.IsDir():
		return "is a directory, and check files in directories below are not read: put them beside it"
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
