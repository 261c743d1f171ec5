package program

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"massive-passive/test/rig"
	"massive-passive/wire/certs/certstest"
)

// invocation is a line of testdata/send_nsca.jsonl: what one call of send_nsca
// does. {N} in its texts stands for N letters, {N*text} for N times the text,
// and the other words in braces for what the rig gives.
type invocation struct {
	Name   string   `json:"name"`
	Args   []string `json:"args"`
	Config []string `json:"config"` // lines for the file {config}, beside those that it needs
	Stdin  string   `json:"stdin"`
	Closed bool     `json:"closed"` // standard input is
	Code   int      `json:"code"`
	Stdout string   `json:"stdout"` // behind a "*": a part of it
	Stderr []string `json:"stderr"` // parts; none: it is empty
	Core   []string `json:"core"`   // lines, with their time only where that counts

	// What the other programs do, where that is not the same, and why: one of
	// the reasons in the first line.
	NSCA *difference `json:"nsca"`
	NG   *difference `json:"ng"`
	Ours string      `json:"ours"` // the reason why this is not for them at all
}

type difference struct {
	Why   string    `json:"why"`
	Code  *int      `json:"code"`
	Hangs bool      `json:"hangs"` // at times it does not end at all
	Core  *[]string `json:"core"`
}

// invocations reads the table and the reasons for which others differ.
func invocations(t *testing.T) (list []invocation, reasons map[string]string) {
	t.Helper()
	file, err := os.Open("test/program/testdata/send_nsca.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for first := true; lines.Scan(); first = false {
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if first {
			var head struct {
				Reasons map[string]string   `json:"reasons"`
				General map[string][]string `json:"general"` // how the programs are compared
			}
			if err := decoder.Decode(&head); err != nil {
				t.Fatal(err)
			}
			reasons = head.Reasons
			continue
		}
		var i invocation
		if err := decoder.Decode(&i); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		list = append(list, i)
	}
	if err := lines.Err(); err != nil || len(list) < 80 {
		t.Fatalf("%d invocations, %v", len(list), err)
	}
	return list, reasons
}

func TestEveryDifferenceHasItsReason(t *testing.T) {
	list, reasons := invocations(t)
	used := map[string]bool{}
	names := map[string]bool{}
	for _, i := range list {
		if names[i.Name] {
			t.Errorf("two invocations are called %q", i.Name)
		}
		names[i.Name] = true
		var why []string
		for _, d := range []*difference{i.NSCA, i.NG} {
			if d != nil {
				why = append(why, d.Why)
			}
		}
		if i.Ours != "" {
			why = append(why, i.Ours)
		}
		for _, reason := range why {
			used[reason] = true
			if reasons[reason] == "" {
				t.Errorf("%s: there is no reason %q", i.Name, reason)
			}
		}
	}
	for reason := range reasons {
		if !used[reason] {
			t.Errorf("nothing differs for the reason %q", reason)
		}
	}
}

var (
	manyLetters = regexp.MustCompile(`\{(\d+)\}`)
	manyTimes   = regexp.MustCompile(`(?s)^\{(\d+)\*(.*)\}$`)
)

// expand writes out {N} and {N*text}.
func expand(text string) string {
	if m := manyTimes.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], n)
	}
	return manyLetters.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.Atoi(strings.Trim(s, "{}"))
		return strings.Repeat("x", n)
	})
}

// sendRig is what one program needs for all invocations.
type sendRig struct {
	t       *testing.T
	program string
	dir     string
	base    string            // lines that {config} always has
	words   *strings.Replacer // for what stands in braces
	core    *rig.Core

	unlisted string // the port of a server that does not list us
}

// newSendRig makes the ports that do not answer as they should.
func newSendRig(t *testing.T, program string, port int, base string, c *rig.Core) *sendRig {
	t.Helper()
	r := &sendRig{t: t, program: program, dir: t.TempDir(), base: base, core: c}
	r.words = strings.NewReplacer("{port}", fmt.Sprint(port), "{refused}", fmt.Sprint(rig.UnusedPort(t)),
		"{config}", filepath.Join(r.dir, "send.cfg"), "{dir}", r.dir,
		"{silent}", r.listen(func(net.Conn) {}), "{closing}", r.listen(closeInOrder),
		"{plain}", r.listen(func(c net.Conn) { c.Write([]byte("220 hello\r\n")) }))
	return r
}

// closeInOrder ends a connection without a word. To close it with something of
// the peer's unread would reset it, which is another thing.
func closeInOrder(c net.Conn) {
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c)
	c.Close()
}

func (r *sendRig) listen(greet func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			greet(conn)
		}
	}()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// run calls the program; the exit code is -1 where it does not end.
