package rig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// IcingaRig is a private Icinga 2 whose hosts and services take passive results only, with its command pipe
// and its API. The packaged one's folders are not touched.
type IcingaRig struct {
	*coreProcess
	Port   int
	Roots  *x509.CertPool // what the API's certificate leads to
	Client *http.Client
	fences int // how many fences were written, which tells them apart
}

const (
	IcingaUser     = "rig"
	IcingaPassword = "rig password"
	IcingaNode     = "rig-node" // the name in the API's certificate
)

// NewIcingaRig lays out an Icinga with the given hosts and does not start it. Each of settings is added to the
// configuration as it stands.
func NewIcingaRig(t *testing.T, hosts []Host, settings ...string) *IcingaRig {
	t.Helper()
	r := &IcingaRig{coreProcess: newCoreProcess(t, "icinga2"), Port: UnusedPort(t)}
	certificate, key := selfSigned(t, IcingaNode)
	r.layOut([]string{"data/certs", "run", "cache", "log", "spool"}, map[string]string{
		"data/certs/" + IcingaNode + ".crt": certificate,
		"data/certs/" + IcingaNode + ".key": key,
		"data/certs/ca.crt":                 certificate,
		"icinga2.conf": fmt.Sprintf(icingaMainConfig, r.Dir, IcingaNode, IcingaUser, IcingaPassword, r.Port) +
			icingaObjects(hosts) + strings.Join(settings, "\n") + "\n",
	})
	r.Args = r.arguments()
	r.Roots = x509.NewCertPool()
	r.Roots.AppendCertsFromPEM([]byte(certificate))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.Roots, ServerName: IcingaNode}}
	r.Client = &http.Client{Transport: transport, Timeout: ReadingLimit}
	t.Cleanup(transport.CloseIdleConnections)
	return r
}

// arguments are Icinga's, with each place where it writes moved into the rig's folder.
func (r *IcingaRig) arguments() []string {
	u, group := coreUser(r.T)
	args := []string{"daemon", "--config", r.Dir + "/icinga2.conf",
		"-DConfiguration.RunAsUser=" + u.Username, "-DConfiguration.RunAsGroup=" + group}
	for constant, path := range map[string]string{
		"DataDir": "data", "InitRunDir": "run", "CacheDir": "cache", "LogDir": "log", "SpoolDir": "spool",
		"PidPath": "run/icinga2.pid", "StatePath": "data/icinga2.state", "VarsPath": "cache/icinga2.vars",
		"ObjectsPath": "cache/icinga2.debug",
	} {
		args = append(args, fmt.Sprintf("-DConfiguration.%s=%s/%s", constant, r.Dir, path))
	}
	return args
}

const icingaMainConfig = `const NodeName = "%[2]s"
const ZoneName = NodeName
const PluginDir = "/usr/lib/nagios/plugins"
include <itl>
object FileLogger "log" {
	severity = "notice"
	path = "%[1]s/icinga2.log"
}
object CheckerComponent "checker" { }
object ExternalCommandListener "command" { command_path = "%[1]s/icinga2.cmd" }
object Endpoint NodeName { }
object Zone ZoneName { endpoints = [ NodeName ] }
object ApiUser "%[3]s" {
	password = "%[4]s"
	permissions = [ "*" ]
}
object ApiListener "api" {
	bind_host = "127.0.0.1"
	bind_port = "%[5]d"
}
template Host "passive-host" {
	check_command = "passive"
	enable_active_checks = false
	max_check_attempts = 1
}
template Service "passive-service" {
	check_command = "passive"
	enable_active_checks = false
	max_check_attempts = 1
}
`

// icingaObjects writes the hosts and services. JSON's strings are strings there too, but for their \u escapes,
// which names of printable characters do not need.
func icingaObjects(hosts []Host) string {
	name := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
	}
	var b strings.Builder
	for _, host := range append(hosts, Host{FenceHost, []string{FenceService}}) {
		fmt.Fprintf(&b, "object Host %s { import \"passive-host\" }\n", name(host.Name))
		for _, service := range host.Services {
			fmt.Fprintf(&b, "object Service %s {\n\timport \"passive-service\"\n\thost_name = %s\n}\n",
				name(service), name(host.Name))
		}
	}
	return b.String()
}

func (r *IcingaRig) CommandFile() string { return filepath.Join(r.Dir, "icinga2.cmd") }

func (r *IcingaRig) LogFile() string { return filepath.Join(r.Dir, "icinga2.log") }

func (r *IcingaRig) APIURL() string { return "https://127.0.0.1:" + strconv.Itoa(r.Port) }

// Start runs Icinga and returns when its API answers and its pipe is read.
func (r *IcingaRig) Start() {
	r.T.Helper()
	r.launch()
	if !r.readyWithin(coreStartLimit/2, r.takesResults) {
		// One in some hundred starts beside seven others ends nowhere.
		r.T.Log("Icinga hangs in its start: it is killed and started again, as a service manager would")
		r.Kill()
		r.launch()
	}
	r.awaitReady("start", r.takesResults)
}

func (r *IcingaRig) takesResults() error {
	if _, err := r.workerPID(); err != nil {
		return err
	}
	return PipeHasReader(r.CommandFile())
}

