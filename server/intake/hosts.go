package intake

import (
	"context"
	"time"

	"massive-passive/wire/check"
)

// hostsInterval is how often who waits for the core's object cache looks for it.
const hostsInterval = 250 * time.Millisecond

// unknownHosts is why results of some clients wait.
const unknownHosts = "the core's object cache was not read yet, and nobody knows whose address is whose: clients that may send for some hosts only wait for it"

// nameHost has a result for the address of a host name that host, where the core
// would take it for one of that host.
func (in *Intake) nameHost(r *check.Result) {
	if host, ok := in.options.Objects.Last().HostAt(r.Host); ok {
		r.Host = host
	}
}

// awaitHosts waits until it is known which addresses the core takes for hosts, if
// the client's policy needs that. Until then the client keeps its results.
func (in *Intake) awaitHosts(ctx context.Context, client string) error {
	for in.options.Objects != nil && in.options.Objects.Last() == nil && !in.judge.NamesOnly(client) {
		in.options.Own.Error("core", "hosts").Str("client", client).Str("object_cache_file", in.options.Objects.File()).
			Msg("results of clients whose policy has patterns for hosts wait until the core's object cache was read: make it readable to the server's user, or start the core")
		if err := pause(ctx, hostsInterval); err != nil {
			return err
		}
	}
	return nil
}
