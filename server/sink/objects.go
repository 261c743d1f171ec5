package sink

import (
	"bufio"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"strings"
	"time"

	"massive-passive/wire/check"

	"github.com/rs/zerolog"
)

const (
	objectsTick   = time.Second     // between looks at the file
	objectsSettle = 2 * time.Second // the core writes the file in place: a younger one may be a half
)

// objects knows what hosts and services a Nagios or Naemon has, from its
// object cache. While that is being written it knows nothing for sure.
type objects struct {
	file   string
	log    zerolog.Logger
	seed   maphash.Seed
	known  map[object]struct{}
	loaded fs.FileInfo // the file as it was read; nil: nothing is known
	sure   bool
	looked time.Time
	told   string
}

func newObjects(file string, log zerolog.Logger) *objects {
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
	if err == nil && o.loaded != nil && sameVersion(info, o.loaded) {
		return
	}
	o.sure = false
	if err == nil && now.Sub(info.ModTime()) < objectsSettle {
		return
	}
	if err == nil {
		err = o.load(info)
	}
	switch {
	case err == nil:
		o.told = ""
		o.log.Info().Str("object_cache_file", o.file).Int("objects", len(o.known)).Msg("read what hosts and services the core has")
	case err.Error() != o.told:
		o.told = err.Error()
		o.log.Warn().Err(err).Msg("not known what hosts and services the core has: results for others are not told apart")
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
	known := map[object]struct{}{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var kind, host, service string
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "\t")
		switch {
		case strings.HasPrefix(key, "define "):
			kind, host, service = strings.TrimSpace(strings.TrimSuffix(key[len("define "):], "{")), "", ""
		case key == "host_name":
			host = strings.TrimSpace(value)
		case key == "service_description":
			service = strings.TrimSpace(value)
		case key == "}" && kind == "host":
			known[objectOf(o.seed, &check.Result{Kind: check.Host, Host: host})] = struct{}{}
		case key == "}" && kind == "service":
			known[objectOf(o.seed, &check.Result{Kind: check.Service, Host: host, Service: service})] = struct{}{}
		}
	}
	after, err := os.Stat(o.file)
	if err := errors.Join(lines.Err(), err); err != nil {
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
