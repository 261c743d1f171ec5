package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"massive-passive/client/checkfile"
	"massive-passive/client/outbox"
	"massive-passive/client/plugin"
	"massive-passive/internal/disk"
	"massive-passive/sender"
	"massive-passive/wire"
	"massive-passive/wire/certs"
	"massive-passive/wire/check"
)

// Once runs the check of one file now, as the daemon would, writes what would
// be sent to out, and sends it if it shall.
func Once(ctx context.Context, o Options, file string, send bool, out, warn io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	var end certs.End
	if send {
		var err error
		if end, err = certs.Load(o.certificates(), nil); err != nil {
			return err
		}
	}
	if err := o.drop(); err != nil {
		return err
	}
	k, err := readOne(o, file, warn)
	if err != nil {
		return err
	}
	runner, err := plugin.New(0)
	if err != nil {
		return err
	}
	defer runner.Close()
	became := runner.Run(ctx, plugin.Spec{Command: k.Command, Dir: k.Dir, Timeout: k.Timeout, MaxOutput: o.MaxOutput})
	r := result(k, became)
	show(out, k, &r, became.Stderr)
	if text := hint(ctx, k, became); text != "" {
		fmt.Fprintf(warn, "hint: %s\n", text)
	}
	if !send {
		return nil
	}
	return sendOnce(ctx, o, end, k.Servers, &r, out)
}

func readOne(o Options, file string, warn io.Writer) (checkfile.Check, error) {
	defaults, err := o.defaults()
	if err != nil {
		return checkfile.Check{}, err
	}
	data, err := disk.ReadFile(context.Background(), file, checkfile.MaxSize)
	if err != nil {
		return checkfile.Check{}, fmt.Errorf("read the check file: %w", err)
	}
	k, warnings, err := checkfile.Parse(filepath.Base(file), data, defaults)
	for _, w := range warnings {
		fmt.Fprintf(warn, "warning: %s\n", w)
	}
	return k, err
}

// sendOnceTimeout is how long one server may take to acknowledge.
const sendOnceTimeout = 10 * time.Second

func sendOnce(ctx context.Context, o Options, end certs.End, servers []checkfile.Server, r *check.Result, out io.Writer) error {
	state, err := outbox.ReadState(o.StateDir)
	if err != nil {
		return err
	}
	hello := wire.Hello{Version: o.Version, Remember: uint32(sendOnceTimeout / time.Second)}
	rand.Read(hello.Instance[:]) // never fails
	var failed error
	for _, s := range servers {
		so := sender.Options{Name: s.Name, Address: s.Address, End: end, Verify: certs.Verify(o.SSLVerify), Hello: hello,
			Modern: state.Modern(s.Name)}
		short, cancel := context.WithTimeout(ctx, sendOnceTimeout)
		err := sender.Deliver(short, so, []sender.Item{{Instance: hello.Instance, Sequence: 1, Result: r.Append(nil)}})
		cancel()
		if err == nil {
			fmt.Fprintf(out, "sent to: %s (%s)\n", s.Name, s.Address)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// show writes a result for people, and what its plugin ran in.
func show(out io.Writer, k checkfile.Check, r *check.Result, stderr []byte) {
	fmt.Fprintf(out, "host:    %s\n", r.Host)
	if r.Kind == check.Service {
		fmt.Fprintf(out, "service: %s\n", r.Service)
	}
	names := make([]string, len(k.Servers))
	for i, s := range k.Servers {
		names[i] = s.Name + " (" + s.Address + ")"
	}
	fmt.Fprintf(out, "servers: %s\ncommand: %q\ndirectory: %s\n", strings.Join(names, ", "), k.Command.Words(), k.Dir)
	env := k.Command.Env()
	if len(env) == 0 {
		fmt.Fprintf(out, "environment: empty\n")
	}
	for _, variable := range env {
		fmt.Fprintf(out, "environment: %q\n", variable)
	}
	fmt.Fprintf(out, "code:    %d\ntook:    %v\noutput:\n%s\n", r.Code, time.Duration(r.Finish-r.Start)*time.Microsecond, r.Output)
	if len(stderr) > 0 {
		fmt.Fprintf(out, "standard error:\n%s\n", bytes.TrimRight(stderr, "\n"))
	}
}

// aMissingPart is what shells, env and the interpreters of plugins say when they
// do not find a program or a library.
var aMissingPart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(: |command )not found|ModuleNotFoundError|No module named|env: .*No such file|in @INC|cannot load such file`)
})

// hint says what may be missing in the environment of a plugin that did not find
// what it needs; it is empty where that is not the trouble.
func hint(ctx context.Context, k checkfile.Check, o plugin.Outcome) string {
	missing := o.Trouble == plugin.NotFound || o.Trouble == plugin.NotExecutable || aMissingPart().Match(o.Output) || aMissingPart().Match(o.Stderr)
	if o.Trouble == plugin.None && o.Code == 0 || !missing {
		return ""
	}
	if filepath.IsAbs(k.Command.Words()[0]) && k.Command.Problem(ctx, k.Dir) != "" {
		return "" // the output says it; no environment helps
	}
	if k.Command.HasPath() {
		return `the plugin runs in the environment above and no other: if it finds what it needs in your shell, compare PATH, HOME and the like, and set them in the check's "env"`
	}
	return `the plugin's environment has no PATH, so that programs and libraries are not found: set one in the check's "env", or for all checks by --default-env PATH=/usr/local/bin:/usr/bin:/bin`
}
