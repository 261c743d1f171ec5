#!/bin/sh
# Two answers of Icinga 2's API that do not say what they seem to. A user who lacks the permission
# actions/process-check-result gets 404 "No objects found." and not 403: as if the host did not exist. And a result that
# is older than the last one is answered with 200 "Successfully processed check result", and dropped: the state stays as
# it was. Later releases answer the latter with 409.
# Seen with Icinga 2.13.6 of Debian 12. This ends with 0 as long as that is so. It needs apt-get, dpkg, openssl, curl,
# and the libraries that Debian's icinga2-bin depends on, and may run as root or not.
set -eu
version=2.13.6
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; sleep 1; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
for name in icinga2-bin icinga2-common; do
    full=$(apt-cache madison "$name" | awk -v want="$version" 'index($3, want) == 1 {print $3; exit}')
    apt-get -q download "$name=${full:?no $name $version here}" >/dev/null 2>&1
    dpkg -x "$name"_*.deb root
done
user=$(id -un) group=$(id -gn)
if [ "$(id -u)" = 0 ]; then
    user=nobody group=$(id -gn nobody)
fi
port=$((20000 + $$ % 10000))
mkdir -p data/certs data/ca run cache log spool
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=node -keyout data/certs/node.key -out data/certs/node.crt 2>/dev/null
cp data/certs/node.crt data/certs/ca.crt
cat >icinga2.conf <<CONF
const NodeName = "node"
const ZoneName = NodeName
include <itl>
object FileLogger "log" { path = "$dir/icinga2.log" }
object Endpoint NodeName { }
object Zone ZoneName { endpoints = [ NodeName ] }
object ApiListener "api" {
    bind_host = "127.0.0.1"
    bind_port = "$port"
}
object ApiUser "may" {
    password = "may"
    permissions = [ "actions/process-check-result", "objects/query/Host" ]
}
object ApiUser "maynot" {
    password = "maynot"
    permissions = [ "objects/query/Host" ]
}
object Host "there" {
    check_command = "passive"
    enable_active_checks = false
    max_check_attempts = 1
}
CONF
chown -R "$user:$group" . 2>/dev/null || true
root/usr/lib/*/icinga2/sbin/icinga2 --version | sed -n 's/.*(version: \(.*\))/icinga2 \1/p'
root/usr/lib/*/icinga2/sbin/icinga2 daemon --config icinga2.conf -DConfiguration.RunAsUser="$user" -DConfiguration.RunAsGroup="$group" \
    -DIncludeConfDir="$dir/root/usr/share/icinga2/include" -DConfiguration.PkgDataDir="$dir/root/usr/share/icinga2" \
    -DConfiguration.DataDir="$dir/data" -DConfiguration.InitRunDir="$dir/run" -DConfiguration.CacheDir="$dir/cache" \
    -DConfiguration.LogDir="$dir/log" -DConfiguration.SpoolDir="$dir/spool" -DConfiguration.PidPath="$dir/run/icinga2.pid" \
    -DConfiguration.StatePath="$dir/data/icinga2.state" -DConfiguration.VarsPath="$dir/cache/icinga2.vars" \
    -DConfiguration.ObjectsPath="$dir/cache/icinga2.debug" >start.log 2>&1 &
pid=$!

# ask USER PATH [JSON] prints the answer's body and then its status.
ask() {
    curl -sk -u "$1:$1" -H 'Accept: application/json' -w ' %{http_code}\n' ${3:+-d "$3"} "https://127.0.0.1:$port$2"
}
for _ in $(seq 150); do
    ask may /v1/objects/hosts/there 2>/dev/null | grep -q ' 200$' && break
    sleep 0.2
done

# result USER TIME OUTPUT sends a result that was measured at a time.
result() {
    ask "$1" /v1/actions/process-check-result "{\"type\": \"Host\", \"host\": \"there\", \"exit_status\": 0, \"plugin_output\": \"$3\", \"execution_start\": $2, \"execution_end\": $2}"
}
now=$(date +%s)
echo "without the permission: $(result maynot "$now" denied | tee denied)"
echo "now:                    $(result may "$now" newer | tee newer)"
echo "a minute older:         $(result may $((now - 60)) older | tee older)"
echo "the host has:           $(ask may '/v1/objects/hosts/there?attrs=last_check_result' | grep -o '"output":"[a-z]*"' | tee has)"
grep -q 'No objects found.* 404$' denied && grep -q 'Successfully processed.* 200$' newer &&
    grep -q 'Successfully processed.* 200$' older && grep -q '"output":"newer"' has
