before() {
	installed
	nagios disk
	attached
	groupadd scripts
}

after() {
	says web1 massive-passive pki list
	for host in web2 web3; do
		[ -s /etc/massive-passive/allowed-client-cert.d/$host.pem ] || fail "$host is not allowed"
	done
	[ ! -e /etc/massive-passive/allowed-client-cert.d/web4.pem ] || fail "web4 is still allowed"
	[ "$(stat -c '%G %a' /etc/massive-passive/massive-passive-client-ssl.key)" = "scripts 640" ] || fail "the group cannot read the key"
	massive-passive client --ping monitor.example.org
	printf 'web1\tdisk\t0\tallowed' | massive-passive send --server monitor.example.org
	in_nagios disk allowed
	printf 'web9\tdisk\t0\tnot allowed' >/run/input
	code 4 sh -c 'massive-passive send --server monitor.example.org </run/input'
}
