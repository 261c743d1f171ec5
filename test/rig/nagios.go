package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// NagiosRig is a private Nagios Core 4 whose hosts and services take passive results only.
type NagiosRig struct {
	*coreProcess
	fences int // how many fences were written, which tells them apart
}

// NewNagiosRig lays out a Nagios with the given hosts and does not start it. Lines of the main configuration
// in settings win over the rig's own.
func NewNagiosRig(t *testing.T, hosts []Host, settings ...string) *NagiosRig {
	t.Helper()
	r := &NagiosRig{coreProcess: newCoreProcess(t, "nagios4")}
	u, group := coreUser(t)
	main := fmt.Sprintf(nagiosMainConfig, r.Dir, u.Username, group) + strings.Join(settings, "\n") + "\n"
	r.layOut([]string{"rw", "checkresults", "archives"}, map[string]string{
		"nagios.cfg":  main,
		"objects.cfg": nagiosObjects(hosts),
	})
	r.Args = []string{r.ConfigFile()}
	return r
}

const nagiosMainConfig = `log_file=%[1]s/nagios.log
cfg_file=%[1]s/objects.cfg
object_cache_file=%[1]s/objects.cache
precached_object_file=%[1]s/objects.precache
status_file=%[1]s/status.dat
command_file=%[1]s/rw/nagios.cmd
query_socket=%[1]s/rw/nagios.qh
check_result_path=%[1]s/checkresults
lock_file=%[1]s/nagios.pid
temp_file=%[1]s/nagios.tmp
temp_path=%[1]s
log_archive_path=%[1]s/archives
state_retention_file=%[1]s/retention.dat
service_perfdata_file=%[1]s/worked
nagios_user=%[2]s
nagios_group=%[3]s
status_update_interval=1
check_result_reaper_frequency=1
retain_state_information=0
check_external_commands=1
accept_passive_service_checks=1
accept_passive_host_checks=1
execute_service_checks=0
execute_host_checks=0
enable_notifications=0
check_service_freshness=0
check_host_freshness=0
use_syslog=0
log_external_commands=0
log_passive_checks=0
event_broker_options=-1
`

// Templates that every host and service of a rig uses. One attempt makes each state a hard one.
const nagiosTemplates = `define timeperiod {
	timeperiod_name always
	alias always
}
define command {
	command_name none
	command_line /bin/true
}
define contact {
	contact_name nobody
	host_notifications_enabled 0
	service_notifications_enabled 0
	host_notification_period always
	service_notification_period always
	host_notification_options n
	service_notification_options n
	host_notification_commands none
	service_notification_commands none
}
define host {
	name passive-host
	register 0
	check_command none
	max_check_attempts 1
	check_period always
	active_checks_enabled 0
	notifications_enabled 0
	notification_period always
	contacts nobody
}
define service {
	name passive-service
	register 0
	check_command none
	max_check_attempts 1
	check_interval 5
	retry_interval 1
	check_period always
	active_checks_enabled 0
	notifications_enabled 0
	notification_period always
	contacts nobody
}
`

// nagiosObjects writes the object configuration. A semicolon would begin a comment there.
func nagiosObjects(hosts []Host) string {
	name := strings.NewReplacer(";", `\;`)
	var b strings.Builder
	b.WriteString(nagiosTemplates)
	for _, host := range append(hosts, Host{FenceHost, []string{FenceService}}) {
		h := name.Replace(host.Name)
		fmt.Fprintf(&b, "define host {\n\tuse passive-host\n\thost_name %s\n\taddress 127.0.0.1\n}\n", h)
		for _, service := range host.Services {
			fmt.Fprintf(&b, "define service {\n\tuse passive-service\n\thost_name %s\n\tservice_description %s\n}\n",
				h, name.Replace(service))
		}
	}
	return b.String()
}

func (r *NagiosRig) ConfigFile() string { return filepath.Join(r.Dir, "nagios.cfg") }

func (r *NagiosRig) CommandFile() string { return filepath.Join(r.Dir, "rw", "nagios.cmd") }

func (r *NagiosRig) CheckResultDir() string { return filepath.Join(r.Dir, "checkresults") }

func (r *NagiosRig) LogFile() string { return filepath.Join(r.Dir, "nagios.log") }

func (r *NagiosRig) WorkedFile() string { return filepath.Join(r.Dir, "worked") } // with process_performance_data=1

func (r *NagiosRig) statusFile() string { return filepath.Join(r.Dir, "status.dat") }

// Start runs Nagios and returns when its pipe is read and its status file is its own. The status file of an
// earlier run stays, so that the one who reads it sees what an installation would.
func (r *NagiosRig) Start() {
	r.T.Helper()
	r.launch()
	r.awaitReady("start", func() error {
		if err := r.ownStatus(time.Time{}); err != nil {
			return err
		}
		return PipeHasReader(r.CommandFile())
	})
}

