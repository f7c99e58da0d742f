# SPDX-License-Identifier: BSD-3-Clause
# Run a command until it ends, until SECONDS are over, or until stdin ends: a connection that is
# lost leaves nothing running. sh -c "$(cat guard.sh)" guard COMMAND SECONDS
exec 3<&0
setsid /bin/sh -c "$1" </dev/null 3<&- &
child=$!
end() {
	kill -TERM "-$child" || kill -TERM "$child"
	sleep 1
	kill -KILL "-$child"
}
(
	trap 'kill $part; exit' TERM
	cat <&3 &
	part=$!
	wait $part && end
) >/dev/null 2>&1 &
input=$!
(
	trap 'kill $part; exit' TERM
	sleep "$2" 3<&- &
	part=$!
	wait $part && end
) >/dev/null 2>&1 3<&- &
limit=$!
wait $child
code=$?
kill -KILL "-$child" 2>/dev/null # what the command left in the background
kill $input $limit 2>/dev/null
exit $code
