// Package legacy speaks what massive-passive 0.3.9 spoke, on an established
// connection: the two framings of its messages, and the external-command lines
// in them. It is for the doors between that version and this one; new peers
// have package wire. Who may connect and what becomes of a line is not its
// business.
//
// # The protocol
//
// A message is text: one or more external-command lines, each ended by a
// newline. It travels as base64, which may be wrapped as MIME does it (a
// newline after every 76 characters and at the end), in one of two forms:
//
//	newer  decimal length, a space, the base64; the length is that of the
//	       base64 with its newlines. It has no answer.
//	older  the base64 alone. It is answered by the base64 of
//	       "OK <n> bytes received and written.\n" or "ERROR <why>\n".
//
// The older form does not say where it ends. It ends with the connection's
// close_notify, behind padding, at a newline that stands where a wrapped line
// would go on, or when the sender is silent because it waits for the answer.
// The last two count only where the text so far ends with a newline, so that
// whatever is cut in two there is cut between two lines.
package legacy
