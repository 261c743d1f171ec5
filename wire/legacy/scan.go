package legacy

import "encoding/base64"

// scan finds the end of a message of the older form in what has come so far.
type scan struct {
	at     int     // bytes looked at
	digits int     // characters of base64 among them, padding included
	line   int     // those since the last newline
	padded bool    // padding began
	last   [4]byte // the last four characters
}

// advance looks at the bytes of b that are new. It tells whether a message
// ends at s.at, whatever follows.
func (s *scan) advance(b []byte) (complete bool, err error) {
	for s.at < len(b) {
		c := b[s.at]
		switch {
		case c == '\r':
		case c == '\n':
			ends := s.line > 0 && s.line != lineLength && s.betweenLines()
			s.line = 0
			if ends {
				s.at++
				return true, nil
			}
		case isBase64(c) && !s.padded, c == '=':
			s.padded = c == '='
			s.last = [4]byte{s.last[1], s.last[2], s.last[3], c}
			s.digits++
			s.line++
		default:
			return false, malformed("%q at byte %d is neither base64 nor the length of a message", c, s.at+1)
		}
		s.at++
		if s.padded && s.digits%4 == 0 {
			return true, nil
		}
	}
	return false, nil
}

// whole tells whether all that came so far can be decoded.
func (s *scan) whole() bool { return s.digits > 0 && s.digits%4 == 0 }

// betweenLines tells whether the text so far ends with a newline.
func (s *scan) betweenLines() bool {
	if !s.whole() {
		return false
	}
	tail, err := base64.StdEncoding.AppendDecode(nil, s.last[:])
	return err == nil && len(tail) > 0 && tail[len(tail)-1] == '\n'
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}
