# For the scripts beside it, which run in a machine of their own.
set -eu

fail() {
	echo "FAILED: $*" >&2
	for log in /var/log/massive-passive*.log; do
		[ ! -s "$log" ] || { echo "--- $log"; tail -n 20 "$log"; } >&2
	done
	exit 1
}

step() { echo "== $*"; }

# await SECONDS COMMAND...: until it succeeds
await() {
	limit=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$limit" ] || fail "did not come true: $*"
		sleep 0.1
	done
}

# says TEXT COMMAND...: its output holds the text
says() {
	text=$1
	shift
	output=$("$@" 2>&1) || true
	case $output in
	*"$text"*) ;;
	*) fail "$* does not say \"$text\" but: $output" ;;
	esac
}

# code N COMMAND...: its exit code is N
code() {
	want=$1
	shift
	got=0
	output=$("$@" 2>&1) || got=$?
	[ "$got" = "$want" ] || fail "$* ended with $got, not with $want: $output"
}

package() { # NAME VERSION
	for file in "/source/dist/$1_$2-1_$(dpkg --print-architecture).deb" "/source/dist/$1_$2-1_all.deb"; do
		if [ -e "$file" ]; then
			echo "$file"
			return
		fi
	done
	fail "there is no package $1 $2"
}

# core PATH OWNER: a pipe, and a reader that puts its lines into PATH.lines
core() {
	mkfifo -m 660 "$1"
	chown "$2" "$1"
	: >"$1.lines"
	sh -c 'exec 3<>"$1"; exec cat <&3 >>"$1.lines"' core "$1" &
}

# a check that says its own count
count_check() {
	cat >/etc/massive-passive/checks.d/count.cfg <<-'CHECK'
		{"check_description": "count", "check_hostname": "web1", "check_type": "service_check", "interval": 0.5,
		 "servers": {"localhost": "127.0.0.1"}, "command": "/bin/echo counted"}
	CHECK
}

lines() { wc -l <"$1"; }

# more_lines PATH: results go on arriving
more_lines() {
	before=$(lines "$1")
	await 30 sh -c "[ \$(wc -l <$1) -gt $((before + 1)) ]"
}
