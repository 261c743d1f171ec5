before() {
	running
	await 30 grep -q 'current_state=0' /var/lib/nagios4/status.dat
}

after() {
	grep -q 'massive-passive server' /run/said || fail "status does not show the server"
	in_nagios disk 'DISK OK'
	grep -q 'plugin_output=DISK OK' /run/said || fail "the service is not shown green"
	! systemctl is-active --quiet massive-passive-client || fail "the client still runs"
	# What web2 would do, with its files in a place of their own.
	massive-passive pki install web2.tar --dir /run/web2
	printf 'web2\tload\t0\tfrom web2' | massive-passive send --server monitor.example.org --ssl-cert /run/web2/massive-passive-client-ssl.cert \
		--ssl-key /run/web2/massive-passive-client-ssl.key --ssl-ca-cert /run/web2/massive-passive-ssl-ca.cert
	in_nagios load 'from web2'
}
