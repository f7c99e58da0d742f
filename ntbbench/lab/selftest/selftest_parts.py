# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the kernel's ntb_test.sh, and which of their failures are no driver's.

Source: tools/testing/selftests/ntb/ntb_test.sh, drivers/ntb/test/ of Linux 7.3.
"""

import re
from dataclasses import dataclass

from ntbbench.lab.pair.plan import DEVICES, EP, RC

WINDOW = 1 << 20  # bytes: ntb_tool asks for windows of one size, that of the pair's
ORDER = 20  # of the bytes that ntb_perf moves
SLOTS = 16  # of the endpoint: as many doorbells as the root complex has, so equal masks
TOOL, PINGPONG, PERF, MSI = "ntb_tool", "ntb_pingpong", "ntb_perf", "ntb_msi_test"
# Of the script's own names, with one peer on either side.
NAMES = {
    "EP": f"$DEBUGFS/ntb_tool/{DEVICES[EP]}",
    "RC": f"$DEBUGFS/ntb_tool/{DEVICES[RC]}",
}
EP_PEER, RC_PEER = f"{NAMES['EP']}/peer0", f"{NAMES['RC']}/peer0"


@dataclass(frozen=True)
class KnownFailure:
    """A failure that is the test's own or the pair's, never a driver's that is under test."""

    pattern: re.Pattern[str]  # in the output of the part, or on the console of a guest that died
    reason: str
    polled: bool = False  # of an endpoint that polls its doorbells alone


@dataclass(frozen=True)
class Part:
    """One part: what the script calls, and how it may fail through no driver's fault."""

    name: str
    module: str  # that is loaded for it
    call: str  # a command of the script
    known: tuple[KnownFailure, ...] = ()
    seconds: int = 60  # of the guest, after which it hangs

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
NO_MSI = KnownFailure(
    re.compile(r"ntb_msi_setup_mws"),
    "ntb_msi_setup_mws() takes an MSI for granted that this device has not",
)
PARTS = (
    Part("ports", TOOL, f"port_test {NAMES['EP']} {NAMES['RC']}"),
    Part("doorbells-ep-to-rc", TOOL, f"doorbell_test {NAMES['EP']} {NAMES['RC']}", (UNEQUAL,)),
    Part(
        "doorbells-rc-to-ep",
        TOOL,
        f"doorbell_test {NAMES['RC']} {NAMES['EP']}",
        (READ_AT_ONCE, UNEQUAL),
    ),
    Part("scratchpads-ep-to-rc", TOOL, f"scratchpad_test {EP_PEER} {RC_PEER}"),
    Part("scratchpads-rc-to-ep", TOOL, f"scratchpad_test {RC_PEER} {EP_PEER}"),
    Part("messages", TOOL, f"message_test {EP_PEER} {RC_PEER}"),
    Part("windows-ep-to-rc", TOOL, f"mw_test {EP_PEER} {RC_PEER}", (DECIMAL,)),
    Part("windows-rc-to-ep", TOOL, f"mw_test {RC_PEER} {EP_PEER}", (DECIMAL,)),
    Part("link-from-rc", TOOL, f"link_test {RC_PEER} {EP_PEER}"),
    Part("pingpong", PINGPONG, "ntb_pingpong_tests"),
    Part("perf", PERF, "ntb_perf_tests"),
    Part("link-from-ep", TOOL, f"link_test {EP_PEER} {RC_PEER}", (NO_LINK_DOWN,), 20),
    Part("msi", MSI, "ntb_msi_tests", (NO_MSI,)),  # the last: it panics
)
# Without a client no link is up; each part loads its own.
CALLS = f"""
LOCAL_PIDX=0 REMOTE_PIDX=0
if [ $MODULE = {TOOL} ]; then
	_modprobe $MODULE
	write_file Y "{NAMES["EP"]}/link"
	write_file Y "{NAMES["RC"]}/link"
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
