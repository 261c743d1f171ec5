before() {
	installed
	certificates
	nagios disk
}

after() {
	grep -q 'nagios.cmd' /run/said || fail "the look before the start does not name the command file"
	printf 'web1\tdisk\t0\tthrough' | massive-passive send --server localhost
	in_nagios disk through
	printf 'web1\tno-such\t0\tx' | massive-passive send --server localhost
	await 60 grep -q no-such /var/lib/massive-passive/server/rejects.log
}
