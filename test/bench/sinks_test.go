//go:build bench && e2e

package bench

import (
	"massive-passive/test/rig"

	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Each door of each core, fed by turns by the fastest plain writer that we know how to write, with all its bytes made
// beforehand, and by a server from its journal; A B A B in one run. The time ends when the core has worked on the last.

const (
	benchRounds   = 5
	benchLook     = 20 * time.Millisecond // between looks at what the core has worked on, which cost it time as well
	benchServices = 1000
	benchOutput   = "OK - load average: 0.12, 0.34, 0.56|load1=0.120;5.000;10.000;0; load5=0.340;4.000;6.000;0; number "
	leastRatio    = 0.9
)

// doorBench is one door of one core.
type doorBench struct {
	t       *testing.T
	name    string
	results int
	sink    []string                        // the server's options
	plain   func(mark string) func()        // makes all bytes, and returns what hands them over
	done    func(mark string) (bool, error) // whether the core has worked on the result with the mark
}

func benchHosts() []rig.Host {
	host := rig.Host{Name: "bench"}
	for i := range benchServices {
		host.Services = append(host.Services, fmt.Sprint("service ", i))
	}
	return []rig.Host{host}
}

func benchObject(i int) rig.ObjectName {
	return rig.ObjectName{"bench", fmt.Sprint("service ", i%benchServices)}
}

// mark tells the last result of a round from all others.
func (b *doorBench) mark(writer string, round int) string {
	return fmt.Sprintf("%s-%s-%d", strings.ReplaceAll(b.name, " ", "-"), writer, round)
}

// await waits for the last result and returns the rate since start.
func (b *doorBench) await(start time.Time, mark string) float64 {
	b.t.Helper()
	for deadline := start.Add(5 * time.Minute); ; time.Sleep(benchLook) {
		done, err := b.done(mark)
		if done {
			return float64(b.results) / time.Since(start).Seconds()
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: the core does not get to %s: %v", b.name, mark, err)
		}
	}
}

// ours fills a server's journal and then measures how fast it empties into the core.
func (b *doorBench) ours(round int, last func(mark string) string) float64 {
	b.t.Helper()
	p := rig.NewPair(b.t, filepath.Join(b.t.TempDir(), "not yet"), "nagios")
	p.StartServer()
	p.AwaitPort()
	var sets strings.Builder
	for i := range b.results - 1 {
		o := benchObject(i)
		fmt.Fprintf(&sets, "%s\x02%s\x020\x02%s%d\x17", o.Host, o.Service, benchOutput, i)
	}
	mark := b.mark("ours", round)
	sets.WriteString(last(mark))
	p.Send(sets.String())
	p.Server.Stop()
	p.DeliverTo(b.sink...)
	start := time.Now()
	asUnit(b.t, p.StartServer)
	rate := b.await(start, mark)
	p.Server.Stop()
	return rate
}

// turns has both write in turn, and returns how many results a second each did.
func (b *doorBench) turns(last func(mark string) string) (plain, ours []float64) {
	for round := range benchRounds {
		handOver := b.plain(b.mark("plain", round))
		var writer sync.WaitGroup
		start := time.Now()
		writer.Go(handOver) // so that the core is asked for the last one meanwhile, as it is for ours
		plain = append(plain, b.await(start, b.mark("plain", round)))
		writer.Wait()
		ours = append(ours, b.ours(round, last))
		b.t.Logf("%s: plain %.0f/s, ours %.0f/s", b.name, plain[round], ours[round])
	}
	return plain, ours
}

// run takes turns and compares.
func (b *doorBench) run(last func(mark string) string) {
	plain, ours := b.turns(last)
	ratio := row{ours: ours, theirs: plain}.ratios().median()
	fmt.Printf("%-18s plain writer %8.0f/s   massive-passive %8.0f/s   ratio of each turn %.2f (medians of %d turns)\n",
		b.name, median(plain), median(ours), ratio, benchRounds)
	if ratio < leastRatio {
		b.t.Errorf("%s: %.2f of the plain writer's rate, want %.2f", b.name, ratio, leastRatio)
	}
}

// noSuchService is a last result that Nagios names in its log, as it does no other.
func noSuchService(mark string) string { return "bench\x02" + mark + "\x020\x02x" }

// logHas finds a mark in a growing log.
func logHas(path string) func(string) (bool, error) {
	var from int64
	return func(mark string) (bool, error) {
		f, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer f.Close()
		if _, err := f.Seek(from, io.SeekStart); err != nil {
			return false, err
		}
		text, err := io.ReadAll(f)
		if end := bytes.LastIndexByte(text, '\n'); end >= 0 && !bytes.Contains(text, []byte(mark)) {
			from += int64(end)
		}
		return bytes.Contains(text, []byte(mark)), err
	}
}

// commandLines are b's results as external commands, the last as given.
func (b *doorBench) commandLines(last rig.ObjectName, mark string) []byte {
	var text bytes.Buffer
	now := time.Now().Unix()
	for i := range b.results - 1 {
		fmt.Fprintf(&text, "[%d] %s%d\n", now, rig.ResultCommand(benchObject(i), "0", benchOutput), i)
	}
	fmt.Fprintf(&text, "[%d] %s\n", now, rig.ResultCommand(last, "0", mark))
	return text.Bytes()
}

// blastPipe writes to a pipe as fast as it takes it.
func blastPipe(t *testing.T, path string, text []byte) {
	t.Helper()
	pipe, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer pipe.Close()
	for len(text) > 0 {
		n, err := syscall.Write(int(pipe.Fd()), text[:min(len(text), 64<<10)])
		if err != nil {
			t.Error(err)
			return
		}
		text = text[n:]
	}
}

func newNagiosPipeBench(t *testing.T, r *rig.NagiosRig) *doorBench {
	b := &doorBench{t: t, name: "nagios pipe", results: 600_000, done: logHas(r.LogFile()),
		sink: []string{"--sink", "command-file:" + r.CommandFile(), "--dialect", "nagios"}}
	b.plain = func(mark string) func() {
		text := b.commandLines(rig.ObjectName{"bench", mark}, mark)
		return func() { blastPipe(t, r.CommandFile(), text) }
	}
	return b
}

func TestBenchSinksNagios(t *testing.T) {
	r := rig.NewNagiosRig(t, benchHosts())
	r.Start()
	newNagiosPipeBench(t, r).run(noSuchService)

	directory := &doorBench{t: t, name: "nagios directory", results: 600_000, done: logHas(r.LogFile()),
		sink: []string{"--sink", "checkresults:" + r.CheckResultDir(), "--dialect", "nagios"}}
	directory.plain = func(mark string) func() {
		var text bytes.Buffer
		for i := range directory.results - 1 {
			text.WriteString(rig.ResultRecord(benchObject(i), "0", fmt.Sprint(benchOutput, i), time.Now()))
		}
		text.WriteString(rig.ResultRecord(rig.ObjectName{"bench", mark}, "0", "x", time.Now()))
		return func() { moveIn(r, text.Bytes()) }
	}
	directory.run(noSuchService)
}

// moveIn gives Nagios one file of check results.
func moveIn(r *rig.NagiosRig, text []byte) {
	r.T.Helper()
	path := filepath.Join(r.CheckResultDir(), "cBenchA")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		r.T.Error(err)
		return
	}
	if err := os.WriteFile(path+".ok", nil, 0o644); err != nil {
		r.T.Error(err)
		return
	}
}

