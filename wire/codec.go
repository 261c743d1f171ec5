package wire

import (
	"massive-passive/wire/check"
)

// Append appends the body of a HELLO.
func (m *Hello) Append(b []byte) []byte {
	b = check.AppendBytes(b, 1, m.Instance[:])
	b = check.AppendBytes(b, 2, m.Version)
	b = check.AppendBytes(b, 3, m.Host)
	b = check.AppendVarint(b, 4, uint64(m.Remember))
	return append(b, m.later...)
}

// DecodeHello reads the body of a HELLO.
func DecodeHello(b []byte) (m Hello, err error) {
	f := check.NewFields(b)
	for f.Next(4) {
		switch f.Number() {
		case 1:
			err = takeInstance(&m.Instance, f.Bytes())
		case 2:
			m.Version = string(f.Bytes())
		case 3:
			m.Host = string(f.Bytes())
		case 4:
			m.Remember = uint32(f.Uint(1<<32 - 1))
		}
	}
	if m.Instance == (Instance{}) && err == nil {
		err = broken("HELLO without an instance")
	}
	return finish(&m, &m.later, &f, err)
}

// Append appends the body of a WELCOME.
func (m *Welcome) Append(b []byte) []byte {
	b = check.AppendBytes(b, 1, m.Version)
	b = check.AppendVarint(b, 2, uint64(m.MaxFrame))
	b = check.AppendVarint(b, 3, uint64(m.Window))
	b = check.AppendVarint(b, 4, m.Last)
	return append(b, m.later...)
}

// DecodeWelcome reads the body of a WELCOME.
func DecodeWelcome(b []byte) (m Welcome, err error) {
	f := check.NewFields(b)
	for f.Next(4) {
		switch f.Number() {
		case 1:
			m.Version = string(f.Bytes())
		case 2:
			m.MaxFrame = uint32(f.Uint(1<<32 - 1))
		case 3:
			m.Window = uint32(f.Uint(1<<32 - 1))
		case 4:
			m.Last = f.Uint(1<<64 - 1)
		}
	}
	if m.MaxFrame < MinFrame || m.Window < MinFrame {
		err = broken("WELCOME announces frames of %d and a window of %d bytes, under the least of %d", m.MaxFrame, m.Window, MinFrame)
	}
	return finish(&m, &m.later, &f, err)
}

// Append appends the body of an ACK.
func (m *Ack) Append(b []byte) []byte {
	b = check.AppendVarint(b, 1, m.Sequence)
	var body []byte
	for _, r := range m.Rejections {
		body = check.AppendVarint(body[:0], 1, r.Sequence)
		body = check.AppendVarint(body, 2, uint64(r.Reason))
		body = check.AppendBytes(body, 3, clip(r.Text))
		b = appendMessage(b, 2, append(body, r.later...))
	}
	return append(b, m.later...)
}

// DecodeAck reads the body of an ACK. It can reject no more results than the
// most that wait for one; a longer list is not decoded.
func DecodeAck(b []byte, most int) (m Ack, err error) {
	f := check.NewRepeatedFields(b, 2)
	for f.Next(2) {
		switch f.Number() {
		case 1:
			m.Sequence = f.Uint(1<<64 - 1)
		case 2:
			if len(m.Rejections) == most {
				return Ack{}, broken("ACK that rejects more results than the %d in flight", most)
			}
			r, rejectionErr := decodeRejection(f.Bytes())
			if rejectionErr != nil && err == nil {
				err = rejectionErr
			}
			m.Rejections = append(m.Rejections, r)
		}
	}
	return finish(&m, &m.later, &f, err)
}

func decodeRejection(b []byte) (r Rejection, err error) {
	f := check.NewFields(b)
	for f.Next(3) {
		switch f.Number() {
		case 1:
			r.Sequence = f.Uint(1<<64 - 1)
		case 2:
			r.Reason = Reason(f.Uint(1<<32 - 1))
		case 3:
			r.Text = string(f.Bytes())
		}
	}
	if len(r.Text) > MaxText {
		err = broken("rejection text of %d bytes", len(r.Text))
	}
	return finish(&r, &r.later, &f, err)
}

// Append appends the body of a WAIT.
func (m *Wait) Append(b []byte) []byte {
	return append(check.AppendBytes(b, 1, clip(m.Text)), m.later...)
}

// DecodeWait reads the body of a WAIT.
func DecodeWait(b []byte) (m Wait, err error) {
	f := check.NewFields(b)
	for f.Next(1) {
		m.Text = string(f.Bytes())
	}
	return finish(&m, &m.later, &f, checkText(m.Text))
}

// Append appends the body of a PING or a PONG.
func (m *Ping) Append(b []byte) []byte {
	return append(check.AppendVarint(b, 1, m.Token), m.later...)
}

// DecodePing reads the body of a PING or a PONG.
func DecodePing(b []byte) (m Ping, err error) {
	f := check.NewFields(b)
	for f.Next(1) {
		m.Token = f.Uint(1<<64 - 1)
	}
	return finish(&m, &m.later, &f, nil)
}

// Append appends the body of a BYE.
func (m *Bye) Append(b []byte) []byte {
	b = check.AppendVarint(b, 1, uint64(m.Reason))
	return append(check.AppendBytes(b, 2, clip(m.Text)), m.later...)
}

// DecodeBye reads the body of a BYE.
func DecodeBye(b []byte) (m Bye, err error) {
	f := check.NewFields(b)
	for f.Next(2) {
		switch f.Number() {
		case 1:
			m.Reason = ByeReason(f.Uint(1<<32 - 1))
		case 2:
			m.Text = string(f.Bytes())
		}
	}
	return finish(&m, &m.later, &f, checkText(m.Text))
}

// finish ends a decoding: the value, or the zero value with the first fault.
func finish[T any](m *T, later *[]byte, f *check.Fields, err error) (T, error) {
	unknown, formatErr := f.End()
	if formatErr != nil {
		err = formatErr
	}
	if err != nil {
		var zero T
		return zero, err
	}
	*later = unknown
	return *m, nil
}

func takeInstance(i *Instance, b []byte) error {
	if len(b) != len(i) {
		return broken("instance of %d bytes", len(b))
	}
	copy(i[:], b)
	if *i == (Instance{}) {
		return broken("instance of zeros")
	}
	return nil
}

func checkText(text string) error {
	if len(text) > MaxText {
		return broken("text of %d bytes", len(text))
	}
	return nil
}

// clip cuts a text of ours to what a peer takes.
func clip(text string) string {
	if len(text) > MaxText {
		return text[:MaxText]
	}
	return text
}
