// Package option is what the commands have in common about their options: the one
// error of an option that cannot be meant so, and values that the option parser
// does not know. It is about no particular option, and reads no command line.
package option

// Error is an option that cannot be meant so.
type Error struct {
	Option  string // as it is written, with its dashes
	Problem string // what is wrong, and what would be right
	code    int
}

// Wrong says what is wrong with an option. The error has the exit code of wrong
// usage, 2.
func Wrong(option, problem string) error { return WrongWith(2, option, problem) }

// WrongWith is Wrong for commands with another exit code for wrong usage, as
// plugins have.
func WrongWith(code int, option, problem string) error { return &Error{option, problem, code} }

func (e *Error) Error() string { return e.Option + ": " + e.Problem }

// ExitCode is that of wrong usage.
func (e *Error) ExitCode() int { return e.code }
