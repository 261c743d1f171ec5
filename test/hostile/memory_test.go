//go:build !race

package hostile

// moreMemory is how many bytes a server may grow by: Go gives them back when
// it likes.
const moreMemory = 100 << 20
