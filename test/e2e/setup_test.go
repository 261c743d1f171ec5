//go:build e2e

package e2e

import (
	"massive-passive/test/rig"

	"testing"
)

func TestMain(m *testing.M) { rig.Main(m) }
