package app

// stackRoom is what a TLS handshake takes of the stack, about.
const stackRoom = 24 << 10

// makeStackRoom makes the stack large while few calls are on it. It grows by
// doubling otherwise, and each time the runtime looks up every call on it in
// tables that a process which just began has not in memory yet: 5 % of what one
// result costs. All that counts is what this function says that it may use, so
// that use is false.
//
//go:noinline
func makeStackRoom(use bool) (sum byte) {
	if use {
		var room [stackRoom]byte
		for i := range room {
			room[i] = byte(i)
			sum += room[i/2]
		}
	}
	return sum
}
