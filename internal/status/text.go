package status

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// mostClients is how many clients a page shows unless all are asked for.
const mostClients = 20

// Text is the page for people: what is wrong first. all shows every client.
func (p *Page) Text(all bool) string {
	var b strings.Builder
	problems := p.Problems()
	verdict := "OK"
	if len(problems) > 0 {
		verdict = "not well"
	}
	fmt.Fprintf(&b, "massive-passive %s: %s\n", plain(p.Role), verdict)
	for _, problem := range problems {
		fmt.Fprintf(&b, "  %s\n", problem)
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "process\tversion %s, pid %d, up %s since %s\n", plain(p.Version), p.PID, age(p.Uptime.duration()),
		p.Started.Local().Format(time.DateTime))
	p.journalText(w)
	if p.Client != nil {
		p.Client.text(w)
	}
	if p.Server != nil {
		p.Server.text(w)
	}
	w.Flush()
	p.destinationsText(&b)
	if p.Server != nil {
		p.Server.clientsText(&b, p.At, all)
	}
	return b.String()
}

func (p *Page) journalText(w *tabwriter.Writer) {
	j := p.Journal
	fmt.Fprintf(w, "journal\t%s waiting", count(j.Depth, "result"))
	if j.Depth > 0 {
		fmt.Fprintf(w, ", the oldest for %s", age(j.OldestAge.duration()))
	}
	if j.Resting > 0 {
		fmt.Fprintf(w, "; %d handed to the core and kept for a while, in case it dies", j.Resting)
	}
	fmt.Fprintf(w, "; %s of %s on disk", byteSize(j.Bytes), byteSize(j.MaxBytes))
	if j.Memory > 0 {
		fmt.Fprintf(w, ", %s only in memory", byteSize(j.Memory))
	}
	if j.Damages > 0 {
		fmt.Fprintf(w, "; %s found", count(uint64(j.Damages), "damaged place"))
		if j.Lost > 0 {
			fmt.Fprintf(w, ", with at least %s", count(uint64(j.Lost), "result"))
		}
		fmt.Fprint(w, " (the log says more)")
	}
	fmt.Fprintf(w, "\n\tin %s\n", plain(p.StateDir))
}

func (c *Client) text(w *tabwriter.Writer) {
	fmt.Fprintf(w, "checks\t%d configured, %d running, %d waiting for a free slot, %s\n", c.Checks, c.Running, c.Waiting, count(uint64(len(c.BadFiles)), "bad file"))
	fmt.Fprintf(w, "runs\t%d started, %d of them over a second late (at most %s), %d timed out\n", c.Started, c.Late, age(c.Latest.duration()), c.TimedOut)
	fmt.Fprintf(w, "skipped\t%s\n", byReason(c.Skipped))
}

func (s *Server) text(w *tabwriter.Writer) {
	fmt.Fprintf(w, "results\t%d taken, %s left out, rejected: %s\n", s.Taken, count(s.Duplicates, "duplicate"), byReason(s.Rejected))
	fmt.Fprintf(w, "clients\t%s listed, %s heard of, %s\n", count(uint64(s.Listed), "certificate"),
		count(uint64(len(s.Clients)), "client"), count(uint64(s.Connections), "connection"))
}

func (p *Page) destinationsText(b *strings.Builder) {
	if len(p.Destinations) == 0 {
		return
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\ttarget\twaiting\toldest\tresting\tdelivered\tdropped\tgiven up\trejected\tstate\n", p.destination())
	for _, o := range p.Destinations {
		oldest := "-"
		if o.Depth > 0 {
			oldest = age(o.OldestAge.duration())
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", plain(o.Name), plain(o.Target), o.Depth, oldest, o.Resting, o.deliveredText(),
			byReason(o.Dropped), byReason(o.GivenUp), byReason(o.Rejected), plain(cmp.Or(o.Waiting, "delivers")))
	}
	w.Flush()
}

// deliveredText says how many results the other side has, and in how many of
// them something was changed on the way.
func (o *Destination) deliveredText() string {
	text := strconv.FormatUint(o.Delivered, 10)
	if o.Written > 0 {
		text += fmt.Sprintf(", written %d", o.Written)
	}
	if o.OutputCut > 0 {
		text += fmt.Sprintf(", output cut in %d", o.OutputCut)
	}
	if o.TimeFixed > 0 {
		text += fmt.Sprintf(", time brought to now in %d", o.TimeFixed)
	}
	return text
}

// clientsText lists first who was not heard of for longest.
func (s *Server) clientsText(b *strings.Builder, now time.Time, all bool) {
	if len(s.Clients) == 0 {
		return
	}
	list := slices.Clone(s.Clients)
	sort.Slice(list, func(i, j int) bool { // slices.SortFunc makes code for each type of elements
		a, c := &list[i], &list[j]
		return 0 > cmp.Or(cmp.Compare(min(a.Connections, 1), min(c.Connections, 1)), a.Last.Compare(c.Last), cmp.Compare(a.Name, c.Name))
	})
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "client\tlast heard\tresults\tconnections\n")
	for i, c := range list {
		if i == mostClients && !all {
			break
		}
		fmt.Fprintf(w, "%s\t%s ago\t%d\t%d\n", plain(c.Name), age(now.Sub(c.Last)), c.Results, c.Connections)
	}
	w.Flush()
	if more := len(list) - mostClients; more > 0 && !all {
		fmt.Fprintf(b, "and %d more, heard of since (--all lists them)\n", more)
	}
}

// age writes a length of time as people say it.
func age(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	if days := d / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%s", days, age(d%(24*time.Hour)))
	}
	text := d.String()
	if trimmed, ok := strings.CutSuffix(text, "m0s"); ok {
		text = trimmed + "m"
	}
	if trimmed, ok := strings.CutSuffix(text, "h0m"); ok {
		text = trimmed + "h"
	}
	return text
}

// byteSize writes a size in the largest unit that it fills.
func byteSize(n int64) string {
	size, unit := float64(n), 0
	for size >= 1024 && unit < 4 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGT"[unit-1])
}
