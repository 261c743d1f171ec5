package pki

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"massive-passive/internal/option"
	"massive-passive/wire/certs"
)

// initOptions are those of `pki init`.
type initOptions struct {
	dir, name string
	days      int
	hosts     []string
	owner     string
	force     bool
}

func (o initOptions) run(env Env) error {
	hosts, err := checkHosts(o.hosts)
	if err != nil {
		return err
	}
	owner, err := parseOwner(o.owner)
	if err != nil {
		return err
	}
	if err := checkDays(o.days); err != nil {
		return err
	}
	a, err := newAuthority(o.dir, o.name, o.days)
	if err != nil {
		return err
	}
	key, err := encodeKey(a.key)
	if err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(o.dir, certs.CACertName), filepath.Join(o.dir, certs.CAKeyName)
	files := []file{{path: keyFile, data: key, mode: private}, {path: certFile, data: a.caPEM(), mode: public}}
	var exists *ExistsError
	if err := writeAll(files, o.force); errors.As(err, &exists) {
		return fmt.Errorf("%s: there already, and nothing was written. --force makes a NEW CA: no certificate made so far is good any more; "+
			"`massive-passive pki renew --ca` keeps the key, and them", strings.Join(exists.Paths, ", "))
	} else if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(o.dir, certs.AllowedDirName), 0o755); err != nil { // a server does not start without it
		return err
	}
	fmt.Fprintf(env.Stdout, "made the CA %q, good until %s: %s\n", o.name, day(a.cert.NotAfter), certFile)
	fmt.Fprintf(env.Stdout, "its key is %s: whoever has it can make certificates; keep a copy of it where nobody else gets\n", keyFile)
	if len(hosts) > 0 {
		f := issueFlags{dir: o.dir, days: leafDays, owner: o.owner, force: o.force}
		return issueOptions{issueFlags: f}.issue(env, a, []subject{{role: server, name: serverName(hosts), hosts: hosts}}, nil, owner)
	}
	fmt.Fprintf(env.Stdout, "next: massive-passive pki server NAME ADDRESS...%s\n", dirHint(o.dir))
	return nil
}

func checkDays(days int) error {
	if days < 1 || days > 36500 {
		return option.Wrong("--days", fmt.Sprintf("%d is not from 1 to 36500", days))
	}
	return nil
}

// dirHint is what a command needs to find a directory that is not the default.
func dirHint(dir string) string {
	if dir == certs.DefaultDir {
		return ""
	}
	return " --dir " + dir
}

// issueFlags are those that all commands share which make certificates.
type issueFlags struct {
	dir    string
	days   int
	bundle string
	owner  string
	force  bool
}

// issueOptions are those of `pki server`, `client`, `sign` and `renew`.
type issueOptions struct {
	issueFlags
	renew bool
}

// open checks the options and reads the CA.
func (o issueOptions) open() (*authority, *owner, error) {
	if err := checkDays(o.days); err != nil {
		return nil, nil, err
	}
	who, err := parseOwner(o.owner)
	if err != nil {
		return nil, nil, err
	}
	a, err := openAuthority(o.dir)
	return a, who, err
}

func (o issueOptions) server(env Env, names []string) error {
	hosts, err := checkHosts(names)
	if err != nil {
		return err
	}
	a, who, err := o.open()
	if err != nil {
		return err
	}
	return o.issue(env, a, []subject{{role: server, name: serverName(hosts), hosts: hosts}}, nil, who)
}

func (o issueOptions) clients(env Env, names []string) error {
	var subjects []subject
	seen := map[string]bool{}
	for _, name := range names {
		if err := checkClientName(name); err != nil {
			return err
		}
		if !seen[name] {
			subjects = append(subjects, subject{role: client, name: name})
		}
		seen[name] = true
	}
	a, who, err := o.open()
	if err != nil {
		return err
	}
	return o.issue(env, a, subjects, nil, who)
}

func (o issueOptions) sign(env Env, paths []string, isServer bool) error {
	r := client
	if isServer {
		r = server
	}
	var subjects []subject
	public := map[string]crypto.PublicKey{}
	for _, path := range paths {
		data, err := readInput(env, path)
		if err != nil {
			return err
		}
		s, key, err := parseRequest(data, r)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if public[s.name] != nil {
			return fmt.Errorf("%s: another of these requests is for %s already", path, s.name)
		}
		public[s.name] = key
		subjects = append(subjects, s)
	}
	a, who, err := o.open()
	if err != nil {
		return err
	}
	return o.issue(env, a, subjects, public, who)
}

// issue makes certificates and says what to do with them.
func (o issueOptions) issue(env Env, a *authority, subjects []subject, public map[string]crypto.PublicKey, who *owner) error {
	for n := range subjects {
		subjects[n].days = o.days
	}
	i := issue{dir: o.dir, days: o.days, bundle: o.bundle, owner: who, force: o.force, renew: o.renew}
	all, err := i.issueAll(a, subjects, public)
	var exists *ExistsError
	if errors.As(err, &exists) && !o.renew {
		return fmt.Errorf("%w, as one with other names; to renew a certificate as it is use `massive-passive pki renew`", err)
	}
	if err != nil {
		return err
	}
	out := env.Stdout
	if o.bundle == "-" {
		out = env.Stderr
		if _, err := env.Stdout.Write(all[0].archive); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
	}
	for _, m := range all {
		fmt.Fprintln(out, m.describe())
	}
	o.tellNext(out, all)
	return nil
}

