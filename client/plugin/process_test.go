package plugin

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWithoutPidfd runs plugins as on a kernel that has no process descriptors.
func TestWithoutPidfd(t *testing.T) {
	r := newRunner(t, shortGrace)
	for _, c := range []struct {
		script  string
		timeout time.Duration
		code    int
		trouble Trouble
		output  string
	}{
		{"echo OK; exit 1", time.Minute, 1, None, "OK"},
		{"echo OK; exit 2", 0, 2, None, "OK"},
		{"kill -SEGV $$", time.Minute, 3, Signal, ""},
		{"trap '' TERM; echo hi; sleep 60", time.Second, 3, Timeout, "hi\n"},
	} {
		s := Spec{Command: script(t, c.script), Timeout: c.timeout}
		p, err := r.launch(shell, s.Command.words, s.Command.env, "/", DefaultMaxOutput)
		if err != nil {
			t.Fatal(err)
		}
		p.attend(newThreadWatch(p.pid))
		start := time.Now()
		v := r.conclude(context.Background(), p, s, start, p.awaitEnd(context.Background(), s.Timeout, start))
		if v.code != c.code || v.trouble != c.trouble || !strings.HasPrefix(string(p.output().kept), c.output) {
			t.Errorf("%q: %d %s, printed %q, want %d %s %q", c.script, v.code, v.trouble, p.output().kept, c.code, c.trouble, c.output)
		}
	}
	if left := children(t); len(left) > 0 {
		t.Errorf("children left: %+v", left)
	}
}

// TestExitWatch holds both ways of waiting against a child, which they must not
// reap.
func TestExitWatch(t *testing.T) {
	for _, watch := range []func(int) exitWatch{newExitWatch, func(pid int) exitWatch { return newThreadWatch(pid) }} {
		cmd := exec.Command("/bin/cat")
		input, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w := watch(cmd.Process.Pid)
		w.expire(time.Unix(1, 0))
		if w.await() {
			t.Errorf("%T: a child that runs has ended", w)
		}
		w.expire(time.Time{})
		if err := input.Close(); err != nil {
			t.Fatal(err)
		}
		if !w.await() {
			t.Errorf("%T: gave up without being told to", w)
		}
		w.expire(time.Unix(1, 0))
		if !w.await() {
			t.Errorf("%T: does not see the end once the time is over", w)
		}
		w.close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%T took the exit status: %v", w, err)
		}
	}
}

// TestPidfdThatCannotBeWaitedFor hands over a descriptor that is none of a
// process, which the kernel refuses as an old one refuses a real one.
func TestPidfdThatCannotBeWaitedFor(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if w, err := newPidfdWatch(int(null.Fd())); err == nil {
		t.Errorf("is watched by %+v", w)
	}
	if _, err := null.Stat(); err != nil {
		t.Errorf("the descriptor was closed: %v", err)
	}
}

// TestStuck lets a plugin that runs stand for one that SIGKILL did not end.
func TestStuck(t *testing.T) {
	for _, pidfd := range []bool{true, false} {
		r, err := New(shortGrace)
		if err != nil {
			t.Fatal(err)
		}
		p := startStuck(t, r, pidfd)
		if n := r.Stuck(); n != 1 {
			t.Errorf("%d are stuck, want 1", n)
		}
		for _, run := range []struct {
			key  string
			most int
			want Trouble
		}{{"stuck", 1, Stuck}, {"stuck", 2, None}, {"stuck", 0, None}, {"other", 1, None}} {
			o := r.Run(t.Context(), Spec{Command: list(t, "/bin/true"), Key: run.key, MaxStuck: run.most})
			if o.Trouble != run.want || run.want == Stuck && !strings.Contains(string(o.Output), strconv.Itoa(p.pid)) {
				t.Errorf("%s beside one that is stuck, %d allowed: %v, %s", run.key, run.most, o.Trouble, o.Output)
			}
		}
		p.signalGroup(syscall.SIGKILL)
		eventually(t, "the end of the stuck plugin", func() bool { return r.Stuck() == 0 && len(children(t)) == 0 })

		p = startStuck(t, r, pidfd)
		if err := r.Close(); err != nil || r.Stuck() != 0 {
			t.Errorf("close: %v, %d are stuck after it", err, r.Stuck())
		}
		p.signalGroup(syscall.SIGKILL)
		if _, err := syscall.Wait4(p.pid, nil, 0, nil); err != nil {
			t.Errorf("wait for the plugin that was given up: %v", err)
		}
	}
}

