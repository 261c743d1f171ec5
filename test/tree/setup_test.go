package tree

import (
	"massive-passive/test/rig"

	"testing"
)

func TestMain(m *testing.M) { rig.Main(m) }
