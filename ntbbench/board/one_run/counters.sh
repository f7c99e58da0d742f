# SPDX-License-Identifier: BSD-3-Clause
# Tell the counters of a host; nothing is written. sh -c "$(cat counters.sh)" counters NETDEV
LC_ALL=C
export LC_ALL
say() { printf '%s\t%s\n' "$1" "$2"; }
read -r up _ </proc/uptime
say uptime "$up"
for file in /sys/kernel/debug/ntb_pingpong/*/count; do
	{ read -r value <"$file"; } 2>/dev/null && say "ping-pong count" "$value"
done
{ read -r value </sys/module/ntb_pingpong/parameters/delay_ms; } 2>/dev/null &&
	say "ping-pong delay" "$value"
awk '$1 == "cpu" {
	print "cpu user\t" $2 + $3; print "cpu system\t" $4
	print "cpu irq\t" $7; print "cpu softirq\t" $8
}' /proc/stat
for name in rx_packets tx_packets rx_dropped tx_dropped; do
	{ read -r value <"/sys/class/net/$1/statistics/$name"; } 2>/dev/null && say "$name" "$value"
done
# The packets of each transmit queue: those of its device's QPs, else those that the qdisc mq counts.
path=$(readlink -f "/sys/class/net/$1/device" 2>/dev/null)
for file in /sys/kernel/debug/ntb_transport/*/qp*/stats; do
	[ -r "$file" ] || continue
	qp=${file%/stats}
	device=${qp%/*}
	case $path/ in */"${device##*/}"/*) ;; *) continue ;; esac
	[ -n "${qps-}" ] || say "device ${device##*/}" 1
	say "queue ${qp##*/qp}" "$(sed -n 's/^tx_pkts[^0-9]*//p' "$file")"
	qps=yes
done
[ -n "${qps-}" ] || tc -s class show dev "$1" 2>/dev/null | awk '
	$1 == "class" && $2 == "mq" {split($3, at, ":"); queue = at[2]}
	$1 == "Sent" && queue != "" {print "queue " queue "\t" $4; queue = ""}'
for file in /sys/class/thermal/thermal_zone*/temp; do
	{ read -r value <"$file"; } 2>/dev/null && say "celsius ${file%/temp}" "$value"
done
for file in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq; do
	{ read -r value <"$file"; } 2>/dev/null && say "kilohertz $file" "$value"
done
:
