package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"syscall"
	"time"

	"massive-passive/client"
	"massive-passive/internal/disk"

	"github.com/urfave/cli/v2"
)

const (
	// settingsTimeout is how long the shell may take to read settings.
	settingsTimeout = 10 * time.Second
	// settingsLimit is far over what settings have, in bytes.
	settingsLimit = 1 << 20
)

// settingsScript has /bin/sh read the settings on descriptor 3 as
// packaging/daemon does before it starts the client, and print, each with a NUL
// behind it, the names of those that are set, the words of DAEMON_ARGS, and the
// environment that the client would have; an empty one ends the first two lists.
const settingsScript = `set -u
exec 4>&1 >&2
program=/usr/sbin/massive-passive verb=run role=client
name=massive-passive-$role
settings="LOGLEVEL PIDFILE CONFDIR DEFAULT_ENV USER GROUP BATCH_WAIT_TIME BATCH_MAX_ITEMS INITIAL_RANDOM_WAIT_RANGE LOGFILE
	SSL_KEY SSL_CERT SSL_CA_CERT ALLOWED_CLIENT_CERT_DIR"
unset START DAEMON_ARGS $settings
. /proc/self/fd/3
for setting in $settings DAEMON_ARGS; do
	eval "value=\${$setting:-}"
	[ -z "$value" ] || printf '%s\0' "$setting" >&4
done
printf '\0' >&4
DAEMON_ARGS=${DAEMON_ARGS:-}
PIDFILE=${PIDFILE:-/run/$name.pid}
SSL_KEY=${SSL_KEY:-/etc/massive-passive/$name-ssl.key}
SSL_CERT=${SSL_CERT:-/etc/massive-passive/$name-ssl.cert}
SSL_CA_CERT=${SSL_CA_CERT:-/etc/massive-passive/massive-passive-ssl-ca.cert}
for setting in $settings; do
	eval "value=\${$setting:-}"
	if [ -n "$value" ]; then
		export "MASSIVE_PASSIVE_$setting=$value"
	fi
done
for word in $DAEMON_ARGS; do
	printf '%s\0' "$word" >&4
done
printf '\0' >&4
exec cat /proc/self/environ >&4
`

// settings are what a daemon is started with beside its own defaults.
type settings struct {
	file        string   // empty: there are none
	names       []string // those that the file has
	args        []string // DAEMON_ARGS
	environment []string
}

// readSettings reads the settings that the daemon would be started with. They are
// none for the name none, and where the default file is not there.
func readSettings(ctx context.Context, file string, named bool, stderr io.Writer) (settings, error) {
	if file == "none" {
		return settings{}, nil
	}
	f, err := disk.Within(ctx, &disk.Reader{}, file, func() (*os.File, error) { return disk.Open(file) })
	if errors.Is(err, fs.ErrNotExist) && !named {
		return settings{}, nil
	}
	if err != nil {
		return settings{}, fmt.Errorf("read the daemon's settings (--settings none does without): %w", err)
	}
	defer f.Close()
	if err := trusted(f); err != nil {
		return settings{}, misuse{fmt.Errorf("--settings: %w", err)}
	}
	said, err := runSettings(ctx, f, stderr)
	if err != nil {
		return settings{}, fmt.Errorf("read the daemon's settings in %s by /bin/sh: %w", file, err)
	}
	s := settings{file: file}
	rest := "\x00" + said
	for _, to := range []*[]string{&s.names, &s.args} {
		words, behind, ended := strings.Cut(rest, "\x00\x00")
		if !ended {
			return settings{}, fmt.Errorf("read the daemon's settings in %s by /bin/sh: it ended too soon", file)
		}
		*to, rest = nulSeparated(words), "\x00"+behind
	}
	s.environment = nulSeparated(rest)
	return s, nil
}

func nulSeparated(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == 0 })
}

