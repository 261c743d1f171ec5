before() {
	running
}
