package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"

	"massive-passive/wire"
	"massive-passive/wire/check"
)

// commands are the external commands of Nagios that are no check result; none
// of them is for a client without a permission.
const commands = `ACKNOWLEDGE_HOST_PROBLEM ACKNOWLEDGE_SVC_PROBLEM ADD_HOST_COMMENT ADD_SVC_COMMENT CHANGE_CONTACT_HOST_NOTIFICATION_TIMEPERIOD
CHANGE_CONTACT_MODATTR CHANGE_CONTACT_MODHATTR CHANGE_CONTACT_MODSATTR CHANGE_CONTACT_SVC_NOTIFICATION_TIMEPERIOD CHANGE_CUSTOM_CONTACT_VAR
CHANGE_CUSTOM_HOST_VAR CHANGE_CUSTOM_SVC_VAR CHANGE_GLOBAL_HOST_EVENT_HANDLER CHANGE_GLOBAL_SVC_EVENT_HANDLER CHANGE_HOST_CHECK_COMMAND
CHANGE_HOST_CHECK_TIMEPERIOD CHANGE_HOST_EVENT_HANDLER CHANGE_HOST_MODATTR CHANGE_HOST_NOTIFICATION_TIMEPERIOD CHANGE_MAX_HOST_CHECK_ATTEMPTS
CHANGE_MAX_SVC_CHECK_ATTEMPTS CHANGE_NORMAL_HOST_CHECK_INTERVAL CHANGE_NORMAL_SVC_CHECK_INTERVAL CHANGE_RETRY_HOST_CHECK_INTERVAL
CHANGE_RETRY_SVC_CHECK_INTERVAL CHANGE_SVC_CHECK_COMMAND CHANGE_SVC_CHECK_TIMEPERIOD CHANGE_SVC_EVENT_HANDLER CHANGE_SVC_MODATTR
CHANGE_SVC_NOTIFICATION_TIMEPERIOD DELAY_HOST_NOTIFICATION DELAY_SVC_NOTIFICATION DEL_ALL_HOST_COMMENTS DEL_ALL_SVC_COMMENTS
DEL_DOWNTIME_BY_HOSTGROUP_NAME DEL_DOWNTIME_BY_HOST_NAME DEL_DOWNTIME_BY_START_TIME_COMMENT DEL_HOST_COMMENT DEL_HOST_DOWNTIME DEL_SVC_COMMENT
DEL_SVC_DOWNTIME DISABLE_ALL_NOTIFICATIONS_BEYOND_HOST DISABLE_CONTACTGROUP_HOST_NOTIFICATIONS DISABLE_CONTACTGROUP_SVC_NOTIFICATIONS
DISABLE_CONTACT_HOST_NOTIFICATIONS DISABLE_CONTACT_SVC_NOTIFICATIONS DISABLE_EVENT_HANDLERS DISABLE_FAILURE_PREDICTION DISABLE_FLAP_DETECTION
DISABLE_HOSTGROUP_HOST_CHECKS DISABLE_HOSTGROUP_HOST_NOTIFICATIONS DISABLE_HOSTGROUP_PASSIVE_HOST_CHECKS DISABLE_HOSTGROUP_PASSIVE_SVC_CHECKS
DISABLE_HOSTGROUP_SVC_CHECKS DISABLE_HOSTGROUP_SVC_NOTIFICATIONS DISABLE_HOST_AND_CHILD_NOTIFICATIONS DISABLE_HOST_CHECK
DISABLE_HOST_EVENT_HANDLER DISABLE_HOST_FLAP_DETECTION DISABLE_HOST_FRESHNESS_CHECKS DISABLE_HOST_NOTIFICATIONS DISABLE_HOST_SVC_CHECKS
DISABLE_HOST_SVC_NOTIFICATIONS DISABLE_NOTIFICATIONS DISABLE_PASSIVE_HOST_CHECKS DISABLE_PASSIVE_SVC_CHECKS DISABLE_PERFORMANCE_DATA
DISABLE_SERVICEGROUP_HOST_CHECKS DISABLE_SERVICEGROUP_HOST_NOTIFICATIONS DISABLE_SERVICEGROUP_PASSIVE_HOST_CHECKS
DISABLE_SERVICEGROUP_PASSIVE_SVC_CHECKS DISABLE_SERVICEGROUP_SVC_CHECKS DISABLE_SERVICEGROUP_SVC_NOTIFICATIONS DISABLE_SERVICE_FLAP_DETECTION
DISABLE_SERVICE_FRESHNESS_CHECKS DISABLE_SVC_CHECK DISABLE_SVC_EVENT_HANDLER DISABLE_SVC_FLAP_DETECTION DISABLE_SVC_NOTIFICATIONS
ENABLE_ALL_NOTIFICATIONS_BEYOND_HOST ENABLE_CONTACTGROUP_HOST_NOTIFICATIONS ENABLE_CONTACTGROUP_SVC_NOTIFICATIONS
ENABLE_CONTACT_HOST_NOTIFICATIONS ENABLE_CONTACT_SVC_NOTIFICATIONS ENABLE_EVENT_HANDLERS ENABLE_FAILURE_PREDICTION ENABLE_FLAP_DETECTION
ENABLE_HOSTGROUP_HOST_CHECKS ENABLE_HOSTGROUP_HOST_NOTIFICATIONS ENABLE_HOSTGROUP_PASSIVE_HOST_CHECKS ENABLE_HOSTGROUP_PASSIVE_SVC_CHECKS
ENABLE_HOSTGROUP_SVC_CHECKS ENABLE_HOSTGROUP_SVC_NOTIFICATIONS ENABLE_HOST_AND_CHILD_NOTIFICATIONS ENABLE_HOST_CHECK ENABLE_HOST_EVENT_HANDLER
ENABLE_HOST_FLAP_DETECTION ENABLE_HOST_FRESHNESS_CHECKS ENABLE_HOST_NOTIFICATIONS ENABLE_HOST_SVC_CHECKS ENABLE_HOST_SVC_NOTIFICATIONS
ENABLE_NOTIFICATIONS ENABLE_PASSIVE_HOST_CHECKS ENABLE_PASSIVE_SVC_CHECKS ENABLE_PERFORMANCE_DATA ENABLE_SERVICEGROUP_HOST_CHECKS
ENABLE_SERVICEGROUP_HOST_NOTIFICATIONS ENABLE_SERVICEGROUP_PASSIVE_HOST_CHECKS ENABLE_SERVICEGROUP_PASSIVE_SVC_CHECKS
ENABLE_SERVICEGROUP_SVC_CHECKS ENABLE_SERVICEGROUP_SVC_NOTIFICATIONS ENABLE_SERVICE_FRESHNESS_CHECKS ENABLE_SVC_CHECK
ENABLE_SVC_EVENT_HANDLER ENABLE_SVC_FLAP_DETECTION ENABLE_SVC_NOTIFICATIONS READ_STATE_INFORMATION REMOVE_HOST_ACKNOWLEDGEMENT
REMOVE_SVC_ACKNOWLEDGEMENT RESTART_PROCESS RESTART_PROGRAM SAVE_STATE_INFORMATION SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME
SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME SCHEDULE_FORCED_HOST_CHECK SCHEDULE_FORCED_HOST_SVC_CHECKS SCHEDULE_FORCED_SVC_CHECK
SCHEDULE_HOSTGROUP_HOST_DOWNTIME SCHEDULE_HOSTGROUP_SVC_DOWNTIME SCHEDULE_HOST_CHECK SCHEDULE_HOST_DOWNTIME SCHEDULE_HOST_SVC_CHECKS
SCHEDULE_HOST_SVC_DOWNTIME SCHEDULE_SERVICEGROUP_HOST_DOWNTIME SCHEDULE_SERVICEGROUP_SVC_DOWNTIME SCHEDULE_SVC_CHECK SCHEDULE_SVC_DOWNTIME
SEND_CUSTOM_HOST_NOTIFICATION SEND_CUSTOM_SVC_NOTIFICATION SET_HOST_NOTIFICATION_NUMBER SET_SVC_NOTIFICATION_NUMBER SHUTDOWN_PROCESS
SHUTDOWN_PROGRAM START_ACCEPTING_PASSIVE_HOST_CHECKS START_ACCEPTING_PASSIVE_SVC_CHECKS START_EXECUTING_HOST_CHECKS
START_EXECUTING_SVC_CHECKS START_OBSESSING_OVER_HOST START_OBSESSING_OVER_HOST_CHECKS START_OBSESSING_OVER_SVC START_OBSESSING_OVER_SVC_CHECKS
STOP_ACCEPTING_PASSIVE_HOST_CHECKS STOP_ACCEPTING_PASSIVE_SVC_CHECKS STOP_EXECUTING_HOST_CHECKS STOP_EXECUTING_SVC_CHECKS
STOP_OBSESSING_OVER_HOST STOP_OBSESSING_OVER_HOST_CHECKS STOP_OBSESSING_OVER_SVC STOP_OBSESSING_OVER_SVC_CHECKS _CUSTOM PROCESS_FILE`

