package record

import (
	"reflect"
	"testing"

	"massive-passive/wire"
)

func TestRecordEncodesAndDecodes(t *testing.T) {
	for _, want := range []Record{
		{Origin{"web1", wire.Instance{1, 2, 15: 3}, 77, 1700000000123456, 86400}, []byte("result")},
		{Origin{Client: "old peer", Received: 1}, []byte{0}},
		{},
	} {
		b := want.Append(nil)
		var got Record
		if err := got.Decode(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		if len(b) > 0 {
			if err := got.Decode(b[:len(b)-1]); err == nil || !reflect.DeepEqual(got, Record{}) {
				t.Errorf("a cut record decodes to %+v, %v", got, err)
			}
		}
	}
}
