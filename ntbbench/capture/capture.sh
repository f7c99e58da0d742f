#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Record an NTB machine's counters before and after an interval, and a trace of it.
#
#   sh capture.sh DIR [SECONDS]
#   sh capture.sh DIR -- COMMAND ...
#   sh capture.sh DIR - [WHAT]
#
# DIR is made (it must not exist, or be empty). The interval is SECONDS (10), or as long as COMMAND
# runs, or lasts until stdin ends; what stdin says is kept, and `recording` on stdout tells that it
# has begun. COMMAND's exit code is the script's; a signal reaches it as SIGTERM, since a shell's
# background jobs ignore SIGINT. What could not be read is said on stderr and kept in DIR/unread.
# Nothing else is written but, where tracing is possible, one tracing instance of our own and
# kprobes of the group `ntbbench`, both removed at the end.
# NTBBENCH_TRACE=no: counters alone, which cost a timed run nothing.
# NTBBENCH_ROOT stands before /proc and /sys: for tests, and for the root of another system.

set -u
LC_ALL=C
export LC_ALL
trap '' PIPE # a stderr that nobody reads ends no recording

fail() {
	echo "ntbbench: $*" >&2
	exit 2
}

dir=${1-}
seconds=${2-10}
root=${NTBBENCH_ROOT-}
[ -n "$dir" ] || fail "usage: sh capture.sh DIR [SECONDS | -- COMMAND ...]"
case $seconds in
-- | -)
	shift 2
	[ "$seconds" = - ] || [ $# -ge 1 ] || fail "usage: sh capture.sh DIR -- COMMAND ..."
	;;
*)
	[ $# -le 2 ] || fail "usage: sh capture.sh DIR [SECONDS | -- COMMAND ...]"
	case $seconds in
	'' | *[!0-9]* | ??????*) fail "SECONDS: '$seconds': a whole number from 0 to 86400" ;;
	esac
	[ "$seconds" -le 86400 ] || fail "SECONDS: '$seconds': a whole number from 0 to 86400"
	;;
esac
case $dir in
-*) dir=./$dir ;;
esac
if [ -e "$dir" ]; then
	[ -d "$dir" ] || fail "DIR: '$dir': is there already and is no folder"
	[ -z "$(ls -A "$dir" 2>/dev/null)" ] || fail "DIR: '$dir': is there already and not empty"
fi
mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] || fail "DIR: '$dir': cannot be made or written"

debugfs=$root/sys/kernel/debug
tracefs=$root/sys/kernel/tracing
instance=
probes=
sleeper=
recorder=

unread() { # what, why
	{ echo "$1: $2" >>"$dir/unread"; } 2>/dev/null || unwritten "$dir/unread"
	echo "ntbbench: not read: $1: $2" >&2
}

# A recording that the disk has no room for is none.
unwritten() { # what, why
	trap '' HUP INT TERM
	bpftrace_end drop
	trace_end drop
	fail "$1: cannot be written: ${2:-is the disk full?}"
}

# What even root may not read is not for want of a privilege.
if [ "$(id -u)" = 0 ]; then
	denied="refused to root too: does the kernel's lockdown forbid it?"
else
	denied="permission denied: needs root"
fi

copy() { # from, to
	if ! [ -e "$1" ]; then
		unread "${1#"$root"}" "not there"
	elif ! why=$({ cat "$1" >"$2"; } 2>&1); then
		rm -f "$2"
		! cat "$1" >/dev/null 2>&1 || unwritten "$2" "${why##*: }"
		unread "${1#"$root"}" "$denied"
	fi
}

# Why a file of debugfs or tracefs is not to be seen.
hidden() { # what, its file system, its mount point
	if ! [ -d "$3" ]; then
		unread "$1" "no $2 in this kernel"
	elif ! [ -r "$3" ] || ! [ -x "$3" ]; then
		unread "$1" "$denied"
	elif [ -z "$(ls "$3" 2>/dev/null)" ]; then
		unread "$1" "$2 is not mounted: as root, mount -t $2 none $3"
	else
		unread "$1" "not there (is its driver loaded?)"
	fi
}

stats() { # before or after
	found=
	for file in "$debugfs"/ntb_transport/*/qp*/stats; do
		[ -e "$file" ] || continue
		found=yes
		qp=${file%/stats}
		device=${qp%/*}
		mkdir -p "$dir/$1-stats/${device##*/}" 2>/dev/null || unwritten "$dir/$1-stats"
		copy "$file" "$dir/$1-stats/${device##*/}/${qp##*/}"
	done
	if [ -z "$found" ] && [ "$1" = before ]; then
		hidden /sys/kernel/debug/ntb_transport debugfs "$debugfs"
	fi
}