// session connects as a listed client.
func (s *siege) session() *wire.Session {
	s.Helper()
	return s.sessionOf(s.pair.Set.ClientCert)
}

func (s *siege) sessionOf(cert string) *wire.Session {
	s.Helper()
	conn := tls.Client(s.raw(), s.config(cert))
	session, err := wire.Connect(s.Context(), conn, wire.Hello{Instance: s.instance}, nil, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { session.Close() })
	return session
}

// rejected holds all results to being rejected for this reason.
func (s *siege) rejected(session *wire.Session, reason wire.Reason, results ...check.Result) {
	s.Helper()
	s.allRejected(s.submit(session, 1, results...), len(results), reason)
}

func (s *siege) allRejected(ack wire.Ack, n int, reason wire.Reason) {
	s.Helper()
	if ack.Sequence != uint64(n) || len(ack.Rejections) != n {
		s.Errorf("%d of %d were rejected: %.500v", len(ack.Rejections), n, ack.Rejections)
	}
	const inWords = 1000 // to the later ones there is nothing to add
	for i, r := range ack.Rejections {
		if r.Reason != reason || (r.Text == "") != (i >= inWords) {
			s.Errorf("rejected as %+v, want %v with a text", r, reason)
			return
		}
	}
}

// resultAttacks are what a listed client may try with what it sends.
func resultAttacks() []attack {
	malformed := func(results ...check.Result) func(*siege) {
		return func(s *siege) { s.rejected(s.session(), wire.Malformed, results...) }
	}
	names := func(text string) func(*siege) { // in each name of a result
		return malformed(check.Result{Kind: check.Service, Host: "a" + text + "b", Service: "s"}, check.Result{Kind: check.Service, Host: "h", Service: "a" + text + "b"},
			check.Result{Kind: check.Host, Host: "a" + text + "b"})
	}
	encoded := func(results ...[]byte) func(*siege) {
		return func(s *siege) {
			s.allRejected(s.submitEncoded(s.session(), 1, results...), len(results), wire.Malformed)
		}
	}
	good := check.Result{Kind: check.Service, Host: "evil", Service: "s", Finish: 1e6}
	whole := good.Append(nil)
	return []attack{
		{"a newline in names", names("\n[1] SHUTDOWN_PROGRAM\n")},
		{"a semicolon in names", names(";0;x")},
		{"NUL in names", names("\x00")},
		{"CR in names", names("\r")},
		{"escapes in names", names("\x1b[2J")},
		{"empty and blank names", malformed(check.Result{Kind: check.Host}, check.Result{Kind: check.Service, Host: "h"}, check.Result{Kind: check.Host, Host: " h"})},
		{"names that are too long", malformed(check.Result{Kind: check.Host, Host: strings.Repeat("h", check.MaxName+1)})},
		{"an output that is too long", malformed(check.Result{Kind: check.Host, Host: "h", Output: make([]byte, check.MaxOutput+1)})},
		{"unknown kinds", malformed(check.Result{Host: "h"}, check.Result{Kind: 4, Host: "h"}, check.Result{Kind: 255, Host: "h"})},
		{"a host check with a service", malformed(check.Result{Kind: check.Host, Host: "h", Service: "s"})},
		{"no result at all", encoded(nil, []byte{0}, []byte("\xff\xff\xff\xff\xff"), []byte("PROCESS_HOST_CHECK_RESULT;h;0;x"))},
		{"a field twice in a result", encoded(append(append([]byte(nil), whole...), whole...))},
		{"a result truncated at every byte", func(s *siege) {
			session := s.session()
			for n := range whole[:len(whole)-5] { // beyond, only the time is missing, which is no fault
				if ack := s.submitEncoded(session, uint64(n+1), whole[:n]); len(ack.Rejections) != 1 {
					s.Errorf("%d of %d bytes were taken as a result", n, len(whole))
				}
			}
		}},
		{"every other external command", func(s *siege) {
			var results []check.Result
			for name := range strings.FieldsSeq(commands) {
				if name != "PROCESS_FILE" {
					results = append(results, check.Result{Kind: check.Command, Command: name + ";evil;1;1"})
				}
			}
			s.rejected(s.session(), wire.Denied, results...)
		}},
		{"PROCESS_FILE in every dress", malformed(command("PROCESS_FILE;/tmp/x;1"), command("PROCESS_FILE"), command(" PROCESS_FILE;/tmp/x;1"),
			command("PROCESS_FILE ;/tmp/x;1"), command("[1] PROCESS_FILE;/tmp/x;1"), command("\tPROCESS_FILE;x"))},
		{"a second line in a command", malformed(command("X;1\nSHUTDOWN_PROGRAM"), command("X\rY"), command("X\x00Y"), command(""), command(strings.Repeat("X", check.MaxCommand+1)))},
		{"a check result dressed as a command", malformed(command("PROCESS_SERVICE_CHECK_RESULT;evil;s;0;x"), command("PROCESS_HOST_CHECK_RESULT;evil;0;x"))},
		{"beyond a policy", func(s *siege) {
			s.rejected(s.sessionOf(s.file("narrow")), wire.Denied, check.Result{Kind: check.Host, Host: "evil"},
				check.Result{Kind: check.Service, Host: "narrow", Service: "b"}, check.Result{Kind: check.Service, Host: "narrow", Service: "ab"},
				check.Result{Kind: check.Service, Host: "client-1", Service: "a"}, command("ENABLE_NOTIFICATIONS"))
		}},
		{"a batch of rejections", func(s *siege) {
			many := make([][]byte, 10000)
			for n := range many {
				many[n] = []byte("x")
			}
			s.allRejected(s.submitEncoded(s.session(), 1, many...), len(many), wire.Malformed)
		}},
		{"an output that would be more than one", nastyOutput},
		{"codes and times out of any range", oddNumbers},
	}
}

