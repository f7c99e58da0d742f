#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Print what an NTB board does, one line an interval, until it is interrupted.
#
#   sh watch.sh [SECONDS [COUNT]]
#
# Per second: doorbell interrupts, runs of ntb_transport's receive tasklets (between bounds), runs
# per interrupt, packets, and which QP's ring refused a send or is full. Root and a mounted debugfs
# give all but the interrupts. Nothing is written. NTBBENCH_ROOT stands before /proc and /sys.

set -u
LC_ALL=C
export LC_ALL

fail() {
	echo "ntbbench: $*" >&2
	exit 2
}

whole() { # name, value, most
	case $2 in
	'' | *[!0-9]* | ??????*) fail "$1: '$2': a whole number from 1 to $3" ;;
	esac
	[ "$2" -ge 1 ] && [ "$2" -le "$3" ] || fail "$1: '$2': a whole number from 1 to $3"
}

interval=${1-1}
count=${2-0}
root=${NTBBENCH_ROOT-}
[ $# -le 2 ] || fail "usage: sh watch.sh [SECONDS [COUNT]]"
whole SECONDS "$interval" 3600
[ "$count" = 0 ] || whole COUNT "$count" 99999
[ -r "$root/proc/interrupts" ] || fail "$root/proc/interrupts: cannot be read"
trap 'exit 0' HUP INT TERM
trap '' PIPE

# Interrupts of NTB's doorbell lines: the slots of the epf drivers are in order, link and reserved
# first; of other drivers a line may carry link events too, so that they are at most that many.
interrupts() {
	set -f # a row may hold a star
	sum=0 lines=0 slots=0 embedded=0
	while read -r label rest; do
		case "$label $rest" in
		CPU*)
			cpus=0
			for word in $label $rest; do cpus=$((cpus + 1)); done
			continue
			;;
		*ntb_epf | *pci_epf_vntb_db) own=1 ;;
		*ndev_vec_isr* | *ndev_irq_isr* | *switchtec_ntb_doorbell* | *ntb_irq_idt* | *ntb_transport)
			own=
			;;
		*) continue ;;
		esac
		lines=$((lines + 1)) of=0 columns=$cpus
		for word in $rest; do
			case $word in
			*[!0-9]*) break ;;
			esac
			[ "$columns" -gt 0 ] || break
			of=$((of + word)) columns=$((columns - 1))
		done
		if [ -n "$own" ]; then
			slots=$((slots + 1))
			[ "$slots" -ne 1 ] || embedded=$of
			[ "$slots" -gt 2 ] || continue
		fi
		sum=$((sum + of))
	done <<LINES
$(cat "$root/proc/interrupts")
LINES
	set +f
	[ "$slots" -ne 1 ] || sum=$((sum + embedded))
}

# What the QPs counted since the last look: packets, bounds of the runs, which rings are full. A
# counter that went back, or a QP that came, makes the runs of this interval unknown.
counters() {
	rx=0 tx=0 low=0 high=0 known=yes full= qp=0
	for file in "$root"/sys/kernel/debug/ntb_transport/*/qp*/stats; do
		[ -r "$file" ] || continue
		qp=$((qp + 1)) ended=0 taken=0 received=0 sent=0 most=0 refused=0 head=- tail=
		while read -r name rest; do
			value=${rest##*[!0-9]}
			case $name in
			rx_pkts) received=$value taken=$((taken + value)) ;;
			rx_err_oflow) taken=$((taken + value)) ;;
			rx_ring_empty | rx_err_no_buf | rx_err_ver) ended=$((ended + value)) ;;
			rx_max_entry) most=$value ;;
			tx_pkts) sent=$value ;;
			tx_ring_full) refused=$value ;;
			tx_index) head=$value ;;
			RRI) tail=$value ;;
			esac
		done <"$file"
		eval "set -- \${was_$qp:-none}"
		eval "was_$qp='$ended $taken $received $sent $refused $most $file'"
		[ "$most" -ne 0 ] || continue # its link is down
		[ "$head" != "$tail" ] || full="$full,${file##*/qp}"
		if [ $# -ne 7 ] || [ "$6 $7" != "$most $file" ] || [ "$ended" -lt "$1" ] ||
			[ "$taken" -lt "$2" ] || [ "$received" -lt "$3" ] || [ "$sent" -lt "$4" ]; then
			known=
			continue
		fi
		low=$((low + ended - $1)) high=$((high + ended - $1 + (taken - $2) / most))
		rx=$((rx + received - $3)) tx=$((tx + sent - $4))
		case $full in
		*,"${file##*/qp}") ;;
		*) [ "$refused" -le "$5" ] || full="$full,${file##*/qp}" ;;
		esac
	done
	[ "$qp" -gt 0 ] || known=
}

uptime() { # hundredths of a second
	read -r up _ <"$root/proc/uptime"
	echo $((${up%.*} * 100 + 1${up#*.} - 100))
}

rate() { # count
	echo $((($1 * 100 + elapsed / 2) / elapsed))
}

span() { # low, high
	[ "$1" = "$2" ] && echo "$1" || echo "$1..$2"
}

ratio() { # of the runs to the interrupts, in hundredths
	set -- $((($1 * 100 + $2 / 2) / $2))
	printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

show() {
	amp='?' runs='?' packets='rx/s ? tx/s ?'
	if [ -n "$known" ]; then
		runs=$(span "$(rate $low)" "$(rate $high)")
		packets="rx/s $(rate $rx) tx/s $(rate $tx)"
		[ "$rung" -le 0 ] || amp=$(span "$(ratio $low "$rung")" "$(ratio $high "$rung")")
	fi
	irq=$(rate "$rung")
	[ "$lines" -gt 0 ] && [ "$rung" -ge 0 ] || irq='?'
	rings=$(printf '%s' "$full" | sed 's|/stats||g; s|,|,qp|g; s|^,||')
	echo "irq/s $irq runs/s $runs amp $amp $packets full ${rings:--}"
}

cpus=0
interrupts
counters
[ "$lines" -gt 0 ] || echo "ntbbench: no interrupt line of an NTB driver" >&2
[ "$qp" -gt 0 ] || echo "ntbbench: no counters of QPs: root and a mounted debugfs have them" >&2
before=$sum then=$(uptime) shown=0
while :; do
	sleep "$interval" &
	wait $! # a signal ends this at once
	interrupts
	counters
	now=$(uptime)
	elapsed=$((now - then)) rung=$((sum - before))
	[ "$elapsed" -gt 0 ] || elapsed=1
	show 2>/dev/null || exit 0 # nobody reads
	before=$sum then=$now shown=$((shown + 1))
	[ "$shown" != "$count" ] || exit 0
done