// lastFor is a last result with the mark as its output.
func lastFor(mark string) string {
	return rig.FenceHost + "\x02" + rig.FenceService + "\x020\x02" + mark
}

// fenceHas asks the API for the output of the fence.
func fenceHas(r *rig.IcingaRig, mark string) (bool, error) {
	body, err := r.Get("/v1/objects/services/" + strings.ReplaceAll(rig.FenceHost+"!"+rig.FenceService, " ", "%20") + "?attrs=last_check_result")
	return bytes.Contains(body, []byte(mark)), err
}

func TestBenchSinksIcinga(t *testing.T) {
	r := rig.NewIcingaRig(t, benchHosts())
	r.Start()
	fence := rig.ObjectName{rig.FenceHost, rig.FenceService}
	pipe := &doorBench{t: t, name: "icinga pipe", results: 30_000, done: func(mark string) (bool, error) { return fenceHas(r, mark) }, sink: []string{"--sink", "command-file:" + r.CommandFile(), "--dialect", "icinga"}}
	pipe.plain = func(mark string) func() {
		text := pipe.commandLines(fence, mark)
		return func() { blastPipe(t, r.CommandFile(), text) }
	}
	pipe.run(lastFor)

	api := &doorBench{t: t, name: "icinga api", results: 20_000, done: func(mark string) (bool, error) { return lanesHave(r, mark) }, sink: r.APISink(t)}
	api.plain = func(mark string) func() { return blastAPI(r, api, mark) }
	api.run(lastOfLanes)
}

