package core

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"massive-passive/internal/disk"
)

const (
	settled   = 2 * time.Second  // the core writes the file in place: a younger one may be a half
	seekAgain = 30 * time.Second // until a core is looked for again
	tryAgain  = time.Minute      // until a file that was of no use is read again; it may be long
	// maxCache is the most bytes of an object cache: three million services.
	maxCache = 2 << 30
)

// Cache follows the object cache of a core, which is written anew at each start
// and reload of that. Last, Current and File may be called from any goroutine, Refresh
// from one at a time.
type Cache struct {
	file    atomic.Pointer[string]
	kind    Kind
	find    func() (Config, bool)   // of a core that is looked for; nil for one that is named
	sought  time.Time               // when it was last looked for; owned by who refreshes
	last    atomic.Pointer[Objects] // as they were last read
	changed atomic.Bool             // the file is not as it was read
	again   time.Time               // when a file that was of no use is read again; owned by who refreshes
}

// NewCache returns one of a core of this kind that has read nothing yet.
func NewCache(file string, of Kind) *Cache {
	c := &Cache{kind: of}
	c.file.Store(&file)
	return c
}

// FindCache returns one of the core that reads a command file, which it looks for.
func FindCache(commandFile string) *Cache {
	c := NewCache("", "")
	c.find = func() (Config, bool) { return Find(commandFile) }
	return c
}

// File is the file that is followed; "" while it is not known.
func (c *Cache) File() string { return *c.file.Load() }

// Last returns what was last read; nil if nothing was. While the core writes the
// file, it is what the core had before. A nil Cache has nothing.
func (c *Cache) Last() *Objects {
	if c == nil {
		return nil
	}
	return c.last.Load()
}

// Current returns what was last read, and nil where the file has changed since:
// then nobody knows what the core has.
func (c *Cache) Current() *Objects {
	if c == nil || c.changed.Load() {
		return nil
	}
	return c.last.Load()
}

// Unchanged asks the disk whether the file is still as these objects were read from
// it. Between two calls of Refresh the core may have come back with others.
func (c *Cache) Unchanged(objects *Objects) bool {
	info, err := os.Stat(c.File())
	return err == nil && objects.file != nil && sameVersion(info, objects.file)
}

// Refresh reads the file where it changed and has settled, and tells whether it
// did, and then whether anything is different in it.
func (c *Cache) Refresh(now time.Time) (read bool, err error) {
	c.seek(now)
	file := c.File()
	if file == "" {
		return false, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		c.changed.Store(true)
		return false, fmt.Errorf("read the core's object cache: %w", err)
	}
	if last := c.last.Load(); last != nil && sameVersion(info, last.file) {
		c.changed.Store(false) // also where it could not be looked at for a while
		return false, nil
	}
	c.changed.Store(true)
	if now.Before(c.again) {
		return false, nil
	}
	if age := now.Sub(info.ModTime()); age >= 0 && age < settled {
		return false, c.mayRead()
	}
	objects, err := c.load(info)
	if err != nil {
		c.again = now.Add(tryAgain)
		return false, fmt.Errorf("read the core's object cache %s: %w", file, err)
	}
	if objects == nil {
		return false, nil
	}
	objects.file = info
	c.last.Store(objects)
	c.changed.Store(false)
	return true, nil
}

// mayRead tells at once what keeps the file from being read later.
func (c *Cache) mayRead() error {
	f, err := disk.Open(c.File())
	if err != nil {
		return fmt.Errorf("read the core's object cache: %w", err)
	}
	return f.Close()
}

// seek looks for the core where it is not named.
func (c *Cache) seek(now time.Time) {
	if c.find == nil || now.Sub(c.sought) < seekAgain && now.After(c.sought) {
		return
	}
	c.sought = now
	found, _ := c.find()
	if found.ObjectCache == c.File() {
		return
	}
	c.last.Store(nil)
	c.kind, c.again = found.Kind, time.Time{}
	c.file.Store(&found.ObjectCache)
}

func sameVersion(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// load reads the file, which was info before; it returns nothing where it changed
// meanwhile.
func (c *Cache) load(info fs.FileInfo) (*Objects, error) {
	f, err := disk.Open(c.File())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > maxCache {
		return nil, fmt.Errorf("it has more than %d bytes", maxCache)
	}
	objects, err := ParseObjects(io.LimitReader(f, maxCache), c.kind)
	after, statErr := os.Stat(c.File())
	if statErr != nil {
		return nil, statErr
	}
	if !sameVersion(info, after) {
		return nil, nil
	}
	return objects, err
}
