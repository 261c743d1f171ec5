before() {
	running massive-passive
}

after() {
	in_nagios massive-passive 'massive-passive'
	grep -q '"oldest' /run/said || fail "status --json has no oldest result"
	journalctl --no-pager -u massive-passive-client | grep -q . || fail "the journal is empty"
}
