# SPDX-License-Identifier: BSD-3-Clause
"""A first board.toml, of what two hosts tell."""

import re

from ntbbench.board.hosts import Host
from ntbbench.core.errors import InputError

# Network devices with the driver of their parent, then the addresses that they have.
ASKED = """
for net in /sys/class/net/*; do
	driver=$(readlink "$net/device/driver" 2>/dev/null)
	echo "device ${net##*/} ${driver##*/}"
done
ip -o addr show scope global 2>/dev/null | awk '{print "address " $2 " " $4}'
"""
NTB_DRIVERS = ("ntb_netdev", "ntb_transport")
TEXT = """\
# Of `ntbbench board init`; `ntbbench board check` tells what is missing.
[rc]
host = "{rc_host}"
netdev = "{rc_netdev}"
address = "{rc_address}"
# up = "ip addr add {rc_address}/24 dev {rc_netdev}; ip link set {rc_netdev} up"  # after a load

[ep]
host = "{ep_host}"
netdev = "{ep_netdev}"
address = "{ep_address}"

[axes]
queues = []           # [1, 4]: `ethtool -L` on both sides
affinity = ["found"]  # "single", "spread", "irqbalance", "0,1,2,3"
protocol = ["tcp"]    # "udp"
flows = [1]
direction = ["rc-ep", "ep-rc"]
programs = ["iperf3", "ping"]

[how]
until = "decided"     # or a number of blocks
seconds = 10
settle = 2

[[variants]]
name = "before"
# modules = ["/root/before/ntb_transport.ko", "/root/before/ntb_netdev.ko"]

# [[variants]]
# name = "after"
# modules = ["/root/after/ntb_transport.ko", "/root/after/ntb_netdev.ko"]
"""
PLACE = re.compile(r"address (\S+) ([0-9a-fA-F.:]+)/\d+")


def first_board(hosts: dict[str, Host], places: dict[str, str]) -> str:
    """Return the text of a first board.toml.

    Parameters
    ----------
    places : `host` of each side.

    InputError: a side has no network device with an address on it.
    """
    values: dict[str, str] = {}
    for side, host in hosts.items():
        netdev, address = _device(host.checked(ASKED).text, side, places[side])
        values |= {f"{side}_host": places[side], f"{side}_netdev": netdev}
        values |= {f"{side}_address": address}
    return TEXT.format(**values)


def _device(told: str, side: str, place: str) -> tuple[str, str]:
    """Return the device of NTB with its address; else the last one that has an address."""
    addresses: dict[str, str] = {}
    for name, address in PLACE.findall(told):
        addresses.setdefault(name.partition("@")[0], address)
    drivers = dict(re.findall(r"device (\S+) (\S*)", told))
    ours = [name for name in addresses if drivers.get(name) in NTB_DRIVERS]
    names = ours or list(addresses)
    if not names:
        raise InputError(side, place, "a host with a network device that has an address")
    return names[-1], addresses[names[-1]]
