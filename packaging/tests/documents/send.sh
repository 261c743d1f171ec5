before() {
	running backup
	ip address add 192.0.2.11/24 dev lo
}

after() {
	in_nagios backup 'the second record'
	says '2 data packet(s) sent' cat /run/said
}
