//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// image is the last stage of the Containerfile, read without an engine.
type image struct {
	environment             []string
	entrypoint, cmd, health []string
	user                    string
}

func readImage(t *testing.T) (i image) {
	t.Helper()
	text := string(rig.ReadFile(t, "packaging/container/Containerfile"))
	_, stage, found := strings.Cut(text, "FROM scratch")
	if !found {
		t.Fatal("the image is not made from nothing")
	}
	words := func(line string) (list []string) {
		if err := json.Unmarshal([]byte(line), &list); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return list
	}
	for line := range strings.Lines(stage) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "ENV":
			i.environment = append(i.environment, strings.Fields(rest)...)
		case "USER":
			i.user = rest
		case "ENTRYPOINT":
			i.entrypoint = words(rest)
		case "CMD":
			i.cmd = words(rest)
		case "HEALTHCHECK":
			i.health = words(strings.TrimPrefix(rest, "CMD "))
		}
	}
	return i
}

// The image works: one binary and its empty directories, no root, no shell.
func TestE2EContainerImage(t *testing.T) {
	i := readImage(t)
	root := t.TempDir()
	for up := root; up != os.TempDir(); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("make", "build")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, command := range []string{
		`cp massive-passive "$1"/massive-passive`,
		`mkdir -p "$1"/var/lib/massive-passive/server "$1"/var/lib/massive-passive/client "$1"/dev "$1"/proc "$1"/run && cp -a /dev/null /dev/urandom "$1"/dev`,
		`mkdir "$1"/run/server && ./massive-passive pki init "$1"/run/pki && ./massive-passive pki server localhost --dir "$1"/run/pki --bundle "$1"/run/server.tar`,
		`./massive-passive pki install "$1"/run/server.tar --dir "$1"/etc/massive-passive --owner 65532 && mkdir -p "$1"/etc/massive-passive/allowed-client-cert.d`,
		`mkfifo "$1"/run/nagios.cmd && chown -R 65532:65532 "$1"/var/lib/massive-passive "$1"/run/nagios.cmd`,
	} {
		if out, err := exec.Command("sh", "-ec", command, "sh", root).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	run := func(words []string) *exec.Cmd {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = i.environment
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		cmd.Dir = "/"
		return cmd
	}
	if i.user != "65532:65532" {
		t.Errorf("the image runs as %q", i.user)
	}
	d := &rig.Daemon{T: t, Exited: make(chan struct{})}
	d.Cmd = run(slices.Concat(i.entrypoint, i.cmd, []string{"--listen", fmt.Sprint("127.0.0.1:", rig.UnusedPort(t)), "--command-file", "/run/nagios.cmd"}))
	d.Cmd.Stdout, d.Cmd.Stderr = d, d
	if err := d.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.Cmd.Wait(); close(d.Exited) }()
	t.Cleanup(d.Stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := run(i.health).CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the health command: %v\n%s\nthe server: %s", err, out, d.Words())
		}
	}
	d.Stop()
	if code := d.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("ended with %d\n%s", code, d.Words())
	}
	if out, err := run(i.health).CombinedOutput(); err == nil {
		t.Errorf("healthy without a server: %s", out)
	}
}

// documents are the objects of YAML files.
func documents(t *testing.T, files ...string) (list []map[string]any) {
	t.Helper()
	for _, file := range files {
		out, err := exec.Command("python3", "-c", "import json, sys, yaml\nprint(json.dumps([d for d in yaml.safe_load_all(open(sys.argv[1]))]))", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
		var some []map[string]any
		if err := json.Unmarshal(out, &some); err != nil {
			t.Fatal(err)
		}
		list = append(list, some...)
	}
	return list
}

// find returns all values under a key, at any depth.
func find(in any, key string) (found []any) {
	switch in := in.(type) {
	case map[string]any:
		for k, v := range in {
			if k == key {
				found = append(found, v)
			}
			found = append(found, find(v, key)...)
		}
	case []any:
		for _, v := range in {
			found = append(found, find(v, key)...)
		}
	}
	return found
}

// checkCall holds a command line in a manifest to the options that there are.
func checkCall(t *testing.T, words []any) {
	t.Helper()
	command := fmt.Sprint(words[0])
	code, help, stderr := rig.Program(t, "", "massive-passive", command, "--help")
	if code != 0 {
		t.Errorf("%v: %s", words, stderr)
		return
	}
	options := regexp.MustCompile(`--[a-z0-9-]+`).FindAllString(help, -1)
	for _, word := range words[1:] {
		name, _, _ := strings.Cut(fmt.Sprint(word), "=")
		if strings.HasPrefix(name, "--") && !slices.Contains(options, name) {
			t.Errorf("%v: %s has no option %s", words, command, name)
		}
	}
}

func TestE2EContainerManifests(t *testing.T) {
	compose := documents(t, "packaging/container/compose.yaml")
	for _, command := range find(compose[0], "command") {
		checkCall(t, command.([]any))
	}
	stages := regexp.MustCompile(`AS ([a-z-]+)`).FindAllStringSubmatch(string(rig.ReadFile(t, "packaging/container/Containerfile")), -1)
	for _, target := range find(compose[0], "target") {
		if !slices.ContainsFunc(stages, func(s []string) bool { return s[1] == target }) {
			t.Errorf("there is no stage %v", target)
		}
	}
	objects := documents(t, "packaging/kubernetes/server.yaml", "packaging/kubernetes/client.yaml")
	kinds := map[string]int{}
	for _, o := range objects {
		kinds[o["kind"].(string)]++
		if ns := o["metadata"].(map[string]any)["namespace"]; ns != "monitoring" {
			t.Errorf("%v is in %v", o["kind"], ns)
		}
		for _, args := range find(o, "args") {
			checkCall(t, args.([]any))
		}
		for _, exec := range find(o, "exec") {
			checkCall(t, exec.(map[string]any)["command"].([]any)[1:])
		}
		checkMounts(t, o)
	}
	if want := (map[string]int{"Service": 1, "StatefulSet": 1, "ConfigMap": 1, "DaemonSet": 1}); fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}

// checkMounts holds what is mounted to what there is.
func checkMounts(t *testing.T, object map[string]any) {
	t.Helper()
	var names []any
	for _, key := range []string{"volumes", "volumeClaimTemplates"} {
		for _, volumes := range find(object, key) {
			for _, v := range volumes.([]any) {
				names = append(names, v.(map[string]any)["name"])
				if metadata, ok := v.(map[string]any)["metadata"].(map[string]any); ok {
					names = append(names, metadata["name"])
				}
			}
		}
	}
	for _, mounts := range find(object, "volumeMounts") {
		for _, m := range mounts.([]any) {
			if name := m.(map[string]any)["name"]; !slices.Contains(names, name) {
				t.Errorf("%v mounts %v, which there is not: %v", object["kind"], name, names)
			}
		}
	}
}

// The check files of the ConfigMap are good with the options of the DaemonSet.
func TestE2EContainerChecks(t *testing.T) {
	dir := t.TempDir()
	var args []string
	for _, o := range documents(t, "packaging/kubernetes/client.yaml") {
		if data, ok := o["data"].(map[string]any); ok {
			for name, text := range data {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text.(string)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, list := range find(o, "args") {
			for _, word := range list.([]any)[1:] {
				args = append(args, strings.NewReplacer("$(NODE_NAME)", "node1", "/checks", dir).Replace(word.(string)))
			}
		}
	}
	args = append(args, "--check-config")
	code, stdout, stderr := rig.Program(t, "", "massive-passive-client", args...)
	if code != 0 || strings.Count(stdout, "node1") < 2 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
