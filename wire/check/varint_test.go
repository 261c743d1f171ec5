package check

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// FuzzFieldLikeProtobuf holds the reading of fields against that of Protocol
// Buffers' own package. It takes groups, and numbers that no field may have.
func FuzzFieldLikeProtobuf(f *testing.F) {
	for _, b := range [][]byte{
		nil,
		{0},
		protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), math.MaxUint64),
		protowire.AppendFixed32(protowire.AppendTag(nil, 15, protowire.Fixed32Type), 7),
		protowire.AppendFixed64(protowire.AppendTag(nil, 16, protowire.Fixed64Type), 7),
		protowire.AppendFixed64(protowire.AppendTag(nil, 16, protowire.Fixed64Type), 7)[:9],
		protowire.AppendString(protowire.AppendTag(nil, maxNumber, protowire.BytesType), "more\x00"),
		protowire.AppendTag(protowire.AppendTag(nil, 3, protowire.StartGroupType), 3, protowire.EndGroupType),
		protowire.AppendTag(nil, maxNumber+1, protowire.VarintType),
		{1 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2},
		{1<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{1<<3 | 2, 0x80},
		{1<<3 | 6, 0},
		{0x88, 0x00, 1},
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		number, n := skipField(b)
		theirs, kind, size := protowire.ConsumeField(b)
		if size < 0 || theirs > maxNumber || kind == protowire.StartGroupType {
			theirs, size = 0, 0
		}
		if number != int(theirs) || n != size {
			t.Errorf("%x: field %d of %d bytes, want %d of %d", b, number, n, theirs, size)
		}
	})
}

func TestFieldsAreWrittenLikeProtobuf(t *testing.T) {
	for shift := range 64 {
		for _, v := range []uint64{1 << shift, 1<<shift - 1, 1<<shift + 1} {
			if got, want := SizeVarint(v), protowire.SizeVarint(v); got != want {
				t.Errorf("%d takes %d bytes, want %d", v, got, want)
			}
			if got, want := zigzag(int32(v)), protowire.EncodeZigZag(int64(int32(v))); got != want || unzigzag(got) != int32(v) {
				t.Errorf("%d is %d in zigzag, want %d; back it is %d", int32(v), got, want, unzigzag(got))
			}
			if v == 0 {
				continue
			}
			want := protowire.AppendVarint(protowire.AppendTag(nil, 17, protowire.VarintType), v)
			if got := AppendVarint(nil, 17, v); !bytes.Equal(got, want) {
				t.Errorf("%d: %x, want %x", v, got, want)
			}
		}
	}
	text := string(make([]byte, 300))
	want := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), text)
	if got := AppendBytes(nil, 3, text); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
