#!/bin/sh
# Where Nagios cannot start a plugin, its worker ends with the number of the system's error, and Nagios takes that for
# the plugin's own exit code: a plugin that is not there (ENOENT, 2) is CRITICAL, one without its x bits (EACCES, 13)
# is "out of bounds", which is CRITICAL as well. The same command with a character for the shell, such as >, goes
# by /bin/sh and ends with 127. A macro that does not exist becomes a lone $.
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
: >closed # a file without x bits
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
interval_length=1
service_inter_check_delay_method=n
enable_notifications=0
use_syslog=0
CFG
cat >objects.cfg <<'CFG'
define timeperiod {
    timeperiod_name always
    alias always
    monday 00:00-24:00
    tuesday 00:00-24:00
    wednesday 00:00-24:00
    thursday 00:00-24:00
    friday 00:00-24:00
    saturday 00:00-24:00
    sunday 00:00-24:00
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
    host_name h
    address 192.0.2.1
    check_command none
    max_check_attempts 1
    check_period always
    notification_period always
    active_checks_enabled 0
    contacts nobody
}
CFG
# service NAME COMMAND: an active check
service() {
    cat >>objects.cfg <<CFG
define command {
    command_name $1
    command_line $2
}
define service {
    host_name h
    service_description $1
    check_command $1
    max_check_attempts 1
    check_interval 5
    retry_interval 5
    check_period always
    notification_period always
    contacts nobody
}
CFG
}
service missing "$dir/no-such-plugin"
service redirected "$dir/no-such-plugin 2>&1"
service closed "$dir/closed"
service macro '/bin/echo [$NOSUCH$]'
chown -R "$user:$group" . 2>/dev/null || true
root/usr/sbin/nagios4 nagios.cfg >start.log 2>&1 &
pid=$!
root/usr/sbin/nagios4 --help | sed -n 's/^Nagios Core /Nagios Core /p'

# state SERVICE prints the state and the output that Nagios has.
state() {
    awk -v service="service_description=$1" -F '\t' '/^servicestatus/ {mine = 0} $2 == service {mine = 1}
        mine && $2 ~ /^current_state=/ {state = substr($2, 15)} mine && $2 ~ /^plugin_output=/ {print state " " substr($2, 15); mine = 0}' status.dat
}

# await SERVICE PATTERN waits until what Nagios has matches.
await() {
    for _ in $(seq 150); do
        if [ -e status.dat ] && state "$1" | grep -q "$2"; then
            echo "$1: $(state "$1" | sed "s|$dir|.|")"
            return
        fi
        sleep 0.2
    done
    echo "$1 never came to: $2" >&2
    state "$1" >&2
    exit 1
}
await missing '^2 .*errno is 2: No such file or directory'
await closed '^2 (Return code of 13 .*out of bounds)'
await redirected '^2 (Return code of 127 is out of bounds'
await macro '^0 \[\$\]'
