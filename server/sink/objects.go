package sink

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"massive-passive/internal/logx"
	"massive-passive/wire/check"
)

const (
	objectsTick   = time.Second     // between looks at the file
	objectsSettle = 2 * time.Second // the core writes the file in place: a younger one may be a half
	objectsAgain  = time.Minute     // until a file that was of no use is read again; it may be long
)

// objects knows what hosts and services a Nagios or Naemon has, from its
// object cache. While that is being written it knows nothing for sure.
type objects struct {
	file   string
	log    *logx.Throttle
	seed   maphash.Seed
	known  map[object]struct{}
	loaded fs.FileInfo // the file as it was read; nil: nothing is known
	sure   bool
	looked time.Time
	told   string
}

func newObjects(file string, log *logx.Throttle) *objects {
	return &objects{file: file, log: log, seed: maphash.MakeSeed()}
}

// missing says what the core does not have of what a result is about; "" if it
// has it, or if that cannot be told now.
func (o *objects) missing(r *check.Result) string {
	if r.Kind == check.Command {
		return ""
	}
	if now := time.Now(); now.Sub(o.looked) >= objectsTick {
		o.looked = now
		o.refresh(now)
	}
	if !o.sure {
		return ""
	}
	if _, there := o.known[objectOf(o.seed, r)]; there {
		return ""
	}
	host := check.Result{Kind: check.Host, Host: r.Host}
	if _, there := o.known[objectOf(o.seed, &host)]; !there {
		return fmt.Sprintf("the core has no host %q", r.Host)
	}
	return fmt.Sprintf("the core's host %q has no service %q", r.Host, r.Service)
}

// refresh reads the file again where it changed and has settled.
func (o *objects) refresh(now time.Time) {
	info, err := os.Stat(o.file)
	same := err == nil && o.loaded != nil && sameVersion(info, o.loaded)
	if same && o.sure {
		return
	}
	o.sure = same // again, where it could not be looked at for a while
	if err == nil && !same {
		if now.Sub(info.ModTime()) < objectsSettle {
			return
		}
		if err = o.load(info); err != nil {
			o.looked = now.Add(objectsAgain - objectsTick)
		}
	}
	switch {
	case o.sure:
		o.told = ""
		o.log.Info(o.file, "objects read").Str("object_cache_file", o.file).Int("objects", len(o.known)).Msg("read what hosts and services the core has")
	case err != nil && err.Error() != o.told:
		o.told = err.Error()
		o.log.Warn(o.file, "objects unknown").Err(err).Msg("not known what hosts and services the core has: results for others are not told apart")
	}
}

func sameVersion(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// load reads the file, which was info before.
func (o *objects) load(info fs.FileInfo) error {
	f, err := os.Open(o.file)
	if err != nil {
		return fmt.Errorf("read the core's object cache: %w", err)
	}
	defer f.Close()
	known, err := o.parse(f)
	after, statErr := os.Stat(o.file)
	if err := errors.Join(err, statErr); err != nil {
		return fmt.Errorf("read the core's object cache %s: %w", o.file, err)
	}
	if len(known) == 0 {
		return fmt.Errorf("the core's object cache %s names no host", o.file)
	}
	if sameVersion(info, after) {
		o.known, o.loaded, o.sure = known, info, true
	}
	return nil
}

// errBreaksOff is of a file that the core could not write to its end, of which
// it says nothing itself. What is missing in it the core has all the same.
var errBreaksOff = errors.New("it breaks off: is its disk full?")

// parse returns the hosts and services of an object cache.
func (o *objects) parse(r io.Reader) (map[object]struct{}, error) {
	known := map[object]struct{}{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	lines.Split(wholeLines)
	var kind, host, service string // kind: "" between definitions
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "\t")
		switch {
		case strings.HasPrefix(key, "define "):
			kind, host, service = strings.TrimSpace(strings.TrimSuffix(key[len("define "):], "{")), "", ""
		case key == "host_name":
			host = strings.TrimSpace(value)
		case key == "service_description":
			service = strings.TrimSpace(value)
		case key == "}":
			switch kind {
			case "host":
				known[objectOf(o.seed, &check.Result{Kind: check.Host, Host: host})] = struct{}{}
			case "service":
				known[objectOf(o.seed, &check.Result{Kind: check.Service, Host: host, Service: service})] = struct{}{}
			}
			kind = ""
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if kind != "" {
		return nil, errBreaksOff
	}
	return known, nil
}

// wholeLines splits as bufio.ScanLines does, but takes no line without its end.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if atEOF && len(data) > 0 && bytes.IndexByte(data, '\n') < 0 {
		return 0, nil, errBreaksOff
	}
	return bufio.ScanLines(data, atEOF)
}
