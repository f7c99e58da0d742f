# SPDX-License-Identifier: BSD-3-Clause
# Tell what there is on a host; nothing is written. sh -c "$(cat survey.sh)" survey NETDEV MODULE...
LC_ALL=C
export LC_ALL
netdev=$1
shift
say() { printf '%s\t%s\n' "$1" "$2"; }
tell() { # key, file; no process, since a host has many interrupts
	value=
	{ read -r value <"$2"; } 2>/dev/null
	say "$1" "$value"
}

say kernel "$(uname -r)"
say machine "$(uname -m)"
tell boot /proc/sys/kernel/random/boot_id
say uid "$(id -u)"
say clock "$(date +%s)"
tell cpus /sys/devices/system/cpu/online
say owner "$(readlink /tmp/ntbbench-board.lock)"
say free "$(df -Pk /tmp 2>/dev/null | awk 'NR == 2 {print $4}')"
tell state "/sys/class/net/$netdev/operstate"
say driver "$(readlink "/sys/class/net/$netdev/device/driver" 2>/dev/null | sed 's,.*/,,')"
for tool in setsid tar gzip ethtool iperf3 sockperf netperf netserver ping tc modinfo systemctl; do
	command -v "$tool" >/dev/null 2>&1 && say "tool $tool" yes
done
ethtool -l "$netdev" 2>/dev/null | awk -F: '
	/Pre-set maximums/ {kind = "most"}
	/Current hardware settings/ {kind = "channels"}
	/^(RX|TX|Combined):/ && $2 ~ /[0-9]/ {
		gsub(/[^0-9]/, "", $2)
		print kind " " tolower($1) "\t" $2
	}'
for module in "$@"; do
	tell "module $module" "/sys/module/$module/srcversion"
	[ -d "/sys/module/$module" ] && say "loaded $module" yes
	say "modprobe $module" "$(modinfo -F srcversion "$module" 2>/dev/null)"
done
for file in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
	[ -r "$file" ] || continue
	cpu=${file#/sys/devices/system/cpu/}
	tell "governor ${cpu%%/*}" "$file"
done
daemon=$(pidof irqbalance 2>/dev/null)
say irqbalance "${daemon:+running}"
path=$(readlink -f "/sys/class/net/$netdev/device" 2>/dev/null)
for qps in /sys/kernel/debug/ntb_transport/*; do
	[ -d "$qps" ] || continue
	case $path/ in */"${qps##*/}"/*) ;; *) continue ;; esac
	say "transport ${qps##*/}" "$(ls "$qps" 2>/dev/null | tr '\n' ' ')"
done
[ -n "$(ls /sys/kernel/debug 2>/dev/null)" ] && say debugfs yes
for client in ntb_perf ntb_pingpong; do
	[ -n "$(ls "/sys/kernel/debug/$client" 2>/dev/null)" ] && say "client $client" yes
done
[ -d /sys/kernel/tracing/events ] && say tracefs yes
for file in /proc/irq/[0-9]*/smp_affinity_list; do
	number=${file#/proc/irq/}
	tell "irq ${number%%/*}" "$file"
done
sed 's/^/line\t/' /proc/interrupts
