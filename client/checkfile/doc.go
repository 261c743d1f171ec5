// Package checkfile reads check files: JSON objects, one a file, that say which
// plugin to run, when, and whom to tell.
//
// A Check that it returns is complete and right in itself: the command is
// prepared, the calendar is parsed, the addresses have their ports. What is
// wrong with a file is an *Error that names file, line, column, key and value,
// and what would be right; what is only doubtful is a Warning beside the Check.
//
// The package does not watch files, does not remember the last good version of
// one, and does not look whether a plugin exists or a server answers: that is
// seen, and said, when the check runs.
package checkfile