func command(text string) check.Result { return check.Result{Kind: check.Command, Command: text} }

// nastyOutput is taken, as the output of that one service.
func nastyOutput(s *siege) {
	session := s.session()
	for n, output := range []string{"a\n[1] SHUTDOWN_PROGRAM\n", "a\r\n[1] X", "a\x00b", "a\\n[1] X", "\n\n\n", "a\x1b[2Jb\xff\xfe", strings.Repeat("\n[1] X;", 50)} {
		ack := s.submit(session, uint64(n+1), check.Result{Kind: check.Service, Host: "h", Service: "s", Output: []byte(output), Finish: 1e6})
		if len(ack.Rejections) > 0 {
			s.Errorf("%q was rejected: %v", output, ack.Rejections)
			continue
		}
		want := strings.NewReplacer("\\", `\\`, "\r\n", `\n`, "\r", `\n`, "\n", `\n`, "\x00", " ").Replace(output)
		s.expectLine("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;0;" + want + "\n")
	}
}

func oddNumbers(s *siege) {
	s.rejected(s.session(), wire.Malformed, check.Result{Kind: check.Host, Host: "h", Finish: -1}, check.Result{Kind: check.Host, Host: "h", Start: math.MinInt64})
	session := s.session()
	for n, code := range []int32{-1, 4, 255, math.MaxInt32, math.MinInt32} {
		s.submit(session, uint64(n+1), check.Result{Kind: check.Service, Host: "h", Service: "s", Code: code, Finish: 1e6})
		s.expectLine("[1] PROCESS_SERVICE_CHECK_RESULT;h;s;3;\n")
	}
	begin := time.Now().Unix()
	s.submit(session, 10, check.Result{Kind: check.Host, Host: "h", Finish: math.MaxInt64}) // from the future: brought to now
	line, err := s.core.Next()
	var stamp int64
	if n, _ := fmt.Sscanf(line, "[%d] PROCESS_HOST_CHECK_RESULT;h;0;\n", &stamp); err != nil || n != 1 || stamp < begin || stamp > begin+60 {
		s.Errorf("a result from the end of time became %q, %v", line, err)
	}
}

