before() {
	running
	printf 'web1\tno-such\t0\tx' | massive-passive send --server localhost
	await 60 grep -q no-such /var/lib/massive-passive/server/rejects.log
}

after() {
	grep -q 'no-such' /run/said || fail "rejects.log is not shown"
	grep -q 'last heard' /run/said || fail "status --all does not say when the client was heard of"
	grep -q 'DISK OK' /run/said || fail "the check's result is not shown"
}