# The network devices of ntb_netdev, by name.
netdevs() {
	for net in "$root"/sys/class/net/*; do
		driver=$(readlink "$net/device/driver" 2>/dev/null) || continue
		case ${driver##*/} in
		ntb_netdev | ntb_transport) echo "${net##*/}" ;;
		esac
	done
}

# Hundredths of a second since the boot; nothing where the system does not tell.
uptime() {
	{ read -r up _ <"$root/proc/uptime"; } 2>/dev/null || return 0
	echo $((${up%.*} * 100 + 1${up#*.} - 100))
}

snapshot() { # before or after
	[ "$1" = after ] || begun=$(uptime)
	copy "$root/proc/interrupts" "$dir/$1-interrupts"
	copy "$root/proc/softirqs" "$dir/$1-softirqs"
	stats "$1"
	for name in $(netdevs); do
		[ -e "$root/sys/class/net/$name/carrier_changes" ] || continue
		mkdir -p "$dir/$1-carrier" 2>/dev/null || unwritten "$dir/$1-carrier"
		copy "$root/sys/class/net/$name/carrier_changes" "$dir/$1-carrier/$name"
	done
}

once() {
	copy "$root/proc/sys/kernel/osrelease" "$dir/kernel"
	for file in "$debugfs"/ntb_hw_intel/*/info; do
		[ -e "$file" ] || continue
		device=${file%/info}
		mkdir -p "$dir/info" 2>/dev/null || unwritten "$dir/info"
		copy "$file" "$dir/info/${device##*/}"
	done
	for name in $(netdevs); do
		mkdir -p "$dir/ethtool" 2>/dev/null || unwritten "$dir/ethtool"
		if ! command -v ethtool >/dev/null 2>&1; then
			unread "ethtool -l $name" "ethtool is not installed"
		elif ! told=$(ethtool -l "$name" 2>/dev/null); then
			unread "ethtool -l $name" "the driver does not tell"
		elif ! { printf '%s\n' "$told" >"$dir/ethtool/$name"; } 2>/dev/null; then
			unwritten "$dir/ethtool/$name"
		fi
	done
}

probe() { # name, function, arguments
	if echo "p:ntbbench/$1 $2 $3" >>"$tracefs/kprobe_events" 2>/dev/null; then
		probes="$probes $1"
		echo 1 >"$instance/events/ntbbench/$1/enable" 2>/dev/null
	else
		unread "probe on $2" "the kernel does not take it (is ntb_transport loaded?)"
	fi
}

trace_start() {
	if ! [ -d "$tracefs/instances" ] || ! [ -w "$tracefs/instances" ]; then
		hidden "trace" tracefs "$tracefs"
		return
	fi
	instance=$tracefs/instances/ntbbench-$$
	if ! mkdir "$instance" 2>/dev/null; then
		instance=
		unread trace "no tracing instance: $denied"
		return
	fi
	echo 0 >"$instance/tracing_on"
	echo 8192 >"$instance/buffer_size_kb"
	echo 0 >"$instance/options/overwrite" # a full buffer keeps its beginning, without a gap
	for event in irq_handler_entry softirq_entry tasklet_entry tasklet_exit; do
		[ -d "$instance/events/irq/$event" ] || continue
		echo 1 >"$instance/events/irq/$event/enable"
	done
	case $(uname -m) in
	x86_64) first=%di second=%si ;;
	aarch64) first=%x0 second=%x1 ;;
	*) first= second= ;;
	esac
	if ! [ -e "$tracefs/kprobe_events" ]; then
		unread "probes" "no kprobes in this kernel: wakeups are not traced"
	elif [ -z "$first" ]; then
		unread "probes" "the argument registers of $(uname -m) are not known"
	else
		probe db_event ntb_transport_doorbell_callback "ctx=$first:x64 vector=$second:s32"
		probe tasklet_schedule __tasklet_schedule "tasklet=$first:x64"
		probe rxc_db ntb_transport_rxc_db "qp=$first:x64"
	fi
	echo 1 >"$instance/tracing_on"
}

