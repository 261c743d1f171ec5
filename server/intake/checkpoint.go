package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"

	"massive-passive/internal/disk"
	"massive-passive/wire"
)

// The checkpoint is a text file: a line with its version and how many lines
// follow, then a line for each instance, with the CRC-32C of what stands
// behind it, then blanks. A digit that changed on the disk must not have a
// server take new results for old ones.
const checkpointTitle = "massive-passive instances"

const checkpointVersion = 1

// castagnoli is made at its first use, not at the start of every command.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checkpoint is one remembered instance.
type checkpoint struct {
	Client   string `json:"client"`
	Name     []byte `json:"name,omitempty"` // the client's, where it is no UTF-8 and JSON would change it
	Instance []byte `json:"instance"`
	Last     uint64 `json:"last"`
	Expires  int64  `json:"expires"`
}

// save writes the checkpoint, durably and as a whole. It needs no room on the
// disk for what reserve was called for: no segment goes before it is written,
// also where the segments are what fills the disk.
func (d *duplicates) save(file string) error {
	var lines bytes.Buffer
	n := 0
	for client, instances := range d.clients {
		for instance, s := range instances {
			if s.durable == 0 {
				continue
			}
			data, err := json.Marshal(checkpoint{client, rawName(client), instance[:], s.durable, s.expires})
			if err != nil {
				return err
			}
			fmt.Fprintf(&lines, "%08x %s\n", crc32.Checksum(data, castagnoli()), data)
			n++
		}
	}
	title := fmt.Sprintf("%s %d %d\n", checkpointTitle, checkpointVersion, n)
	if err := (swapFile{file}).replace(append([]byte(title), lines.Bytes()...)); err != nil {
		return fmt.Errorf("write what is known of the clients: %w", err)
	}
	return nil
}

// rawName is empty where a client's name goes through JSON as it is.
func rawName(client string) []byte {
	if utf8.ValidString(client) {
		return nil
	}
	return []byte(client)
}

// reserve has the disk keep room for the checkpoint.
func (d *duplicates) reserve(file string) error {
	err := swapFile{file}.reserve(d.checkpointBytes(), func() error { return d.save(file) })
	if err != nil {
		return fmt.Errorf("keep room on the disk for what is known of the clients: %w", err)
	}
	return nil
}

// maxLineBytes is what a line of the checkpoint takes at most, but for the name.
const maxLineBytes = 160

// checkpointBytes is what a checkpoint takes, and some more.
func (d *duplicates) checkpointBytes() int {
	n := maxLineBytes
	for client, instances := range d.clients {
		n += len(instances) * (maxLineBytes + nameBytes(client))
	}
	return n
}

// nameBytes is what a client's name takes at most, escaped or twice.
func nameBytes(name string) int {
	n := len(name)
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			n += 7
		}
	}
	return n
}

// load reads a checkpoint as far as it is good, and returns what is wrong with
// it: fs.ErrNotExist if there is none.
func (d *duplicates) load(file string) error {
	data, err := new(disk.Asker).ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what is known of the clients: %w", err)
	}
	title, rest, _ := strings.Cut(string(data), "\n")
	version, count, err := parseTitle(title)
	good := 0
	for line := range strings.Lines(rest) {
		if c, ok := parseCheckpoint(line); ok {
			good++
			s := d.instance(c.Client, wire.Instance(c.Instance))
			s.last, s.durable = max(s.last, c.Last), max(s.durable, c.Last)
			d.keep(c.Client, s, c.Expires)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("read what is known of the clients from %s: %w (%d instances could be read, and are used)", file, err, good)
	case version != checkpointVersion:
		return fmt.Errorf("%s is of version %d, this release reads version %d: of %d instances %d could be read", file, version, checkpointVersion, count, good)
	case good != count:
		return fmt.Errorf("%s is damaged: of %d instances %d could be read, and are used", file, count, good)
	}
	return nil
}

func parseTitle(title string) (version, count int, err error) {
	fields := strings.Fields(strings.TrimPrefix(title, checkpointTitle))
	if !strings.HasPrefix(title, checkpointTitle) || len(fields) < 2 {
		return 0, 0, errors.New("it is empty, or no such file")
	}
	version, err = strconv.Atoi(fields[0])
	if err != nil {
		return 0, 0, fmt.Errorf("its version is %q", fields[0])
	}
	count, err = strconv.Atoi(fields[1])
	if err != nil {
		return 0, 0, fmt.Errorf("its number of lines is %q", fields[1])
	}
	return version, count, nil
}

func parseCheckpoint(line string) (c checkpoint, ok bool) {
	sum, data, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	want, err := strconv.ParseUint(sum, 16, 32)
	if !found || err != nil || uint32(want) != crc32.Checksum([]byte(data), castagnoli()) {
		return checkpoint{}, false
	}
	err = json.Unmarshal([]byte(data), &c)
	if len(c.Name) > 0 {
		c.Client = string(c.Name)
	}
	return c, err == nil && len(c.Instance) == len(wire.Instance{})
}

// logForgotten says what a checkpoint that could not be read means. There is
// none before the first segment goes.
func (in *Intake) logForgotten(err error, oldest uint64) {
	if err == nil {
		return
	}
	began := oldest == 1 || oldest == 0 && in.Journal.Stats().Last == 0
	if errors.Is(err, fs.ErrNotExist) && began {
		return
	}
	in.options.Log.Error().Err(err).Msg("which results came before is not all known: what clients send again now may be delivered twice")
}