func startStuck(t *testing.T, r *Runner, pidfd bool) *process {
	t.Helper()
	p, err := r.launch("/bin/sleep", []string{"sleep", "60"}, nil, "/", DefaultMaxOutput)
	if err != nil {
		t.Fatal(err)
	}
	if pidfd {
		p.watch = newExitWatch(p.pid)
	} else {
		p.watch = newThreadWatch(p.pid)
	}
	p.finishOutput(time.Now())
	r.keepStuck(p, "stuck")
	return p
}

// TestLateReader has everything in the pipe when the reader's time is over.
func TestLateReader(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close() // stays open: no end of the pipe helps
	text := strings.Repeat("0123456789abcdef", 2000)
	if _, err := write.WriteString(text); err != nil {
		t.Fatal(err)
	}
	c := capture{fd: int(read.Fd()), buffers: newReadBuffers(), limit: DefaultMaxOutput}
	if err := syscall.SetNonblock(c.fd, true); err != nil {
		t.Fatal(err)
	}
	c.pipe = read
	c.expire(time.Unix(1, 0))
	c.read()
	if string(c.kept) != text || c.truncated() {
		t.Errorf("%d of %d bytes were read", len(c.kept), len(text))
	}
}

func TestCompose(t *testing.T) {
	const note = "... [output cut at 40 bytes]"
	for _, c := range []struct {
		explanation, output string
		cut                 bool
		want                string
		truncated           bool
	}{
		{"", "", false, "", false},
		{"", "a\n\n", false, "a", false},
		{"why", "", false, "why", false},
		{"why", "\n", false, "why", false},
		{"why", "a\nb\n", false, "why\na\nb", false},
		{"", strings.Repeat("x", 40) + "\n", false, strings.Repeat("x", 40), false},
		{"", strings.Repeat("x", 41), false, strings.Repeat("x", 12) + note, true},
		{"", strings.Repeat("x", 40), true, strings.Repeat("x", 12) + note, true},
		{"why", strings.Repeat("x", 40), false, "why\n" + strings.Repeat("x", 8) + note, true},
		{"", strings.Repeat("x", 11) + "üxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", false, strings.Repeat("x", 11) + note, true},
		{"", strings.Repeat("x", 10) + "üxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", false, strings.Repeat("x", 10) + "ü" + note, true},
		{"", strings.Repeat("\xff", 41), false, strings.Repeat("\xff", 12) + note, true},
		{"", strings.Repeat("\x80", 41), false, strings.Repeat("\x80", 12) + note, true},
	} {
		got, truncated := compose(c.explanation, []byte(c.output), 40, c.cut)
		if string(got) != c.want || truncated != c.truncated {
			t.Errorf("compose(%q, %q, cut %v) = %q, %v, want %q, %v", c.explanation, c.output, c.cut, got, truncated, c.want, c.truncated)
		}
	}
	if got, cut := compose("", []byte("abcdefgh"), 5, false); string(got) != "... [" || !cut {
		t.Errorf("a limit below the note gives %q, %v", got, cut)
	}
}

func TestTroubleNames(t *testing.T) {
	seen := map[string]bool{}
	for trouble := None; trouble <= StartFailure; trouble++ {
		if name := trouble.String(); name == "" || seen[name] || strings.HasPrefix(name, "trouble ") {
			t.Errorf("trouble %d is called %q", uint8(trouble), name)
		} else {
			seen[name] = true
		}
	}
	if got := Trouble(200).String(); got != "trouble 200" {
		t.Errorf("an unknown one is called %q", got)
	}
}

// A program or directory on a file system that hangs holds up its own check only.
func TestAFileSystemThatDoesNotAnswer(t *testing.T) {
	r := newRunner(t, shortGrace)
	hangs := make(chan struct{})
	r.ask = func(path string) {
		if path == "/usr" {
			<-hangs
		}
	}
	stuck := Spec{Command: script(t, "echo well"), Dir: "/usr", Timeout: 200 * time.Millisecond, Key: "hangs", MaxStuck: 1}
	if o := r.Run(t.Context(), stuck); o.Code != 3 || o.Trouble != Timeout || !strings.Contains(string(o.Output), "did not answer within 200ms") {
		t.Errorf("%v, %v, %s", o.Code, o.Trouble, o.Output)
	}
	if o := r.Run(t.Context(), stuck); o.Code != 3 || o.Trouble != Stuck || !strings.Contains(string(o.Output), "still does not answer") {
		t.Errorf("again: %v, %v, %s", o.Code, o.Trouble, o.Output)
	}
	other := stuck
	other.Key, other.Dir = "other", "/"
	if o := r.Run(t.Context(), other); o.Trouble != None || string(o.Output) != "well" {
		t.Errorf("another check: %v, %s", o.Trouble, o.Output)
	}
	close(hangs)
	eventually(t, "it runs again", func() bool { return r.Run(t.Context(), stuck).Trouble == None })
}
