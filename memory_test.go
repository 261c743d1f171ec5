//go:build !race

package main

// moreMemory is how many bytes a server may grow by: Go gives them back when
// it likes.
const moreMemory = 100 << 20
