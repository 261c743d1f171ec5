before() {
	cp /source/dist/*"$version"-1_*.deb .
}

after() {
	systemctl is-enabled massive-passive-client massive-passive-server.socket || fail "it does not start at the next boot"
	! systemctl is-active --quiet massive-passive-client || fail "it runs without certificates"
	massive-passive pki init --server localhost
	systemctl start massive-passive-server.socket
	ss -ltn | grep -q :5678 || fail "systemd does not keep the port open"
}
