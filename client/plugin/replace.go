package plugin

import "time"

const (
	// replaceWait is how long a run waits for a plugin that is being replaced.
	replaceWait  = time.Second
	replacePause = 50 * time.Millisecond
	// mostThere bounds the programs that are remembered.
	mostThere = 10_000
)

// beingReplaced tells whether another try may start the plugin in a moment: one
// that is open for writing, or that is missing, empty or without its x bits, but
// was not at its last run. Whoever copies a new one over it, or removes the old
// one first, needs that moment. One that is missing for good is not waited for
// at each run.
func (r *Runner) beingReplaced(s Spec, v verdict) bool {
	if v.busy {
		return true
	}
	if v.trouble != NotFound && v.trouble != NotExecutable {
		return false
	}
	r.thereMu.Lock()
	defer r.thereMu.Unlock()
	return r.there[programKey(s)]
}

// noteThere remembers how the last try to start a plugin went.
func (r *Runner) noteThere(s Spec, v verdict) {
	r.thereMu.Lock()
	defer r.thereMu.Unlock()
	key := programKey(s)
	switch {
	case v.trouble == NotFound || v.trouble == NotExecutable:
		delete(r.there, key)
	case v.trouble == None && !r.there[key]:
		if len(r.there) >= mostThere {
			clear(r.there)
		}
		r.there[key] = true
	}
}

func programKey(s Spec) string { return inDir(s.Dir, s.Command.words[0]) }
