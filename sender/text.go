package sender

import (
	"bytes"
	"errors"
)

// errUTF16 is text that no line of which could be read.
var errUTF16 = errors.New("this is UTF-16, as some editors and shells write it: give it as UTF-8 or plain ASCII")

// plainText takes the mark off the beginning of a text that some editors put
// there. What stands further on is text.
func plainText(text []byte) ([]byte, error) {
	if looksUTF16(text) {
		return nil, errUTF16
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

// looksUTF16 goes by the mark or, without one, by two ASCII characters.
func looksUTF16(text []byte) bool {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return true
	}
	if len(text) < 4 {
		return false
	}
	zero := [4]bool{text[0] == 0, text[1] == 0, text[2] == 0, text[3] == 0}
	return zero == [4]bool{false, true, false, true} || zero == [4]bool{true, false, true, false}
}
