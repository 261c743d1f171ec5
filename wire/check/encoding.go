package check

// The fields of message Result in massive.proto.
const (
	fieldKind     = 1
	fieldHost     = 2
	fieldService  = 3
	fieldCode     = 4
	fieldOutput   = 5
	fieldStart    = 6
	fieldFinish   = 7
	fieldTimedOut = 8
	fieldCommand  = 9
)

// Append appends the encoding of r to b.
func (r *Result) Append(b []byte) []byte {
	b = AppendVarint(b, fieldKind, uint64(r.Kind))
	b = AppendBytes(b, fieldHost, r.Host)
	b = AppendBytes(b, fieldService, r.Service)
	b = AppendVarint(b, fieldCode, zigzag(r.Code))
	b = AppendBytes(b, fieldOutput, r.Output)
	b = AppendVarint(b, fieldStart, uint64(r.Start))
	b = AppendVarint(b, fieldFinish, uint64(r.Finish))
	b = AppendVarint(b, fieldTimedOut, fromBool(r.TimedOut))
	b = AppendBytes(b, fieldCommand, r.Command)
	return append(b, r.unknown...)
}

// Decode reads the Result that all of b encodes; see the method.
func Decode(b []byte) (Result, error) {
	var r Result
	err := r.Decode(b)
	return r, err
}

// Decode makes r the Result that all of b encodes, in the canonical form (see
// Fields). Output is a part of b, not a copy; a string that r has already is
// not made again, so that one r for many results costs less. An error is a
// *FormatError and leaves the zero Result. What decodes is not yet valid: see
// Validate.
func (r *Result) Decode(b []byte) error {
	before := *r
	*r = Result{}
	f := NewFields(b)
	for f.Next(fieldCommand) {
		switch f.Number() {
		case fieldKind:
			r.Kind = Kind(f.Uint(1<<8 - 1))
		case fieldHost:
			r.Host = Same(before.Host, f.Bytes())
		case fieldService:
			r.Service = Same(before.Service, f.Bytes())
		case fieldCode:
			r.Code = unzigzag(f.Uint(1<<32 - 1))
		case fieldOutput:
			r.Output = f.Bytes()
		case fieldStart:
			r.Start = int64(f.Uint(1<<64 - 1))
		case fieldFinish:
			r.Finish = int64(f.Uint(1<<64 - 1))
		case fieldTimedOut:
			r.TimedOut = f.Uint(1) == 1
		case fieldCommand:
			r.Command = string(f.Bytes())
		}
	}
	var err error
	if r.unknown, err = f.End(); err != nil {
		*r = Result{}
	}
	return err
}

// Same returns b as a string: s itself where it is the same.
func Same(s string, b []byte) string {
	if s == string(b) {
		return s
	}
	return string(b)
}
