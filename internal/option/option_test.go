package option

import (
	"errors"
	"fmt"
	"testing"
)

func TestErrorsTellTheOptionAndTheExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{{Wrong("--port", "give a number"), 2}, {WrongWith(3, "--port", "give a number"), 3}} {
		var coded interface{ ExitCode() int }
		if err := fmt.Errorf("wrapped: %w", c.err); !errors.As(err, &coded) || coded.ExitCode() != c.code {
			t.Errorf("%v: its exit code is not %d", err, c.code)
		}
		if c.err.Error() != "--port: give a number" {
			t.Errorf("got %q", c.err)
		}
	}
}
