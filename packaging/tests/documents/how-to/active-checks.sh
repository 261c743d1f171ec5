before() {
	running
}

after() {
	grep -q 'environment: ' /run/said || fail "the environment that the plugin ran in is not shown"
}
