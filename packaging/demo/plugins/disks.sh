# How full the file systems are: a line for each, perfdata for each, WARNING from 80 % on, CRITICAL from 95 % on.
df -P -k | {
	read -r heading
	fullest=-1 where= count=0 lines= perfdata=
	while read -r device blocks used free percent mount; do
		percent=${percent%\%}
		case $percent in '' | *[!0-9]*) continue ;; esac
		[ "$blocks" -gt 0 ] || continue
		[ "$percent" -gt "$fullest" ] && fullest=$percent where=$mount
		count=$((count + 1))
		lines="$lines
$mount: $percent % of $((blocks / 1024)) MiB"
		perfdata="$perfdata '$mount'=$percent%;80;95;0;100"
	done
	if [ "$count" = 0 ]; then
		echo "df shows no file system"
		exit 3
	fi
	code=0
	[ "$fullest" -ge 80 ] && code=1
	[ "$fullest" -ge 95 ] && code=2
	printf '%s\n' "$count file systems, the fullest is $where with $fullest %$lines|${perfdata# }"
	exit $code
}
