// Package journal keeps records at rest: a durable queue that one owner appends
// to and that any number of named readers go through at their own pace, each
// acknowledging what it is done with. Records are opaque bytes. The client keeps
// one with a reader for each server, the server one with a reader for each sink.
//
// It is not a database: there is no look-up by key, no change of a record, no
// transaction. It does not judge duplicates, does not retry by itself, starts no
// goroutine and logs nothing: what goes wrong is returned, told to
// Options.Damaged, and counted in Stats.
//
// # Who may call what
//
// One goroutine, the owner, calls Append, Flush, Trim, PushOut, DropTailOldest,
// Reader, RemoveReader and Close. The methods of a Reader belong to one goroutine
// each, except Ack and Acked, which any may call, as any may call Stats and
// Holders. No lock is held while the disk works, so that an Ack or a reader of
// the tail never waits for it.
//
// # Where a record is
//
// Append puts it in the tail, in memory. Flush writes the tail to the newest
// segment file and makes it durable. A reader sees it from there on, or, with
// Options.ReadUnflushed, from Append on. Trim removes a segment when each reader
// has acknowledged all of it. Without Options.Dir everything stays in the tail.
//
// Sequences rise by one from record to record, except for jumps: after a crash
// (see below), after DropTailOldest, and where damage took records away.
//
// The layout on disk, with every constant and limit, is in format.go.
package journal
