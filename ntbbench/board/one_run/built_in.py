# SPDX-License-Identifier: BSD-3-Clause
"""The programs that are known: what each side runs, and the numbers that are then there."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ntbbench.board.board_records import BoardCell, BoardMeasure
from ntbbench.board.settings import Board
from ntbbench.capture.readers.ntb_perf import COPIED, FAILED, errno_words
from ntbbench.core import iperf3
from ntbbench.core.errors import InputError
from ntbbench.core.latency_text import latencies

PING_TIME = re.compile(r"time[=<]([0-9.]+) ms")
PING_EVERY = 0.02  # seconds
NETPERF_TIME = re.compile(r"^P(50|99)_LATENCY=([0-9.]+)$", re.MULTILINE)
MS, US = 1e-3, 1e-6
BITS_A_BYTE = 8
# The write returns when all threads have ended.
NTB_PERF = (
    'for dir in /sys/kernel/debug/ntb_perf/*; do [ -e "$dir/run" ] || continue; '
    'echo 0 >"$dir/run" || exit 1; exec cat "$dir/run"; done; '
    "echo no ntb_perf in debugfs: is it loaded?; exit 1"
)
Counters = Mapping[str, float]


@dataclass(frozen=True)
class Program:
    """What a cell runs.

    Parameters
    ----------
    server : shell line of the receiver, ended with the client; empty: none.
    client : shell line of the sender.
    """

    server: str
    client: str


@dataclass(frozen=True)
class ProgramOutput:
    """What a run left: the client's words, and the counters of each side around it."""

    text: str
    before: Mapping[str, Counters]
    after: Mapping[str, Counters]


@dataclass(frozen=True)
class BuiltIn:
    """A known program.

    Parameters
    ----------
    lines : what each side runs.
    read : the numbers; InputError: they are not there.
    tools : what both sides have installed.
    client : module whose folder in debugfs is used; empty: none.
    """

    lines: Callable[[Board, BoardCell], Program]
    read: Callable[[ProgramOutput, BoardCell], list[BoardMeasure]]
    tools: Sequence[str] = ()
    client: str = ""


def _receiver(board: Board, cell: BoardCell) -> str:
    return board.side(cell.direction.split("-")[1]).address


def _iperf3(board: Board, cell: BoardCell) -> Program:
    how, to = board.how, _receiver(board, cell)
    words = ["iperf3", "-c", to, "-p", str(how.port), "-t", str(how.seconds), "-J"]
    words += ["-P", str(cell.flows), "-B", board.side(cell.direction.split("-")[0]).address]
    if cell.protocol == "udp":
        words += ["-u", "-b", str(flow_rate(how.rate, cell.flows))]
    return Program(f"exec iperf3 -s -1 -p {how.port} >/dev/null", shlex.join(words))