// old is a message of version 0.3.9.
func old(text string) []byte {
	encoded := base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
	return fmt.Appendf(nil, "%d %s", len(encoded), encoded)
}

// sendOld sends bytes as a client of version 0.3.9, and waits for the end.
func sendOld(s *siege, cert string, b []byte) {
	config := s.config(cert)
	config.NextProtos = nil
	conn := tls.Client(s.raw(), config)
	s.write(conn, b)
	conn.CloseWrite()
	s.write(conn, nil)
	buffer := make([]byte, 4096) // an answer or none: but an end
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// oldAttacks come through the door of version 0.3.9.
func oldAttacks() []attack {
	sends := func(b ...[]byte) func(*siege) {
		return func(s *siege) {
			sendOld(s, s.pair.Set.ClientCert, bytes.Join(b, nil))
		}
	}
	var all strings.Builder
	for name := range strings.FieldsSeq(commands) {
		fmt.Fprintf(&all, "[1] %s;evil;1;1\n", name)
	}
	return []attack{
		{"old: nothing", sends()},
		{"old: garbage", sends([]byte("\x00\xff\x1b[2J"))},
		{"old: a length of 999999999", sends([]byte("999999999 WzFd"))},
		{"old: a length of 0", sends([]byte("0 "))},
		{"old: a length that is no number", sends([]byte("12345678901234567890 WzFd"))},
		{"old: a length that is too short", sends([]byte("3 WzFdIFg="))},
		{"old: no base64", sends([]byte("8 !!!!!!!!"))},
		{"old: half a message", sends(old("[1] PROCESS_HOST_CHECK_RESULT;evil;0;x\n")[:30])},
		{"old: every other external command", sends(old(all.String()))},
		{"old: PROCESS_FILE in every dress", sends(old("[1] PROCESS_FILE;/tmp/x;1\nPROCESS_FILE;/tmp/x;1\n [1]  PROCESS_FILE ;/tmp/x\n[1] [1] PROCESS_FILE;x\n"))},
		{"old: names that are none", sends(old("[1] PROCESS_SERVICE_CHECK_RESULT;a\x00b;s;0;x\n[1] PROCESS_SERVICE_CHECK_RESULT;;s;0;x\n" +
			"[1] PROCESS_HOST_CHECK_RESULT;a\x1b[2J;0;x\n[1] PROCESS_HOST_CHECK_RESULT;" + strings.Repeat("h", 2000) + ";0;x\n"))},
		{"old: codes and times that are none", sends(old("[1] PROCESS_HOST_CHECK_RESULT;evil;x;y\n[-1] PROCESS_HOST_CHECK_RESULT;evil;0;x\n" +
			"[99999999999999999999] PROCESS_HOST_CHECK_RESULT;evil;0;x\n[1 PROCESS_HOST_CHECK_RESULT;evil;0;x\n"))},
		{"old: a CR that would be a newline", func(s *siege) {
			sends(old("[1] PROCESS_HOST_CHECK_RESULT;h;0;a\r[1] SHUTDOWN_PROGRAM\r\n"))(s)
			s.expectLine("[1] PROCESS_HOST_CHECK_RESULT;h;0;a\\n[1] SHUTDOWN_PROGRAM\n")
		}},
	}
}
