before() {
	running backup
	ln -sf massive-passive /usr/sbin/send_nsca
	printf 'identity = "web1"\npassword = "x"\nserver = "localhost"\nport = 5668\n' >/etc/send_nsca.cfg
}

after() {
	in_nagios backup OK
}