def flow_rate(rate: str, flows: int) -> int:
    """Return the rate of one flow, bits per second: iperf3 takes -b for each."""
    scale = {"K": 10**3, "M": 10**6, "G": 10**9}
    number = int(rate.rstrip("KMG")) * scale.get(rate[-1], 1)
    return max(1, number // flows)


def _ping(board: Board, cell: BoardCell) -> Program:
    count = round(board.how.seconds / PING_EVERY)
    return Program("", f"ping -n -c {count} -i {PING_EVERY} {_receiver(board, cell)}")


def _sockperf(board: Board, cell: BoardCell) -> Program:
    at = f"-i {_receiver(board, cell)} -p {board.how.port}"
    client = f"sockperf ping-pong {at} -t {board.how.seconds}"
    return Program(f"exec sockperf server {at} >/dev/null", client)


def _netperf(board: Board, cell: BoardCell) -> Program:
    """Source: netperf 2.7 (its manual: -j, -P, the output selectors of the omni tests)."""
    to, port = _receiver(board, cell), board.how.port
    asked = "-t TCP_RR -P 0 -j -- -k P50_LATENCY,P99_LATENCY"
    return Program(
        f"exec netserver -D -L {to} -p {port} >/dev/null",
        f"netperf -H {to} -p {port} -l {board.how.seconds} {asked}",
    )


def _ntb_perf(_board: Board, _cell: BoardCell) -> Program:
    """Source: drivers/ntb/test/ntb_perf.c (perf_dbgfs_write_run), Linux 4.16 to 7.3."""
    return Program("", NTB_PERF)


def _ntb_pingpong(board: Board, _cell: BoardCell) -> Program:
    """Doorbells go to and fro from when both sides have loaded it: the counters tell them."""
    return Program("", f"exec sleep {board.how.seconds}")


def _of_iperf3(told: ProgramOutput, cell: BoardCell) -> list[BoardMeasure]:
    document = iperf3.read(told.text, "iperf3")
    if document.error:
        raise InputError("iperf3", document.error, "a run that succeeds")
    rate, _ = document.arrived("")
    found = [BoardMeasure(name="throughput", unit="bit/s", value=rate)]
    if cell.protocol == "udp":
        lost, _ = iperf3.loss(document, "")
        return found + ([] if lost is None else [BoardMeasure(name="lost", unit="%", value=lost)])
    again = document.number("end.sum_sent.retransmits")
    return found + (
        [] if again is None else [BoardMeasure(name="retransmits", unit="", value=again)]
    )


def _of_ping(told: ProgramOutput, _cell: BoardCell) -> list[BoardMeasure]:
    times = [float(found) * MS for found in PING_TIME.findall(told.text)]
    if not times:
        raise InputError("ping", told.text.strip()[-80:], "replies")
    return [_latency("round trip", q, float(np.quantile(times, q / 100))) for q in (50, 99)]


def _of_sockperf(told: ProgramOutput, _cell: BoardCell) -> list[BoardMeasure]:
    runs = latencies(told.text, "sockperf")
    found = [
        _latency("half round trip", round(float(name)), seconds)
        for name, seconds in runs[0].percentiles.items()
        if float(name) in (50, 99)
    ]
    if not found:
        raise InputError("sockperf", told.text.strip()[-80:], "its percentiles")
    return found


def _of_netperf(told: ProgramOutput, _cell: BoardCell) -> list[BoardMeasure]:
    found = dict(NETPERF_TIME.findall(told.text))
    if found.keys() != {"50", "99"}:
        raise InputError("netperf", told.text.strip()[-80:], "P50_LATENCY and P99_LATENCY")
    return [_latency("round trip", int(q), float(found[q]) * US) for q in ("50", "99")]


def _latency(what: str, q: int, seconds: float) -> BoardMeasure:
    return BoardMeasure(name=f"{what} p{q}", unit="s", value=seconds)


def _of_ntb_perf(told: ProgramOutput, _cell: BoardCell) -> list[BoardMeasure]:
    """Return what the CPU or a DMA channel copies through the window; no doorbell is in it."""
    if (failed := FAILED.search(told.text)) is not None:
        why = f"copies that succeed; {errno_words(int(failed[2]))}"
        raise InputError("ntb_perf", f"thread {failed[1]}: error {failed[2]}", why)
    rates = [int(copied) / int(usecs) for _, copied, usecs, _ in COPIED.findall(told.text)]
    if not rates:
        raise InputError("ntb_perf", told.text.strip()[-80:], "N: copied B bytes in T usecs")
    rate = sum(rates) * BITS_A_BYTE / US
    return [BoardMeasure(name="copy throughput", unit="bit/s", value=rate)]


def _of_ntb_pingpong(told: ProgramOutput, cell: BoardCell) -> list[BoardMeasure]:
    """Return the mean time between two doorbells of a side.

    Both sides wait `delay_ms` before they answer. Where that is 0 it is a round trip: two
    doorbells, each to its callback, and two timers that expire at once.

    Source: drivers/ntb/test/ntb_pingpong.c (pp_pong, pp_timer_func), Linux 7.3.
    """
    sender = cell.direction.split("-")[0]
    before, after = told.before[sender], told.after[sender]
    key = "ping-pong count"
    if key not in before or key not in after or after[key] <= before[key]:
        counts = f"{before.get(key)} and {after.get(key)} doorbells"
        raise InputError("ntb_pingpong", counts, "a count that grows: loaded on both sides?")
    period = (after["uptime"] - before["uptime"]) / (after[key] - before[key])
    answers_at_once = all(side.get("ping-pong delay") == 0 for side in told.after.values())
    name = "ping-pong round trip" if answers_at_once else "ping-pong period"
    return [BoardMeasure(name=name, unit="s", value=period)]


BUILT_IN = {
    "iperf3": BuiltIn(_iperf3, _of_iperf3, ("iperf3",)),
    "ping": BuiltIn(_ping, _of_ping, ("ping",)),
    "sockperf": BuiltIn(_sockperf, _of_sockperf, ("sockperf",)),
    "netperf": BuiltIn(_netperf, _of_netperf, ("netperf", "netserver")),
    "ntb_perf": BuiltIn(_ntb_perf, _of_ntb_perf, client="ntb_perf"),
    "ntb_pingpong": BuiltIn(_ntb_pingpong, _of_ntb_pingpong, client="ntb_pingpong"),
}
