before() {
	installed
	certificates
	nagios disk
	attached
	disk_check
}

after() {
	systemctl start massive-passive-client
	in_nagios disk 'DISK OK'
	massive-passive client --ping new.example.org
}