// trusted refuses a file that somebody else could have the shell run.
func trusted(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch owner := info.Sys().(*syscall.Stat_t).Uid; {
	case owner != 0 && owner != uint32(os.Geteuid()):
		return fmt.Errorf("%s belongs to user %d: a shell runs what is in it, so it must belong to root or to you", f.Name(), owner)
	case info.Mode()&0o002 != 0:
		return fmt.Errorf("everybody may write to %s, and a shell runs what is in it: `chmod o-w %s`", f.Name(), f.Name())
	}
	return nil
}

// runSettings has the shell read settings, for a bounded time.
func runSettings(ctx context.Context, f *os.File, stderr io.Writer) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settingsTimeout, fmt.Errorf("it did not end within %v", settingsTimeout))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := limited{left: settingsLimit, over: stop}
	shell := exec.CommandContext(ctx, "/bin/sh", "-c", settingsScript)
	shell.Dir = "/"
	shell.Stdout, shell.Stderr = &out, stderr
	shell.ExtraFiles = []*os.File{f}
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	shell.WaitDelay = time.Second
	err := shell.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.text.String(), err
}

// limited is a buffer that takes no more than a number of bytes, and calls over
// when it shall take more.
type limited struct {
	text bytes.Buffer
	left int
	over func(error)
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		err := errors.New("there is too much of it")
		l.over(err)
		return 0, err
	}
	return l.text.Write(b)
}

// use brings this process's environment to that of the daemon: our own
// variables and the time zone.
func (s settings) use() error {
	ours := func(v string) bool { return strings.HasPrefix(v, environmentPrefix) || strings.HasPrefix(v, "TZ=") }
	for _, v := range slices.DeleteFunc(os.Environ(), func(v string) bool { return !ours(v) }) {
		name, _, _ := strings.Cut(v, "=")
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	for _, v := range s.environment {
		if name, value, _ := strings.Cut(v, "="); ours(v) {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// withSettings runs the command again with the settings of the daemon before the
// caller's own arguments. Lists of these take the place of lists there.
func (std streams) withSettings(c *cli.Context) error {
	s, err := readSettings(c.Context, c.String("settings"), c.IsSet("settings"), std.stderr)
	if err != nil {
		return err
	}
	_, name, own := choose(std.args)
	if s.file != "" {
		if err := s.use(); err != nil {
			return err
		}
		if std.setZone != nil {
			*std.badZone = badZone{err: std.setZone()}
		}
		*std.unknown = *findUnknown(std, os.Environ())
	}
	args := s.args
	for _, list := range []string{"confdir", "default-servers"} {
		if without := withoutOption(own, list); len(without) < len(own) {
			args = withoutOption(args, list)
		}
	}
	env := clientEnv(std)
	env.Settle, env.Become = nil, func(c *cli.Context) (func() error, error) { return s.become(c, name) }
	command := client.Command(env)
	bindAll("client", command)
	return newApp(name, command, std).RunContext(c.Context, slices.Concat(own[:1], args, own[1:]))
}

// withoutOption leaves out an option that takes a value.
func withoutOption(args []string, name string) (rest []string) {
	for i := 0; i < len(args); i++ {
		switch word := strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-"); {
		case word == args[i] || word != name && !strings.HasPrefix(word, name+"="):
			rest = append(rest, args[i])
		case word == name:
			i++
		}
	}
	return rest
}

// become returns what makes this process the user that the daemon runs as; nil
// where it stays who it is. It tells what is used.
func (s settings) become(c *cli.Context, name string) (drop func() error, err error) {
	userName, groupName := c.String("user"), c.String("group")
	as, but := "", ""
	if os.Geteuid() == 0 {
		who, err := findIdentity(userName, groupName)
		if err != nil {
			return nil, err
		}
		if who != nil {
			as, drop = who.name, who.become
		}
	}
	if as == "" {
		current, err := user.Current()
		if err != nil {
			return nil, err
		}
		if as = current.Username; userName != "" && userName != as && userName != current.Uid {
			but = ", while the daemon runs as " + userName + ": only root can become that"
		}
	}
	if s.file != "" {
		_, err = fmt.Fprintf(c.App.ErrWriter, "%s: settings of %s: %s; as user %s%s\n", name, s.file, strings.Join(s.names, ", "), as, but)
	}
	return drop, err
}
