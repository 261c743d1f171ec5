package core

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"massive-passive/wire/check"
)

// followed is an object cache that settled long ago.
type followed struct {
	*Cache
	t   *testing.T
	now time.Time
}

func follow(t *testing.T, text string) *followed {
	t.Helper()
	f := &followed{NewCache(filepath.Join(t.TempDir(), "objects.cache"), Nagios), t, time.Now()}
	f.rewrite(text)
	return f
}

// rewrite has the core write the file long before now.
func (f *followed) rewrite(text string) {
	f.t.Helper()
	f.now = f.now.Add(time.Hour)
	write(f.t, f.File(), text)
	f.touch(f.now.Add(-10 * time.Second))
}

func (f *followed) touch(at time.Time) {
	f.t.Helper()
	if err := os.Chtimes(f.File(), at, at); err != nil {
		f.t.Fatal(err)
	}
}

func (f *followed) refresh(read bool, trouble string) {
	f.t.Helper()
	got, err := f.Refresh(f.now)
	if got != read || (err == nil) != (trouble == "") || err != nil && !strings.Contains(err.Error(), trouble) {
		f.t.Errorf("refreshed: %v, %v; want %v, %q", got, err, read, trouble)
	}
}

// knows holds the cache to the host that an address leads to, by what was last
// read and by what is certain.
func (f *followed) knows(last, current string) {
	f.t.Helper()
	if host, _ := f.Last().HostAt("192.0.2.1"); host != last {
		f.t.Errorf("by what was last read the address leads to %q, want %q", host, last)
	}
	if host, _ := f.Current().HostAt("192.0.2.1"); host != current {
		f.t.Errorf("for certain the address leads to %q, want %q", host, current)
	}
}

// While the core writes its cache, what it had before is what is known.
func TestTheLastObjectsCountUntilNewOnesAreRead(t *testing.T) {
	f := follow(t, objectCache)
	f.knows("", "")
	f.refresh(true, "")
	f.knows("web 1", "web 1")
	f.refresh(false, "")
	f.rewrite("define host {\n\thost_name\thalf")
	f.touch(f.now)
	f.refresh(false, "") // may be being written
	f.knows("web 1", "")
	f.now = f.now.Add(settled)
	f.refresh(false, "breaks off")
	f.knows("web 1", "")
	f.rewrite(strings.ReplaceAll(objectCache, "web 1", "web 2"))
	f.refresh(true, "")
	f.knows("web 2", "web 2")
}

// A file of the same length, written in place, is another.
func TestAnObjectCacheThatIsYoungIsNotReadYet(t *testing.T) {
	f := follow(t, objectCache)
	f.touch(f.now.Add(-settled + time.Millisecond))
	f.refresh(false, "")
	f.knows("", "")
	f.now = f.now.Add(time.Millisecond)
	f.refresh(true, "")
	f.rewrite(strings.ReplaceAll(objectCache, "web 1", "web 2"))
	f.refresh(true, "")
	f.knows("web 2", "web 2")
}

// A long file is not read each second for as long as it is broken, but one that is
// whole again is taken.
func TestAnObjectCacheIsTakenOnceItIsWholeAgain(t *testing.T) {
	f := follow(t, objectCache[:len(objectCache)-1])
	f.refresh(false, "breaks off")
	write(t, f.File(), objectCache)
	f.touch(f.now.Add(-10 * time.Second))
	f.refresh(false, "")
	f.now = f.now.Add(tryAgain)
	f.refresh(true, "")
	f.knows("web 1", "web 1")
}

// The file is as it was read, and only could not be looked at for a moment.
func TestAnObjectCacheThatWasAwayIsKnownAgain(t *testing.T) {
	f := follow(t, objectCache)
	f.refresh(true, "")
	rename := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	rename(f.File(), f.File()+".away")
	f.refresh(false, "no such file")
	f.knows("web 1", "")
	rename(f.File()+".away", f.File())
	f.refresh(false, "")
	f.knows("web 1", "web 1")
}

// That a file cannot be read is told before it has settled.
func TestAYoungObjectCacheThatCannotBeReadIsTold(t *testing.T) {
	f := follow(t, objectCache)
	if err := os.Remove(f.File()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.File(), 0o700); err != nil {
		t.Fatal(err)
	}
	f.touch(f.now)
	f.refresh(false, "a directory")
}

func TestNoCacheKnowsNothing(t *testing.T) {
	var c *Cache
	r := check.Result{Kind: check.Host, Host: "x"}
	if c.Last() != nil || c.Current().Missing(&r) != "" {
		t.Error("it knows something")
	}
}
