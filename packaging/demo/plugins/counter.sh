# How often it ran: each result has another number, so that one sees whether any is missing.
read -r runs <runs 2>/dev/null || runs=0
runs=$((runs + 1))
echo $runs >runs
echo "run $runs"
