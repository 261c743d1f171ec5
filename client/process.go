package client

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"massive-passive/internal/logx"
	"massive-passive/wire"
)

// mostRenewals bounds what is remembered of instances that were renewed: each
// counts as long as the journal holds results of it.
const mostRenewals = 100

// process is this run of the client. The instance under which its results are
// kept is another one from the moment on at which a server turns out to know it
// from somebody else, so that what is measured then is safe. What the journal
// holds under the old one travels under the new one, also from later runs: a
// file of lines OLD NEW says so.
type process struct {
	log      *logx.Throttle
	instance atomic.Pointer[wire.Instance]
	earlier  map[wire.Instance]wire.Instance // renewed by earlier runs

	mu     sync.Mutex      // held to renew
	before []wire.Instance // what instance was in this run, oldest first
	file   stateFile
	lines  []string // oldest first
}

func loadProcess(stateDir string, log *logx.Throttle) (p *process, err error) {
	p = &process{log: log, earlier: map[wire.Instance]wire.Instance{}}
	p.instance.Store(newInstance())
	p.file, p.lines, err = openStateFile(stateDir, "renewed-instances")
	for _, line := range p.lines {
		old, renewed, _ := strings.Cut(line, " ")
		was, ok := parseInstance(old)
		is, good := parseInstance(renewed)
		if !ok || !good {
			continue
		}
		for first, then := range p.earlier {
			if then == was {
				p.earlier[first] = is
			}
		}
		p.earlier[was] = is
	}
	return p, err
}

func newInstance() *wire.Instance {
	i := new(wire.Instance)
	rand.Read(i[:]) // never fails
	return i
}

func parseInstance(text string) (i wire.Instance, ok bool) {
	b, err := hex.DecodeString(text)
	return i, err == nil && copy(i[:], b) == len(i) && len(b) == len(i)
}

// current is the instance under which an entry of the journal travels that was
// kept under another in an earlier run.
func (p *process) current(kept wire.Instance) wire.Instance {
	if is, renewed := p.earlier[kept]; renewed {
		return is
	}
	return kept
}

// processFor is the process as one server knows it. It is a sender.Process.
type processFor struct {
	*process
	server string
}

func (p processFor) Instances() []wire.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]wire.Instance, 0, len(p.before)+1)
	for _, i := range p.before {
		all = append(all, instanceFor(i, p.server))
	}
	return append(all, p.last())
}

func (p processFor) last() wire.Instance { return instanceFor(*p.instance.Load(), p.server) }

// Renew does nothing where another server has led to it already.
func (p processFor) Renew(taken wire.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last() != taken {
		return
	}
	was, is := p.instance.Load(), newInstance()
	p.before = append(p.before, *was)
	p.before = p.before[max(0, len(p.before)-mostRenewals):]
	p.instance.Store(is)
	p.lines = append(p.lines, fmt.Sprint(was, " ", is))
	p.lines = p.lines[max(0, len(p.lines)-mostRenewals):]
	if err := p.file.replace(p.lines); err != nil {
		p.log.Error("", "instances").Err(err).Msg("after a restart, what waits in the journal may be taken for what another process sent")
	}
}

// tidy tries again what the disk refused.
func (p *process) tidy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file.again(p.lines)
}
