before() {
	installed
	certificates
	nagios disk
	attached
	disk_check
	systemctl start massive-passive-server
}

after() {
	grep -q 'DISK OK' /run/said || fail "the result of disk.cfg is not shown"
	in_nagios disk 'DISK OK'
}
