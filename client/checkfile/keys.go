package checkfile

import (
	"errors"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"massive-passive/client/plugin"
	"massive-passive/sched/zone"
	"massive-passive/wire/check"
)

// key is a key of a check file.
type key struct {
	name   string
	needed bool
	what   string // continues "it is ..." where a needed one is missing
	read   func(r *reader, key string, n node) error
}

// keys returns all that a check file may have.
func keys() []key {
	return []key{
		{"check_type", true, `"service_check" or "host_check"`, (*reader).readType},
		{"check_description", true, "the name of the service in the core", (*reader).readDescription},
		{"check_hostname", true, "the name of the host in the core, unless a default is set for all checks", (*reader).readHostname},
		{"interval", true, `a number of seconds or a calendar such as {"hour": "9-17"}`, (*reader).keepInterval},
		{"command", true, "the command line of the plugin, or a list of its words", (*reader).keepCommand},
		{"servers", true, `where results go, {"NAME": "ADDRESS:PORT"}, unless a default is set for all checks`, (*reader).readServers},
		{"env", false, "", (*reader).readEnv},
		{"cwd", false, "", (*reader).readDir},
		{"timeout", false, "", (*reader).readTimeout},
		{"timezone", false, "", (*reader).readTimezone},
		{"jitter", false, "", (*reader).readJitter},
		{"misfire_grace_time", false, "", (*reader).readMisfireGrace},
		{"max_instances", false, "", (*reader).readMaxInstances},
	}
}

func (r *reader) string(key string, n node) (string, error) {
	if n.kind != text {
		return "", r.wanted(n, key, "a string")
	}
	return n.str, nil
}

func (r *reader) readType(key string, n node) error {
	switch {
	case n.kind == text && n.str == "service_check":
		r.check.Kind = check.Service
	case n.kind == text && n.str == "host_check":
		r.check.Kind = check.Host
	default:
		return r.wrong(n, key, `is not a check_type; it is "service_check" or "host_check"`)
	}
	return nil
}

func (r *reader) readDescription(key string, n node) (err error) {
	r.check.Description, err = r.objectName(key, "service", n)
	return err
}

func (r *reader) readHostname(key string, n node) (err error) {
	r.check.Hostname, err = r.objectName(key, "host", n)
	return err
}

// objectName reads the name of an object of the core.
func (r *reader) objectName(key, what string, n node) (string, error) {
	name, err := r.string(key, n)
	if err != nil {
		return "", err
	}
	if err := check.ValidName(what, name); err != nil {
		return "", r.wrong(n, key, "cannot be used: %v", err)
	}
	return name, nil
}

func (r *reader) keepInterval(_ string, n node) error {
	r.interval = &n
	return nil
}

func (r *reader) keepCommand(key string, n node) error {
	r.command = &n
	if n.kind == text {
		return nil
	}
	if n.kind != list {
		return r.wanted(n, key, "a string or a list of strings")
	}
	for _, item := range n.items {
		if item.kind != text {
			return r.wanted(item, key, "a string, as each word of a list must be")
		}
	}
	return nil
}

func (r *reader) readServers(key string, n node) error {
	if n.kind != object {
		return r.wanted(n, key, `an object such as {"NAME": "ADDRESS:PORT"}`)
	}
	if len(n.fields) == 0 {
		return r.wrong(n, key, `has no server; write {"NAME": "ADDRESS:PORT"}`)
	}
	var servers []Server
	for _, f := range r.unique(key+".", n) {
		address, err := r.string(key+"."+f.key, f.value)
		if err != nil {
			return err
		}
		if address, err = ParseAddress(strings.TrimSpace(address)); err != nil {
			return r.wrong(f.value, key+"."+f.key, "%v", err)
		}
		server := Server{Name: f.key, Address: address}
		if err := server.Validate(); err != nil {
			return r.broken(f.offset, "%q: %v", key, err)
		}
		servers = append(servers, server)
	}
	r.check.Servers = sorted(servers)
	return nil
}

func (r *reader) readEnv(key string, n node) error {
	if n.kind != object {
		return r.wanted(n, key, `an object of strings such as {"NAME": "value"}`)
	}
	if r.env == nil {
		r.env = map[string]string{}
	}
	for _, f := range r.unique(key+".", n) {
		value, err := r.string(key+"."+f.key, f.value)
		if err != nil {
			return err
		}
		if err := plugin.CheckVariable(f.key, value); err != nil {
			return r.broken(f.offset, "%q: %v", key, err)
		}
		r.env[f.key] = value
	}
	return nil
}

func (r *reader) readDir(key string, n node) error {
	dir, err := r.string(key, n)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(dir) || strings.ContainsRune(dir, 0) {
		return r.wrong(n, key, "is not an absolute path, one that begins with /")
	}
	r.check.Dir = dir
	return nil
}

func (r *reader) readTimeout(key string, n node) (err error) {
	r.check.Timeout, err = r.seconds(key, n, 0, "0 (no limit) or a positive number of seconds")
	return err
}

func (r *reader) readJitter(key string, n node) (err error) {
	r.jitter = n.offset
	r.check.Jitter, err = r.seconds(key, n, 0, "0 or a positive number of seconds")
	return err
}

func (r *reader) readMisfireGrace(key string, n node) (err error) {
	r.check.MisfireGrace, err = r.seconds(key, n, shortest, "a positive number of seconds")
	return err
}

func (r *reader) readTimezone(key string, n node) error {
	name, err := r.string(key, n)
	if err != nil {
		return err
	}
	loc, err := zone.Find(name)
	if err != nil || name == "" {
		return r.wrong(n, key, `is not a time zone that this machine knows; names are as in "Europe/Berlin" or "UTC", rules as in "CET-1CEST,M3.5.0,M10.5.0/3"`)
	}
	r.check.Timezone = loc
	return nil
}

func (r *reader) readMaxInstances(key string, n node) error {
	const most = 1000
	count, err := strconv.Atoi(n.str)
	if n.kind != number && n.kind != text || err != nil || count < 1 || count > most {
		return r.wrong(n, key, "is not a whole number from 1 to %d", most)
	}
	r.check.MaxInstances = count
	return nil
}

const (
	// shortest is the least time that a clock of the scheduler can tell apart
	// from none.
	shortest = time.Millisecond
	longest  = 100 * 365 * 24 * time.Hour
)

// seconds reads a time, as a number or a number in a string.
func (r *reader) seconds(key string, n node, least time.Duration, what string) (time.Duration, error) {
	value, err := strconv.ParseFloat(n.str, 64)
	if n.kind == text && strings.Trim(n.str, "+-.0123456789") != "" || n.kind != text && n.kind != number || errors.Is(err, strconv.ErrSyntax) {
		return 0, r.wrong(n, key, "is not %s", what)
	}
	switch nanoseconds := math.Round(value * float64(time.Second)); {
	case nanoseconds > float64(longest):
		return 0, r.wrong(n, key, "is more than a hundred years; it must be %s", what)
	case nanoseconds < 0 || least > 0 && nanoseconds <= 0:
		return 0, r.wrong(n, key, "is not %s", what)
	case nanoseconds < float64(least):
		return 0, r.wrong(n, key, "is less than %s", least)
	default:
		return time.Duration(nanoseconds), nil
	}
}