// tellNext says what is to be done by hand.
func (o issueOptions) tellNext(out io.Writer, all []made) {
	var allowed, places []string
	for _, m := range all {
		if m.allowed != "" {
			allowed = append(allowed, m.allowed)
		}
		if m.place != "" {
			places = append(places, m.place)
		}
	}
	if len(allowed) > 0 && o.dir == certs.DefaultDir {
		fmt.Fprintf(out, "allowed on this machine's server: %s\n", strings.Join(allowed, " "))
	} else if len(allowed) > 0 {
		fmt.Fprintf(out, "to allow it on a server, copy %s to %s there\n", strings.Join(allowed, " "), certs.DefaultAllowedDir)
	}
	switch {
	case o.bundle == "-":
		fmt.Fprintln(out, "next, on the host: massive-passive pki install -, with this archive as standard input")
	case o.bundle != "":
		for _, place := range places {
			fmt.Fprintf(out, "next: copy %s to its host and there run: massive-passive pki install %s\n", place, filepath.Base(place))
		}
		fmt.Fprintln(out, "an archive may hold a private key: delete it when it is installed")
	case len(places) > 0:
		for _, place := range places {
			fmt.Fprintf(out, "next: copy all files in %s to %s on its host\n", place, certs.DefaultDir)
		}
	default:
		fmt.Fprintf(out, "it is in place in %s: a server that runs takes it over by itself\n", o.dir)
		fmt.Fprintf(out, "next, for each host with checks: massive-passive pki client NAME --bundle NAME.tar%s\n", dirHint(o.dir))
	}
}

// requestOptions are those of `pki request`.
type requestOptions struct {
	dir    string
	server bool
	out    string
	owner  string
	force  bool
}

func (o requestOptions) run(env Env, names []string) error {
	s := subject{role: client, name: names[0]}
	var err error
	switch {
	case o.server:
		s.role = server
		if s.hosts, err = checkHosts(names); err == nil {
			s.name = serverName(s.hosts)
		}
	case len(names) > 1:
		err = option.Wrong(names[1], "a request is for one client; the names and addresses of a server go with --server")
	default:
		err = checkClientName(s.name)
	}
	if err != nil {
		return err
	}
	who, err := parseOwner(o.owner)
	if err != nil {
		return err
	}
	r, err := newRequest(o.dir, s, who)
	if err != nil {
		return err
	}
	out, path := env.Stdout, o.out
	if path == "" {
		path = strings.ReplaceAll(s.name, "*", "_") + ".csr"
	}
	files := []file{r.key}
	if path == "-" {
		out = env.Stderr
	} else {
		files = append(files, file{path: path, data: r.csr, mode: public})
	}
	if err := writeAll(files, o.force); err != nil {
		return err
	}
	if path == "-" {
		if _, err := env.Stdout.Write(r.csr); err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
	}
	fmt.Fprintf(out, "made the key %s, which stays here\n", r.key.path)
	signing := "massive-passive pki sign"
	if o.server {
		signing += " --server"
	}
	fmt.Fprintf(out, "next: where the CA is, run: %s %s --bundle %s.tar\n", signing, filepath.Base(path), s.name)
	fmt.Fprintf(out, "then here: massive-passive pki install %s.tar; of another CA's answer, install its PEM files\n", s.name)
	return nil
}

// readInput reads a file or, for "-", standard input.
func readInput(env Env, path string) ([]byte, error) {
	in := env.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxKit+1))
	if err == nil && len(data) > maxKit {
		err = fmt.Errorf("it has more than %d bytes", maxKit)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// installOptions are those of `pki install`.
type installOptions struct {
	dir, owner string
	force      bool
}

func (o installOptions) run(env Env, path string) error {
	who, err := parseOwner(o.owner)
	if err != nil {
		return err
	}
	data, err := readInput(env, path)
	if err != nil {
		return err
	}
	files, err := install{dir: o.dir, owner: who, force: o.force}.run(data)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w: run this as the user who may write to %s", path, err, o.dir)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, f := range files {
		fmt.Fprintln(env.Stdout, "put in place:", f.path)
	}
	switch what := roles(files); what {
	case "":
	case "client":
		fmt.Fprintf(env.Stdout, "next: %s; one that runs takes the files over by itself\n", startHint(o.dir, client))
	default:
		fmt.Fprintf(env.Stdout, "next: %s; one that runs takes the files over by itself\n", startHint(o.dir, server))
	}
	return nil
}

// startHint is how a daemon is started: where it is a package's, not as root.
func startHint(dir string, r role) string {
	unit := "massive-passive-" + string(r)
	if _, err := os.Stat("/run/systemd/system"); err == nil && dir == certs.DefaultDir {
		for _, units := range []string{"/lib", "/usr/lib", "/etc"} {
			if _, err := os.Stat(units + "/systemd/system/" + unit + ".service"); err == nil {
				return "systemctl start " + unit
			}
		}
	}
	return fmt.Sprintf("massive-passive %s --foreground%s", r, sslHint(dir, r))
}

// sslHint is what a daemon needs to find the files of a directory that is not
// the default.
func sslHint(dir string, r role) string {
	if dir == certs.DefaultDir {
		return ""
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	hint := fmt.Sprintf(" --ssl-ca-cert %s --ssl-cert %s --ssl-key %s", at(certs.CACertName), at(r.certName()), at(r.keyName()))
	if r == server {
		hint += " --allowed-client-cert-dir " + at(certs.AllowedDirName)
	}
	return hint
}

func list(env Env, dir string) error {
	all, problems, err := survey(dir)
	if err != nil {
		return fmt.Errorf("look for certificates: %w", err)
	}
	for _, p := range problems {
		fmt.Fprintln(env.Stderr, "passed over:", p)
	}
	if len(all) == 0 {
		return fmt.Errorf("there are no certificates in %s: name their directory with --dir", dir)
	}
	return printList(env.Stdout, all, time.Now())
}
