before() {
	running
}

after() {
	tar -tf second.tar | grep -q web1.pem || fail "the archive lacks the client that is allowed"
}
