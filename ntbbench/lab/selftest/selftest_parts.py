# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the kernel's ntb_test.sh, and which of their failures are no driver's.

Source: tools/testing/selftests/ntb/ntb_test.sh, drivers/ntb/test/ of Linux 7.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ntbbench.lab.pair.plan import DEVICES, EP, HOST_DEVICES, RC, AnySetup, HostSetup
from ntbbench.pair.drivers.patches import Side
from ntbbench.pair.setting import HOST_ENDS

WINDOW = 1 << 20  # bytes: ntb_tool asks for windows of one size, that of the pair's
ORDER = 20  # of the bytes that ntb_perf moves
SLOTS = 16  # of the endpoint: as many doorbells as the root complex has, so equal masks
TOOL, PINGPONG, PERF, MSI = "ntb_tool", "ntb_pingpong", "ntb_perf", "ntb_msi_test"
SECONDS, LINK_SECONDS = 60, 20  # of the guest, after which a part hangs


@dataclass(frozen=True)
class KnownFailure:
    """A failure that is the test's own or the pair's, never a driver's that is under test."""

    pattern: re.Pattern[str]  # in the output of the part, or on the console of a guest that died
    reason: str
    polled: bool = False  # of an endpoint that polls its doorbells alone
    hollow: bool = False  # the part passes: what the log says is that it had nothing to test


@dataclass(frozen=True)
class Part:
    """One part: what the script calls, and how it may fail through no driver's fault."""

    name: str
    module: str  # that is loaded for it
    call: str  # a command of the script
    known: tuple[KnownFailure, ...] = ()
    seconds: int = SECONDS

    @property
    def line(self) -> str:
        """The part as the guest reads it."""
        return f"{self.name} {self.seconds} {self.module} {self.call}\n"


HANGS = re.compile(r"^Terminated$|^timed out", re.MULTILINE)
EINVAL = re.compile(r"write error: Invalid argument")
DECIMAL = KnownFailure(
    EINVAL, "ntb_tool parses decimal addresses, the script writes hexadecimal ones"
)
READ_AT_ONCE = KnownFailure(
    re.compile(r"Doorbell doesn't match expected value"),
    "the script reads a doorbell at once, a polled endpoint sees it 5 ms later",
    polled=True,
)
UNEQUAL = KnownFailure(EINVAL, "the script rings every bit of the sender's mask; the masks differ")
NO_LINK_DOWN = KnownFailure(
    HANGS, "pci-epf-vntb never takes the link down, the script waits for ever"
)
NO_WINDOW = KnownFailure(
    re.compile(r"ntb_msi_test .*: Found 0 interrupts"),
    "the rig leads no window to an interrupt of the other host, so there was none to raise",
    hollow=True,
)
NO_MSI = KnownFailure(
    re.compile(r"ntb_msi_setup_mws"),
    "ntb_msi_setup_mws() takes an MSI for granted that this device has not",
)


def parts_between(
    first: str,
    second: str,
    devices: Mapping[Side, str],
    known: Mapping[str, tuple[KnownFailure, ...]],
) -> tuple[Part, ...]:
    """Return the parts, by the two ends' names and PCI addresses; `known` is by part."""
    one, two = (f"$DEBUGFS/ntb_tool/{devices[side]}" for side in (EP, RC))
    there, back = f"{first}-to-{second}", f"{second}-to-{first}"
    peers = (f"{one}/peer0 {two}/peer0", f"{two}/peer0 {one}/peer0")
    rows = (
        ("ports", TOOL, f"port_test {one} {two}"),
        (f"doorbells-{there}", TOOL, f"doorbell_test {one} {two}"),
        (f"doorbells-{back}", TOOL, f"doorbell_test {two} {one}"),
        (f"scratchpads-{there}", TOOL, f"scratchpad_test {peers[0]}"),
        (f"scratchpads-{back}", TOOL, f"scratchpad_test {peers[1]}"),
        ("messages", TOOL, f"message_test {peers[0]}"),
        (f"windows-{there}", TOOL, f"mw_test {peers[0]}"),
        (f"windows-{back}", TOOL, f"mw_test {peers[1]}"),
        (f"link-from-{second}", TOOL, f"link_test {peers[1]}"),
        ("pingpong", PINGPONG, "ntb_pingpong_tests"),
        ("perf", PERF, "ntb_perf_tests"),
        (f"link-from-{first}", TOOL, f"link_test {peers[0]}"),
        ("msi", MSI, "ntb_msi_tests"),  # the last: it panics
    )
    return tuple(_part(*row, known.get(row[0], ())) for row in rows)


def _part(name: str, module: str, call: str, known: tuple[KnownFailure, ...]) -> Part:
    seconds = LINK_SECONDS if NO_LINK_DOWN in known else SECONDS
    return Part(name, module, call, known, seconds)


PARTS = parts_between(
    "ep",
    "rc",
    DEVICES,
    {
        "doorbells-ep-to-rc": (UNEQUAL,),
        "doorbells-rc-to-ep": (READ_AT_ONCE, UNEQUAL),
        "windows-ep-to-rc": (DECIMAL,),
        "windows-rc-to-ep": (DECIMAL,),
        "link-from-ep": (NO_LINK_DOWN,),
        "msi": (NO_MSI,),
    },
)
HOST_PARTS = parts_between(
    *HOST_ENDS.names,
    HOST_DEVICES,
    {
        "doorbells-host1-to-host2": (UNEQUAL,),
        "doorbells-host2-to-host1": (UNEQUAL,),
        "windows-host1-to-host2": (DECIMAL,),
        "windows-host2-to-host1": (DECIMAL,),
        "msi": (NO_WINDOW, NO_MSI),
    },
)


def parts_of(setup: AnySetup) -> tuple[Part, ...]:
    """Return the parts between the ends of a setup."""
    return HOST_PARTS if isinstance(setup, HostSetup) else PARTS


# Without a client no link is up; each part loads its own.
CALLS = f"""
LOCAL_PIDX=0 REMOTE_PIDX=0
if [ $MODULE = {TOOL} ]; then
	_modprobe $MODULE
	write_file Y "$DEBUGFS/ntb_tool/$EP_DEVICE/link"
	write_file Y "$DEBUGFS/ntb_tool/$RC_DEVICE/link"
	sleep 1
fi
set +e
( set -e; eval "$CALL" )
status=$?
# A window that a failed test leaves is freed: ntb_tool uses it after it is unloaded.
for window in $DEBUGFS/ntb_tool/*/peer0/mw_trans*; do
	[ ! -e $window ] || echo 0 > $window
done
exit $status
"""


def only_parts(script: str) -> str:
    """Return ntb_test.sh such that it runs $CALL instead of all its tests."""
    calls = re.compile(r"^ntb_\w+_tests$", re.MULTILINE)
    return f"{calls.sub(':', script)}{CALLS}"
