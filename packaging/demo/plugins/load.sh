# The machine's load: WARNING from one waiting process on for each processor, CRITICAL from two on.
read -r one five fifteen rest </proc/loadavg || exit 3
processors=0
while read -r word rest; do
	[ "$word" = processor ] && processors=$((processors + 1))
done </proc/cpuinfo
[ "$processors" -gt 0 ] || processors=1

code=0
[ "${one%.*}" -ge "$processors" ] && code=1
[ "${one%.*}" -ge $((2 * processors)) ] && code=2
echo "load average $one, $five, $fifteen on $processors processors|load1=$one;$processors;$((2 * processors));0"
exit $code