// Reload sends SIGHUP and returns when the configuration was read again. Nagios keeps its process, and all
// that it knows of results only with retain_state_information=1.
func (r *NagiosRig) Reload() {
	r.T.Helper()
	status, err := r.status()
	if err != nil {
		r.T.Fatal(err)
	}
	// The start is told in whole seconds: a reload within the first could not be told from the start.
	Eventually(r.T, coreStartLimit, "a second after the start", func() error {
		if time.Now().Unix() <= status.programStart.Unix() {
			return errors.New("the same second")
		}
		return nil
	})
	r.Signal(syscall.SIGHUP)
	r.awaitReady("reload", func() error { return r.ownStatus(status.programStart) })
}

// ownStatus tells whether the status file was written by this process, started after the given time.
func (r *NagiosRig) ownStatus(after time.Time) error {
	status, err := r.status()
	if err != nil {
		return err
	}
	if pid := r.Cmd.Process.Pid; status.pid != pid {
		return fmt.Errorf("status file is of process %d, not %d", status.pid, pid)
	}
	if !status.programStart.After(after) {
		return fmt.Errorf("status file is of the start at %v", status.programStart)
	}
	return nil
}

// Command writes lines to the pipe, each with the present time before it and a newline behind it.
func (r *NagiosRig) Command(lines ...string) {
	r.T.Helper()
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "[%d] %s\n", time.Now().Unix(), line)
	}
	WritePipe(r.T, r.CommandFile(), b.String())
}

// Fence returns what Nagios believes of each host and service after it has dealt with all that was written to
// the pipe before.
func (r *NagiosRig) Fence() map[ObjectName]Reading {
	r.T.Helper()
	r.fences++
	mark := fmt.Sprintf("fence %d", r.fences)
	r.Command(fmt.Sprintf("PROCESS_SERVICE_CHECK_RESULT;%s;%s;0;%s", FenceHost, FenceService, mark))
	return r.Await(mark, func(readings map[ObjectName]Reading) error {
		if got := readings[ObjectName{FenceHost, FenceService}].Output; got != mark {
			return fmt.Errorf("the fence's output is %q", got)
		}
		return nil
	})
}

// Await polls the status file until met finds in it what it looks for.
func (r *NagiosRig) Await(what string, met func(map[ObjectName]Reading) error) map[ObjectName]Reading {
	r.T.Helper()
	var status nagiosStatus
	Eventually(r.T, ReadingLimit, what, func() error {
		var err error
		if status, err = r.status(); err != nil {
			return err
		}
		return met(status.readings)
	})
	return status.readings
}

// nagiosStatus is what the rigs want from a status file.
type nagiosStatus struct {
	pid          int
	programStart time.Time
	readings     map[ObjectName]Reading
}

func (r *NagiosRig) status() (nagiosStatus, error) {
	text, err := os.ReadFile(r.statusFile())
	if err != nil {
		return nagiosStatus{}, err
	}
	return parseNagiosStatus(string(text))
}

// parseNagiosStatus reads a status file: blocks of lines `\tkey=value` between `kind {` and `\t}`. No value
// has a newline in it.
func parseNagiosStatus(text string) (nagiosStatus, error) {
	status := nagiosStatus{readings: make(map[ObjectName]Reading)}
	kind := ""
	block := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		if name, ok := strings.CutSuffix(line, " {"); ok && kind == "" {
			kind = name
			clear(block)
		} else if line == "\t}" {
			if err := status.add(kind, block); err != nil {
				return nagiosStatus{}, fmt.Errorf("status file: %s: %w", kind, err)
			}
			kind = ""
		} else if key, value, ok := strings.Cut(line, "="); ok && kind != "" {
			block[strings.TrimPrefix(key, "\t")] = value
		}
	}
	return status, nil
}

// add takes in one block of a status file.
func (s *nagiosStatus) add(kind string, block map[string]string) error {
	switch kind {
	case "programstatus":
		pid, err := strconv.Atoi(block["nagios_pid"])
		if err != nil {
			return fmt.Errorf("nagios_pid: %w", err)
		}
		start, err := parseUnix(block["program_start"])
		if err != nil {
			return fmt.Errorf("program_start: %w", err)
		}
		s.pid, s.programStart = pid, start
	case "hoststatus", "servicestatus":
		state, err := strconv.Atoi(block["current_state"])
		if err != nil {
			return fmt.Errorf("current_state: %w", err)
		}
		checked, err := parseUnix(block["last_check"])
		if err != nil {
			return fmt.Errorf("last_check: %w", err)
		}
		s.readings[ObjectName{block["host_name"], block["service_description"]}] = Reading{
			State:      state,
			Output:     block["plugin_output"],
			LongOutput: strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(block["long_plugin_output"]),
			Perfdata:   block["performance_data"],
			LastCheck:  checked,
		}
	}
	return nil
}

// parseUnix reads whole seconds; 0 stands for never.
func parseUnix(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds == 0 {
		return time.Time{}, err
	}
	return time.Unix(seconds, 0), nil
}
