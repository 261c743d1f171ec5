before() {
	running
	ip address add 192.0.2.9/24 dev lo
	printf 'web1\tno-such\t0\tx' | massive-passive send --server localhost
	await 60 grep -q no-such /var/lib/massive-passive/server/rejects.log
}

after() {
	grep -q 'no-such' /run/said || fail "rejects.log is not shown"
	grep -q 'last heard' /run/said || fail "status --all does not say when the client was heard of"
	grep -q 'DISK OK' /run/said || fail "the check's result is not shown"

	# What the page reads from each answer is what the program says then.
	in_status() { says "$1" massive-passive status --state-dir /var/lib/massive-passive/server; }
	ping_says() { says "$1" massive-passive client --ping "${2:-monitor.example.org}"; }
	door_says() {
		says "$1" massive-passive server --check-config --user massive-passive --command-file /var/lib/nagios4/rw/nagios.cmd \
			--nagios-config /etc/nagios4/nagios.cfg
	}
	in_status delivers
	ping_says 'takes results, version'
	ping_says 'and one of ["other.example.org" "192.0.2.9"] was expected' other.example.org=192.0.2.9
	echo '{' >/etc/massive-passive/allowed-client-cert.d/web1.json
	sleep 2
	ping_says 'has a policy for you that it cannot read'
	rm /etc/massive-passive/allowed-client-cert.d/web1.*
	sleep 2
	ping_says 'does not list your certificate'
	systemctl stop massive-passive-server
	ping_says 'refused the connection'
	in_status 'no client or server is running with this state directory'
	door_says 'it may be written to'
	sed -i 's/^check_external_commands=.*/check_external_commands=0/' /etc/nagios4/nagios.cfg
	door_says "check_external_commands is 0 in the core's configuration"
	sed -i 's/^check_external_commands=.*/check_external_commands=1/' /etc/nagios4/nagios.cfg
	gpasswd -d massive-passive www-data
	door_says 'user massive-passive may not enter /var/lib/nagios4'
	gpasswd -a massive-passive www-data
	systemctl stop nagios4
	door_says 'does not exist'
	mkfifo -m 660 /var/lib/nagios4/rw/nagios.cmd # as a core that was killed leaves it
	chown nagios:www-data /var/lib/nagios4/rw/nagios.cmd
	door_says 'the core is not running'
}