// Reload sends SIGHUP and returns when the process that Icinga puts in the old one's place answers. It keeps
// its states.
func (r *IcingaRig) Reload() {
	r.T.Helper()
	before, err := r.workerPID()
	if err != nil {
		r.T.Fatal(err)
	}
	r.Signal(syscall.SIGHUP)
	r.awaitReady("reload", func() error {
		now, err := r.workerPID()
		if err != nil {
			return err
		}
		if now == before {
			return fmt.Errorf("process %d still answers", before)
		}
		return PipeHasReader(r.CommandFile())
	})
}

// workerPID asks the API for the process that works. The one that was started only watches over it.
func (r *IcingaRig) workerPID() (int, error) {
	body, err := r.Get("/v1/status/IcingaApplication")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Results []struct {
			Status struct {
				IcingaApplication struct{ App struct{ PID int } }
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if len(answer.Results) != 1 {
		return 0, fmt.Errorf("the status has %d results: %s", len(answer.Results), body)
	}
	return answer.Results[0].Status.IcingaApplication.App.PID, nil
}

// Get asks the API and returns the body of an answer 200.
func (r *IcingaRig) Get(path string) ([]byte, error) {
	status, body, err := r.API(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	return body, nil
}

// API sends a request, with body as JSON if there is one, and returns the answer's status and body.
func (r *IcingaRig) API(method, path string, body any) (int, []byte, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(r.T.Context(), method, r.APIURL()+path, sent)
	if err != nil {
		return 0, nil, err
	}
	request.SetBasicAuth(IcingaUser, IcingaPassword)
	request.Header.Set("Accept", "application/json")
	answer, err := r.Client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	received, err := io.ReadAll(answer.Body)
	return answer.StatusCode, received, err
}

// Submit sends a check result through the API and returns the answer's status and body. To the fields given
// it adds none.
func (r *IcingaRig) Submit(fields map[string]any) (int, string) {
	r.T.Helper()
	status, body, err := r.API(http.MethodPost, "/v1/actions/process-check-result", fields)
	if err != nil {
		r.T.Fatalf("process-check-result: %v", err)
	}
	return status, string(body)
}

// Command writes lines to the pipe, each with the present time before it and a newline behind it.
func (r *IcingaRig) Command(lines ...string) {
	r.T.Helper()
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "[%d] %s\n", time.Now().Unix(), line)
	}
	WritePipe(r.T, r.CommandFile(), b.String())
}

// Fence returns what Icinga believes of each host and service after it has dealt with all that was written to
// the pipe before.
func (r *IcingaRig) Fence() map[ObjectName]Reading {
	r.T.Helper()
	r.fences++
	mark := fmt.Sprintf("fence %d", r.fences)
	r.Command(fmt.Sprintf("PROCESS_SERVICE_CHECK_RESULT;%s;%s;0;%s", FenceHost, FenceService, mark))
	r.Await(mark, func(readings map[ObjectName]Reading) error {
		if got := readings[ObjectName{FenceHost, FenceService}].Output; got != mark {
			return fmt.Errorf("the fence's output is %q", got)
		}
		return nil
	})
	// Hosts and services are asked for one after the other: some may have been read before the fence was there.
	return r.Await("read", func(map[ObjectName]Reading) error { return nil })
}

// Await polls the API until met finds in the readings what it looks for.
func (r *IcingaRig) Await(what string, met func(map[ObjectName]Reading) error) map[ObjectName]Reading {
	r.T.Helper()
	var readings map[ObjectName]Reading
	Eventually(r.T, ReadingLimit, what, func() error {
		var err error
		if readings, err = r.readings(); err != nil {
			return err
		}
		return met(readings)
	})
	return readings
}

// icingaAnswer is what the rig wants from the API's list of hosts or services.
type icingaAnswer struct {
	Results []struct {
		Attrs struct {
			Name      string  `json:"name"`
			HostName  string  `json:"host_name"` // of a service only
			State     float64 `json:"state"`
			LastCheck float64 `json:"last_check"` // -1: never
			Last      struct {
				Output   string   `json:"output"`
				Perfdata []string `json:"performance_data"`
			} `json:"last_check_result"`
		} `json:"attrs"`
	} `json:"results"`
}

func (r *IcingaRig) readings() (map[ObjectName]Reading, error) {
	readings := make(map[ObjectName]Reading)
	for kind, more := range map[string]string{"hosts": "", "services": "&attrs=host_name"} {
		body, err := r.Get("/v1/objects/" + kind + "?attrs=name&attrs=state&attrs=last_check&attrs=last_check_result" + more)
		if err != nil {
			return nil, err
		}
		var answer icingaAnswer
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		for _, object := range answer.Results {
			a := object.Attrs
			name := ObjectName{a.HostName, a.Name}
			if kind == "hosts" {
				name = ObjectName{Host: a.Name}
			}
			read := Reading{State: int(a.State), Perfdata: strings.Join(a.Last.Perfdata, " ")}
			read.Output, read.LongOutput, _ = strings.Cut(a.Last.Output, "\n")
			if a.LastCheck > 0 {
				read.LastCheck = time.UnixMicro(int64(a.LastCheck * 1e6))
			}
			readings[name] = read
		}
	}
	return readings, nil
}

// selfSigned makes a certificate for name and 127.0.0.1 that is its own CA, and its key, both PEM.
func selfSigned(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &pair.PublicKey, pair)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
