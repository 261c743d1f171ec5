package sink

import (
	"testing"
	"time"
)

func TestFailingIsGivenUp(t *testing.T) {
	begin := time.Now()
	for _, test := range []struct {
		what  string
		taken []uint64 // of all results, as it fails; the last for all that follow
		want  int      // failures until it is given up
	}{
		{"others are taken", []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, apiTries},
		{"others were taken until they waited for it", []uint64{1, 2, 3}, apiTries},
		{"one was answered before the trouble", []uint64{1, 2}, 301},
		{"none is taken", []uint64{0}, 301},
		{"the trouble ends", append(make([]uint64, 20), 1, 2), 22},
	} {
		var f failing
		n := 1
		for !f.again(begin.Add(time.Duration(n)*time.Second), test.taken[min(n, len(test.taken))-1], true) {
			n++
		}
		if n != test.want {
			t.Errorf("%s: given up after %d failures, want %d", test.what, n, test.want)
		}
	}
	var all, one failing // a proxy objects to everything, or to what is in one output
	for n := range 1000 {
		at := begin.Add(time.Duration(n) * time.Second)
		if all.again(at, 0, false) {
			t.Fatalf("given up after %d s, while a proxy may have lost its Icinga", n)
		}
		if final := one.again(at, uint64(n), false); final != (n >= 300) {
			t.Fatalf("given up after %d s: %v, want 300", n, final)
		}
	}
	for said, want := range map[answer]bool{{code: 500, icinga: true}: true, {code: 500}: true, {code: 403}: true, {code: 406}: true, {code: 404}: false,
		{code: 403, icinga: true}: false, {code: 503}: false} {
		if said.mayStick() != want {
			t.Errorf("%+v may stick: %v", said, !want)
		}
	}
}
