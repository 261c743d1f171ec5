//go:build e2e

package faults

import (
	"massive-passive/test/rig"

	"testing"
)

func TestMain(m *testing.M) { rig.Main(m) }
