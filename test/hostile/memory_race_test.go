//go:build race

package hostile

// moreMemory is larger with the race detector, which keeps books on every byte
// that was ever used.
const moreMemory = 1 << 30
