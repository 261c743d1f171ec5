before() {
	installed
	nagios backup
	attached
	printf 'password=x\nencryption_method=1\n' >/etc/send_nsca.cfg
}

after() {
	in_nagios backup OK
	says 'data packet(s) sent' cat /run/said
}
