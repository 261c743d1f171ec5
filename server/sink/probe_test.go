package sink

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"
)

// owned is a file as permission sees it, of whatever owner.
type owned struct {
	mode fs.FileMode
	stat syscall.Stat_t
}

func (o owned) Name() string       { return "core" }
func (o owned) Size() int64        { return 0 }
func (o owned) Mode() fs.FileMode  { return o.mode }
func (o owned) ModTime() time.Time { return time.Time{} }
func (o owned) IsDir() bool        { return false }
func (o owned) Sys() any           { return &o.stat }

// The advice is one that helps, and never one to join root's group.
func TestAdviceOnAMissingPermission(t *testing.T) {
	for _, c := range []struct {
		file     owned
		says, no string
	}{
		{owned{0o660, syscall.Stat_t{Gid: 54321}}, "put it into the group 54321", "chgrp"},
		{owned{0o644, syscall.Stat_t{Gid: 54321}}, "mode 0644: give it to a group", "put it into"},
		{owned{0o644, syscall.Stat_t{}}, "root:root with mode 0644", "put it into"},
		{owned{0o660, syscall.Stat_t{}}, "that is not root's", "put it into"},
	} {
		if err := permission("/core.cmd", c.file); !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), c.no) {
			t.Errorf("%v, group %d: %v", c.file.mode, c.file.stat.Gid, err)
		}
	}
}
