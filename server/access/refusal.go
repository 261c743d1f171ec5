package access

import (
	"errors"

	"massive-passive/wire"
	"massive-passive/wire/certs"
)

// Refusal is what a client is told that is refused as a whole.
func Refusal(err error) *wire.ByeError {
	var bad *PolicyError
	var revoked *certs.RevokedError
	switch {
	case errors.As(err, &bad):
		return &wire.ByeError{Reason: wire.BadPolicy,
			Text: "this server cannot use its policy for you; its log says what is wrong with " + bad.Client + ".json"}
	case errors.As(err, &revoked):
		return &wire.ByeError{Reason: wire.NotListed, Text: "your certificate was revoked"}
	case errors.Is(err, certs.ErrUntrusted):
		return &wire.ByeError{Reason: wire.NotListed, Text: "this server does not trust the CA of your certificate any more"}
	}
	return &wire.ByeError{Reason: wire.NotListed, Text: "this server does not list your certificate"}
}
