before() {
	running
}

after() {
	for host in web2 web3 web4; do
		[ -s archives/$host.tar ] || fail "there is no archive for $host"
	done
}
