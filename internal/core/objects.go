package core

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"

	"massive-passive/wire/check"
)

// Object is a host or service in little memory: a hash of its names. Two of a
// million objects share one with a chance of one in thirty million.
type Object uint64

// ObjectOf returns the object that a result is about.
func ObjectOf(seed maphash.Seed, r *check.Result) Object {
	if r.Kind == check.Service {
		return serviceObject(seed, r.Host, r.Service)
	}
	return hostObject(seed, r.Host)
}

func hostObject(seed maphash.Seed, host string) Object {
	return Object(maphash.String(seed, host))
}

func serviceObject(seed maphash.Seed, host, service string) Object {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(host)
	h.WriteByte(';') // no name has one
	h.WriteString(service)
	return Object(h.Sum64())
}

// Objects are the hosts and services that a core has. It does not change, and any
// goroutine may ask it. A nil one knows nothing.
type Objects struct {
	seed       maphash.Seed
	known      map[Object]struct{}
	passiveOff map[Object]struct{} // those that are configured to take no passive results
	byAddress  map[string]string   // the host that an address leads to
	addresses  map[string]string   // the address that leads to a host
	file       fs.FileInfo         // as it was read; nil: from no file
}

// Len is how many hosts and services there are.
func (o *Objects) Len() int { return len(o.known) }

// HostAt returns the host that the core takes a result for the address as one for,
// where it looks up addresses: the first that has it to the letter, and none where
// the address is the name of a host.
func (o *Objects) HostAt(address string) (host string, ok bool) {
	if o == nil {
		return "", false
	}
	host, ok = o.byAddress[address]
	return host, ok
}

// AddressOf returns the address that leads to a host as HostAt says; "" if none
// does.
func (o *Objects) AddressOf(host string) string {
	if o == nil {
		return ""
	}
	return o.addresses[host]
}

// Missing says what the core does not have of what a result is about; "" if it
// has it.
func (o *Objects) Missing(r *check.Result) string {
	if o == nil || r.Kind == check.Command || o.has(ObjectOf(o.seed, r)) {
		return ""
	}
	host := r.Host
	if named, ok := o.HostAt(host); ok {
		host = named
	}
	switch {
	case !o.has(hostObject(o.seed, host)):
		return fmt.Sprintf("the core has no host %q", host)
	case r.Kind == check.Service && !o.has(serviceObject(o.seed, host, r.Service)):
		return fmt.Sprintf("the core's host %q has no service %q", host, r.Service)
	}
	return ""
}

// PassiveOff tells whether what a result is about is configured to take no passive
// results. A command may have switched them on since.
func (o *Objects) PassiveOff(r *check.Result) bool {
	if o == nil || len(o.passiveOff) == 0 || r.Kind == check.Command {
		return false
	}
	named := check.Result{Kind: r.Kind, Host: r.Host, Service: r.Service}
	if host, ok := o.HostAt(r.Host); ok {
		named.Host = host
	}
	_, off := o.passiveOff[ObjectOf(o.seed, &named)]
	return off
}

func (o *Objects) has(object Object) bool {
	_, there := o.known[object]
	return there
}

// errBreaksOff is of a file that the core could not write to its end, of which
// it says nothing itself. What is missing in it the core has all the same.
var errBreaksOff = errors.New("it breaks off: is its disk full?")

// located is a host with an address, in the order of the file, which is the order
// in which the core looks for an address.
type located struct{ host, address string }

// definition is one of an object cache, as far as it was read.
type definition struct {
	kind                   string // "": none is open
	host, address, service string
	passiveOff             bool
}

// set takes in a line of the definition.
func (d *definition) set(key, value []byte) {
	switch string(key) {
	case "host_name":
		d.host = nameIn(value)
	case "address":
		d.address = nameIn(value)
	case "service_description":
		d.service = nameIn(value)
	case "passive_checks_enabled":
		d.passiveOff = nameIn(value) == "0"
	}
}

// ParseObjects reads the objects of an object cache of a core of this kind.
func ParseObjects(r io.Reader, of Kind) (*Objects, error) {
	o := &Objects{seed: maphash.MakeSeed(), known: map[Object]struct{}{}, passiveOff: map[Object]struct{}{}}
	var hosts []located
	var d definition
	lines := lineReader{r: bufio.NewReaderSize(r, 64<<10)}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		key, value, _ := bytes.Cut(bytes.Trim(line, blanks), []byte("\t"))
		switch {
		case bytes.HasPrefix(key, []byte("define ")):
			d = definition{kind: string(bytes.Trim(key[len("define "):], blanks+"{"))}
		case string(key) == "}":
			if o.add(d); d.kind == "host" {
				hosts = append(hosts, located{d.host, d.address})
			}
			d = definition{}
		case d.kind == "host" || d.kind == "service":
			d.set(key, value)
		}
	}
	if d.kind != "" {
		return nil, errBreaksOff
	}
	if len(hosts) == 0 {
		return nil, errors.New("it names no host")
	}
	if of.LooksUpAddresses() {
		o.locate(hosts)
	}
	return o, nil
}

// add takes in what was defined.
func (o *Objects) add(d definition) {
	var object Object
	switch d.kind {
	case "host":
		object = hostObject(o.seed, d.host)
	case "service":
		object = serviceObject(o.seed, d.host, d.service)
	default:
		return
	}
	o.known[object] = struct{}{}
	if d.passiveOff {
		o.passiveOff[object] = struct{}{}
	}
}

// locate notes which addresses lead to which host, once all names are known.
func (o *Objects) locate(hosts []located) {
	o.byAddress, o.addresses = map[string]string{}, map[string]string{}
	for _, h := range hosts {
		if h.address == "" || o.has(hostObject(o.seed, h.address)) {
			continue // without an address, the core's own is the host's name
		}
		if _, taken := o.byAddress[h.address]; !taken {
			o.byAddress[h.address], o.addresses[h.host] = h.host, h.address
		}
	}
}

// blanks are what the cores take from both ends of a name, and nothing else.
const blanks = " \t\r"

func nameIn(value []byte) string { return string(bytes.Trim(value, blanks)) }

// lineReader reads lines of which only the beginning is of interest where they
// are very long, as those with the members of a group are.
type lineReader struct {
	r *bufio.Reader
}

// next returns the next line without its newline, or what of it fits the buffer.
// It takes none without its newline. What it returned before is not valid any more.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, errBreaksOff
	case !errors.Is(err, bufio.ErrBufferFull):
		return nil, err
	}
	begin := bytes.Clone(line[:longestLine])
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.r.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) {
		err = errBreaksOff
	}
	return begin, err
}

// longestLine is more than any name that a result can have.
const longestLine = 4 << 10