func (r *sendRig) run(i invocation) (code int, stdout, stderr string) {
	r.t.Helper()
	config := r.words.Replace(strings.Join(append(i.Config, r.base), "\n"))
	if err := os.WriteFile(filepath.Join(r.dir, "send.cfg"), []byte(config), 0o600); err != nil {
		r.t.Fatal(err)
	}
	var args []string
	for _, a := range i.Args {
		args = append(args, strings.ReplaceAll(r.words.Replace(a), "{unlisted}", r.unlisted))
	}
	cmd := exec.Command(r.program, args...)
	if i.Closed {
		cmd = exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@" <&-`, r.program}, args...)...)
	} else {
		cmd.Stdin = strings.NewReader(expand(i.Stdin))
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	patience := time.AfterFunc(15*time.Second, func() { cmd.Process.Kill() })
	defer patience.Stop()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

// arrived says what is wrong with what comes out of the pipe; "" for nothing.
func (r *sendRig) arrived(want []string) string {
	for _, text := range want {
		times := 1
		if m := manyTimes.FindStringSubmatch(text); m != nil {
			times, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		text = expand(text)
		for range times {
			line, err := line(r.core)
			if err != nil {
				return fmt.Sprintf("the core lacks %.200q: %v", text, err)
			}
			if !strings.HasPrefix(text, "[1") {
				_, line, _ = strings.Cut(line, "] ")
			}
			if line != text {
				return fmt.Sprintf("the core got %.200q (%d bytes), want %.200q (%d)", line, len(line), text, len(text))
			}
		}
	}
	return ""
}

// line is the next one that a core would read, from the pipe or from a file
// that a line in the pipe names.
func line(c *rig.Core) (string, error) {
	c.Pipe.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		line, err := c.Next()
		if err != nil {
			return "", err
		}
		_, file, found := strings.Cut(line, "] PROCESS_FILE;")
		if !found || !strings.HasPrefix(file, os.TempDir()) {
			return strings.TrimSuffix(line, "\n"), nil
		}
		file, _, _ = strings.Cut(file, ";")
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		c.Lines = bufio.NewReader(io.MultiReader(bytes.NewReader(data), c.Lines))
	}
}

func TestSendNSCA(t *testing.T) {
	t.Parallel()
	c := rig.NewCore(t)
	p := rig.NewPair(t, c.Path, "nagios")
	p.StartServer()
	p.AwaitPort()
	config := fmt.Sprintf("ssl_key=%s\nssl_cert=%s\nssl_ca_cert=%s\n", p.Set.ClientKey, p.Set.ClientCert, p.Set.CA)
	r := newSendRig(t, rig.LinkTo(t, "send_nsca"), p.Port, config, c)
	r.strangers(p)
	list, _ := invocations(t)
	for _, i := range list {
		code, stdout, stderr := r.run(i)
		want := i.Stdout
		part, open := strings.CutPrefix(want, "*")
		bad := code != i.Code || open && !strings.Contains(stdout, part) || !open && stdout != want || (stderr == "") != (len(i.Stderr) == 0)
		for _, part := range i.Stderr {
			bad = bad || !strings.Contains(stderr, r.words.Replace(part))
		}
		if bad {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q\nwant %d, %q, %q", i.Name, code, stdout, stderr, i.Code, want, i.Stderr)
		}
		if wrong := r.arrived(i.Core); wrong != "" {
			t.Fatalf("%s: %s", i.Name, wrong)
		}
	}
	r.nothingElse()
}

// nothingElse sends a last result: what came before it should not have.
func (r *sendRig) nothingElse() {
	r.t.Helper()
	last := invocation{Args: []string{"-H", "127.0.0.1", "-p", "{port}", "-c", "{config}"}, Stdin: "last\ts\t0\tx\n"}
	if code, _, stderr := r.run(last); code != 0 {
		r.t.Errorf("exit code %d, %s", code, stderr)
	}
	if wrong := r.arrived([]string{"PROCESS_SERVICE_CHECK_RESULT;last;s;0;x"}); wrong != "" {
		r.t.Error(wrong)
	}
}

// strangers makes another CA, and a server that does not list our certificate.
func (r *sendRig) strangers(p *rig.Pair) {
	r.t.Helper()
	other, err := certstest.WriteSet(r.t.TempDir(), "stranger")
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "other.ca"), rig.ReadFile(r.t, other.CA), 0o600); err != nil {
		r.t.Fatal(err)
	}
	unlisting := rig.NewPair(r.t, r.core.Path, "nagios") // it lists its own client only
	unlisting.ServerArgs = append(unlisting.ServerArgs, "--ssl-ca-cert", p.Set.CA, "--ssl-cert", p.Set.ServerCert, "--ssl-key", p.Set.ServerKey)
	unlisting.StartServer()
	unlisting.AwaitPort()
	r.unlisted = fmt.Sprint(unlisting.Port)
}