# Name the CPUs whose buffer was full before the end: `ingest` counts up to the first of them.
trace_full() {
	for file in "$instance"/per_cpu/cpu*/stats; do
		dropped=$(sed -n 's/^dropped events: *//p' "$file" 2>/dev/null)
		[ "${dropped:-0}" != 0 ] || continue
		cpu=${file%/stats}
		cpu=${cpu##*/cpu}
		{ echo "CPU$cpu dropped $dropped" >>"$dir/trace-full"; } 2>/dev/null ||
			unwritten "$dir/trace-full"
		unread "trace" "the buffer of CPU$cpu was full before the end: $dropped events are not in it"
	done
}

trace_end() { # keep or drop
	[ -n "$instance" ] || return 0
	ending=$instance # what cannot be written ends it too, and must find it ended
	echo 0 >"$ending/tracing_on"
	if [ "$1" = keep ]; then
		trace_full
		copy "$ending/trace" "$dir/trace"
	fi
	instance=
	for name in $probes; do
		echo 0 >"$ending/events/ntbbench/$name/enable" 2>/dev/null
		echo "-:ntbbench/$name" >>"$tracefs/kprobe_events" 2>/dev/null
	done
	probes=
	rmdir "$ending" 2>/dev/null || unread "$ending" "cannot be removed"
}

# The eBPF program counts in the kernel: its maps are bounded, and no event is printed.
bpftrace_start() {
	[ -z "$root" ] && command -v bpftrace >/dev/null 2>&1 || return 0
	program >"$dir/doorbell.bt" 2>/dev/null || unwritten "$dir/doorbell.bt"
	BPFTRACE_MAP_KEYS_MAX=1024 BPFTRACE_MAX_MAP_KEYS=1024 bpftrace -f json "$dir/doorbell.bt" \
		>"$dir/bpftrace.json" 2>"$dir/bpftrace.err" &
	recorder=$!
	waited=0
	until grep -q recording "$dir/bpftrace.json"; do
		if [ $waited -ge 60 ] || ! kill -0 "$recorder" 2>/dev/null; then
			unread bpftrace "$(grep . "$dir/bpftrace.err" | tail -n 1)"
			bpftrace_end drop
			return 0
		fi
		sleep 1
		waited=$((waited + 1))
	done
}

bpftrace_end() { # keep or drop
	[ -n "$recorder" ] || return 0
	kill -INT "$recorder" 2>/dev/null # it prints its maps
	wait "$recorder"
	recorder=
	[ "$1" = keep ] || rm -f "$dir/bpftrace.json"
	rm -f "$dir/bpftrace.err" "$dir/doorbell.bt"
}

program() {
	cat <<'PROGRAM'
@doorbell.bt@
PROGRAM
}

note() { # a line of DIR/capture
	{ printf '%s\n' "$1" >>"$dir/capture"; } 2>/dev/null || unwritten "$dir/capture"
}

finish() {
	trap '' HUP INT TERM # nearly done
	ended=$(uptime)
	snapshot after
	bpftrace_end keep
	trace_end keep
	[ -z "$begun" ] || [ -z "$ended" ] ||
		note "$(printf 'elapsed=%d.%02d' $(((ended - begun) / 100)) $(((ended - begun) % 100)))"
}

# An interrupted recording is a shorter one: all counts are differences of its two snapshots.
stop() {
	trap '' HUP INT TERM
	if [ -n "$sleeper" ]; then
		kill "$sleeper" 2>/dev/null
		wait "$sleeper"
		code=$?
		finish
		note interrupted
		echo "ntbbench: interrupted: $dir holds what was recorded until then" >&2
		[ "$seconds" != -- ] || command_end
	else
		bpftrace_end drop
		trace_end drop
		echo "ntbbench: interrupted" >&2
	fi
	exit 130
}
trap stop HUP INT TERM

# What COMMAND printed is kept, and shown; its exit code is ours.
command_end() {
	note "exit=$code"
	cat "$dir/stdout"
	[ -s "$dir/stdout" ] || rm -f "$dir/stdout"
	exit "$code"
}

begun=
case $seconds in
-- | -) given="command=$(printf '%s' "$*" | tr '\n' ' ')" ;;
*) given=seconds=$seconds ;;
esac
why=$({ printf 'ntbbench.capture/1\n%s\n' "$given" >"$dir/capture"; } 2>&1) ||
	unwritten "$dir/capture" "${why##*: }"
once
if [ "${NTBBENCH_TRACE-}" != no ]; then
	bpftrace_start
	trace_start
fi
snapshot before
exec 4<&0 # a background job's stdin would be /dev/null
case $seconds in
--) "$@" <&4 4<&- >"$dir/stdout" & ;;
-)
	echo recording
	cat <&4 4<&- >>"$dir/capture" &
	;;
*) sleep "$seconds" & ;;
esac
sleeper=$!
wait "$sleeper"
code=$?
finish
[ "$seconds" != -- ] || command_end
exit 0