// Results go to the API side by side, so that the last one may be worked on before others. lanesEnd services, enough
// for each of the requests at a time to have some, have the mark in the end.
const lanesEnd = 90

func endOfLane(i int) rig.ObjectName { return benchObject(10 + i) } // "service ??"

// lastOfLanes are the last results, with the mark as their output.
func lastOfLanes(mark string) string {
	var sets strings.Builder
	for i := range lanesEnd {
		o := endOfLane(i)
		fmt.Fprintf(&sets, "%s\x02%s\x020\x02%s\x17", o.Host, o.Service, mark)
	}
	return sets.String() + lastFor(mark)
}

// lanesHave asks for the fence, and when that is there for what went beside it.
func lanesHave(r *rig.IcingaRig, mark string) (bool, error) {
	if there, err := fenceHas(r, mark); !there {
		return false, err
	}
	body, err := r.Get("/v1/objects/services?attrs=last_check_result&filter=match(%22service%20??%22,service.name)")
	return bytes.Count(body, []byte(`"output":"`+mark+`"`)) == lanesEnd, err
}

// apiWriters is how many connections the plain writer uses; more are no faster.
const apiWriters = 8

// blastAPI hands in results over bare TLS connections, with requests that were made before the first is sent.
func blastAPI(r *rig.IcingaRig, b *doorBench, mark string) func() {
	b.t.Helper()
	requests := make([][][]byte, apiWriters)
	for i := range b.results - 1 {
		requests[i%apiWriters] = append(requests[i%apiWriters], request(r, b.t, benchObject(i), fmt.Sprint(benchOutput, i)))
	}
	for i := range lanesEnd {
		requests[i%apiWriters] = append(requests[i%apiWriters], request(r, b.t, endOfLane(i), mark))
	}
	requests[0] = append(requests[0], request(r, b.t, rig.ObjectName{rig.FenceHost, rig.FenceService}, mark))
	return func() {
		var writers sync.WaitGroup
		for _, mine := range requests {
			writers.Go(func() { writeAPI(r, b.t, mine) })
		}
		writers.Wait()
	}
}

// request is a whole HTTP request for a result.
func request(r *rig.IcingaRig, t *testing.T, o rig.ObjectName, output string) []byte {
	t.Helper()
	text, perfdata, _ := strings.Cut(output, "|")
	body, err := json.Marshal(map[string]any{"type": "Service", "service": o.Host + "!" + o.Service, "exit_status": 0,
		"plugin_output": text, "performance_data": perfdata})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, r.APIURL()+"/v1/actions/process-check-result", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(rig.IcingaUser, rig.IcingaPassword)
	request.Header.Set("Accept", "application/json")
	var whole bytes.Buffer
	if err := request.Write(&whole); err != nil {
		t.Fatal(err)
	}
	return whole.Bytes()
}

// writeAPI sends requests one after the other over one connection.
func writeAPI(r *rig.IcingaRig, t *testing.T, requests [][]byte) {
	conn, err := tls.Dial("tcp", strings.TrimPrefix(r.APIURL(), "https://"), &tls.Config{RootCAs: r.Roots, ServerName: rig.IcingaNode})
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, request := range requests {
		if _, err := conn.Write(request); err != nil {
			t.Error(err)
			return
		}
		answer, err := http.ReadResponse(answers, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
		}
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("plain writer: %v, %v", answer, err)
			return
		}
	}
}
