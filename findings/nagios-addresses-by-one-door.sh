#!/bin/sh
# Nagios takes a passive result for a host's address as one for that host if it comes by the command file. If it comes
# as a check-result file, it logs that no such host can be found, and drops it. Of several hosts with one address the
# first by name gets it, whatever their order in the configuration. The address is compared to the letter: another
# spelling of the same IPv6 address is no host's.
# Seen with Nagios 4.4.6 of Debian 12. This ends with 0 as long as that is so. It needs apt-get, dpkg and the
# libraries that Debian's nagios4-core depends on, and may run as root or not.
set -eu
version=4.4.6-4
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; sleep 1; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
full=$(apt-cache madison nagios4-core | awk -v want="$version" 'index($3, want) == 1 {print $3; exit}')
apt-get -q download "nagios4-core=${full:?no nagios4-core $version here}" >/dev/null 2>&1
dpkg -x nagios4-core_*.deb root
user=$(id -un) group=$(id -gn)
if [ "$(id -u)" = 0 ]; then
    user=nobody group=$(id -gn nobody)
fi
mkdir rw spool archives
cat >nagios.cfg <<CFG
log_file=$dir/nagios.log
cfg_file=$dir/objects.cfg
object_cache_file=$dir/objects.cache
precached_object_file=$dir/objects.precache
status_file=$dir/status.dat
command_file=$dir/rw/nagios.cmd
query_socket=$dir/rw/nagios.qh
check_result_path=$dir/spool
lock_file=$dir/nagios.pid
temp_file=$dir/nagios.tmp
temp_path=$dir
log_archive_path=$dir/archives
state_retention_file=$dir/retention.dat
nagios_user=$user
nagios_group=$group
status_update_interval=1
check_result_reaper_frequency=1
check_external_commands=1
accept_passive_host_checks=1
execute_host_checks=0
enable_notifications=0
use_syslog=0
CFG
cat >objects.cfg <<'CFG'
define timeperiod {
    timeperiod_name always
    alias always
}
define command {
    command_name none
    command_line /bin/true
}
define contact {
    contact_name nobody
    host_notification_period always
    service_notification_period always
    host_notification_commands none
    service_notification_commands none
}
define host {
    name passive
    register 0
    check_command none
    max_check_attempts 1
    check_period always
    notification_period always
    active_checks_enabled 0
    contacts nobody
}
define host {
    use passive
    host_name zeta
    address 192.0.2.1
}
define host {
    use passive
    host_name alpha
    address 192.0.2.1
}
define host {
    use passive
    host_name six
    address 2001:db8::9
}
define service {
    host_name six
    service_description any
    check_command none
    max_check_attempts 1
    check_interval 5
    retry_interval 5
    check_period always
    notification_period always
    active_checks_enabled 0
    contacts nobody
}
CFG
chown -R "$user:$group" . 2>/dev/null || true
root/usr/sbin/nagios4 nagios.cfg >start.log 2>&1 &
pid=$!
for _ in $(seq 100); do
    [ -p rw/nagios.cmd ] && [ -s status.dat ] && break
    sleep 0.2
done
[ -p rw/nagios.cmd ] || {
    cat start.log nagios.log >&2
    exit 1
}
root/usr/sbin/nagios4 --help | sed -n 's/^Nagios Core /Nagios Core /p'

# output HOST prints the output that Nagios has of a host.
output() {
    awk -v host="host_name=$1" -F '\t' '/^hoststatus/ {mine = 0} $2 == host {mine = 1} mine && $2 ~ /^plugin_output=/ {print substr($2, 15)}' status.dat
}

# await HOST TEXT waits until Nagios has that output of a host.
await() {
    for _ in $(seq 100); do
        [ "$(output "$1")" = "$2" ] && return
        sleep 0.2
    done
    echo "$1 never got: $2" >&2
    exit 1
}

now=$(date +%s)
for host in 192.0.2.1 2001:db8:0::9; do
    echo "[$now] PROCESS_HOST_CHECK_RESULT;$host;1;by the pipe for $host" >rw/nagios.cmd
done
await alpha "by the pipe for 192.0.2.1"

# record HOST TEXT leaves a check-result file.
record() {
    printf 'host_name=%s\ncheck_type=1\ncheck_options=0\nscheduled_check=0\nreschedule_check=0\nlatency=0\nstart_time=%s.0\nfinish_time=%s.0\nearly_timeout=0\nexited_ok=1\nreturn_code=2\noutput=%s\n\n' \
        "$1" "$now" "$now" "$2" >"$3"
    chown "$user" "$3" 2>/dev/null || true
    mv "$3" "spool/$3"
    : >"spool/$3.ok"
}
record 192.0.2.1 "by a file for 192.0.2.1" c000001
record zeta "by a file for zeta" c000002
await zeta "by a file for zeta"
sleep 2
grep -h 192.0.2.1 nagios.log || true
for host in alpha zeta six; do
    echo "$host has: $(output $host)"
done
[ "$(output alpha)" = "by the pipe for 192.0.2.1" ] && [ -z "$(output six)" ]
