package core

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want Config
	}{
		"nagios.cfg": {"# a comment\ncommand_file=/rw/nagios.cmd\n check_result_path = spool\nobject_cache_file=/c\nnagios_user=nagios\r\nmax_check_result_file_age=60\n",
			Config{Kind: Nagios, User: "nagios", CommandFile: "/rw/nagios.cmd", CheckResultDir: dir + "/spool", ObjectCache: "/c",
				MaxFileAge: time.Minute, Commands: true, Passive: true}},
		"naemon.cfg": {"command_file=/rw/x.cmd\ncheck_external_commands=0\naccept_passive_host_checks=0\n",
			Config{Kind: Naemon, CommandFile: "/rw/x.cmd", MaxFileAge: time.Hour}},
		"core.cfg": {"command_file=/rw/naemon.cmd\n", Config{Kind: Naemon, CommandFile: "/rw/naemon.cmd", MaxFileAge: time.Hour, Commands: true, Passive: true}},
	} {
		c.want.File = write(t, filepath.Join(dir, name), c.text)
		if got, err := ReadConfig(c.want.File); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, c.want)
		}
	}
	for name, text := range map[string]string{"objects.cfg": "define host {\n}\n", "age.cfg": "command_file=/x\nmax_check_result_file_age=long\n",
		"long.cfg": "command_file=/x\n" + strings.Repeat("#\n", maxConfig/2)} {
		file := write(t, filepath.Join(dir, name), text)
		if _, err := ReadConfig(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A configuration, or an object cache, that is a pipe nobody writes to is an error.
func TestNothingThatNeverAnswersIsReadFrom(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "nagios.cfg")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig(pipe); err == nil || !strings.Contains(err.Error(), pipe) {
		t.Errorf("a pipe as configuration: %v", err)
	}
	if read, err := NewCache(pipe, Nagios).Refresh(time.Now().Add(time.Hour)); read || err == nil {
		t.Errorf("a pipe as object cache: %v, %v", read, err)
	}
}
