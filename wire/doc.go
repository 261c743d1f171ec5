// Package wire speaks the massive-passive protocol, version 1, on an
// established connection: frames, messages, and the session of either side.
// It is not about who may connect (package certs and the server's access),
// nor about what becomes of a result (the server's journal and sinks).
//
// # Specification
//
// The protocol runs over TLS 1.2 or later with a certificate on both sides and
// the ALPN name "massive-passive/1". Both sides then exchange frames:
//
//	length  4 bytes, big-endian: of the body alone
//	type    1 byte
//	body    a Protocol Buffers message, see massive.proto
//
// A body is in the canonical form: known fields in ascending order, each once
// (repeated ones in a row), varints in their shortest form, fields that hold
// their default value left out, fields of a later version after the known
// ones. Official implementations write this form. Anything else is an error.
//
//	0x01 HELLO    client  instance, version, host name, seconds to remember
//	0x02 BATCH    client  instance, entries of a sequence and a Result
//	0x03 PING     client  token
//	0x04 BYE      both    reason, text
//	0x05 WELCOME  server  version, longest body, window, last sequence
//	0x06 ACK      server  sequence, rejections
//	0x07 WAIT     server  text
//	0x08 PONG     server  token
//	0x80…0xff     both    may be skipped by who does not know it
//
// A type that is unknown and may not be skipped, a body over its limit, and a
// message that does not belong here end the connection with a BYE that says
// "protocol violation". A BATCH may be as long as the WELCOME allows, an ACK
// 4 MiB, every other body 4 KiB. Texts are for people and have at most 512
// bytes; who prints them quotes them.
//
// # Flow
//
// The client says HELLO first. It may send one BATCH of at most 64 KiB behind
// it, without waiting, and everything else after the WELCOME, which may come
// with the ACK of that batch, a second later at most. A server that does not
// want the client says BYE in place of the WELCOME: it has judged the
// certificate before it reads a byte, so what stood behind the HELLO was not
// read either.
//
// An instance is one run of a client: 16 random bytes, others for each name
// under which the client knows a server. Results that an earlier run left
// behind keep their instance and their sequence; they travel in
// batches of their own, before the newer ones. On one connection sequences
// rise, over all instances, and may have gaps.
//
// An ACK says that all results up to its sequence are safe in the server's
// journal, except the rejections it lists, which will never be taken; where
// there are many, the later ones may have no text. ACKs
// come in order; one may cover several batches. Several batches may be in
// flight, together within the server's window. A batch whose ACK did not
// arrive is sent again on the next connection, and the server knows it by
// client name, instance and sequence.
//
// While an ACK takes long the server sends WAIT, with the reason, after 5 s and
// then every 15 s. A client gives a connection up that owes it an ACK and has
// been silent for 45 s. Both ends let TCP's keep-alive find out within a minute
// that the other's machine, or the line, is dead. A client with nothing in flight
// sends PING after 8 min of silence and waits 15 s for the PONG. A server ends a
// connection that was silent for 10 min and is owed no ACK. A HELLO begins within
// 10 s of the handshake.
//
// A frame that began goes on: every 16 KiB of it, or what is left, have 30 s to
// be written and to arrive, so that a slow line gets the longest frame through
// and a peer of less than 550 bytes a second is let go. The time in which the
// server makes a frame wait for memory does not count. Of a BATCH that takes
// long to arrive the server says WAIT as well, and a client whose write makes no
// way goes on for as long as it hears that. A frame that stalls ends the
// connection, whatever else is owed, for nobody may read on behind it.
//
// A newer connection with the same instance ends the older one, with a BYE that
// says "superseded". From then on the server takes nothing more of the older
// one, and only then it looks for the highest sequence that it has of the
// instance, for the WELCOME. A machine that is restored from a snapshot of its
// memory, or cloned while it runs, brings forth a second client of the same
// instance, whose new results have sequences that the server knows. So a client
// whose connection was superseded, though it opened no newer one, or that finds
// in the WELCOME a sequence above all that it ever sent, sends what is not
// acknowledged under a new instance. Some of it may then arrive twice; nothing
// is taken for what it is not.
//
// Who closes
// sends BYE, half-closes, reads on for at most 2 s and then closes: a socket
// that is closed with unread bytes resets the connection, and the last message
// with it.
package wire
