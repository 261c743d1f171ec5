before() {
	installed
	certificates
	nagios disk
	attached
	systemctl start massive-passive-server massive-passive-client
}

after() {
	grep -q 'DISK OK' /run/said || fail "the result of disk.cfg is not shown"
	in_nagios disk 'DISK OK'
	# Each example that is a whole file is one that the client takes.
	mkdir /run/examples
	awk -v n=0 '/^```json$/ { n++; inside = 1; next } /^```/ { inside = 0 } inside { print > ("/run/examples/" n ".cfg") }' /source/docs/check-files.md
	for file in /run/examples/*.cfg; do
		grep -q '"command"' "$file" || rm "$file"
	done
	[ "$(ls /run/examples | wc -l)" -ge 2 ] || fail "the page has no examples"
	massive-passive client --check-config --settings none --confdir /run/examples
}
