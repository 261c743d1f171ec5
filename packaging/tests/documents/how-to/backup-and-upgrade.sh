before() {
	running
}

after() {
	tar -tzf /root/massive-passive-etc.tar.gz | grep -q massive-passive-ssl-ca.key || fail "the copy lacks the CA's key"
	[ "$(stat -c %a /root/massive-passive-etc.tar.gz)" = 600 ] || fail "others can read the copy"
}
