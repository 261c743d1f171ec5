before() {
	running
	await 30 grep -q 'current_state=0' /var/lib/nagios4/status.dat
}

after() {
	grep -q 'massive-passive server' /run/said || fail "status does not show the server"
	in_nagios disk 'DISK OK'
	grep -q 'plugin_output=DISK OK' /run/said || fail "the service is not shown green"
	! systemctl is-active --quiet massive-passive-client || fail "the client still runs"
	[ -s web2.tar ] || fail "there is no archive for web2"
	[ -s /etc/massive-passive/allowed-client-cert.d/web2.pem ] || fail "web2 is not allowed"
}
