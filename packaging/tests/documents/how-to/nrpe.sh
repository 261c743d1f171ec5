before() {
	installed
	certificates
	nagios check_users check_load
	attached
	mkdir -p /etc/nagios
	cat >/etc/nagios/nrpe.cfg <<-'NRPE'
		server_port=5666
		command[check_users]=/usr/lib/nagios/plugins/check_users -w 50 -c 100
		command[check_load]=/usr/lib/nagios/plugins/check_load -r -w 150,100,50 -c "300,250,200"
	NRPE
	echo 'DAEMON_ARGS="--hostname web1"' >>/etc/default/massive-passive-client
	systemctl start massive-passive-server
}

after() {
	systemctl start massive-passive-client
	in_nagios check_users 'USERS OK'
	in_nagios check_load 'LOAD OK'
}
