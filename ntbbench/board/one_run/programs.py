# SPDX-License-Identifier: BSD-3-Clause
"""The programs of a run: their command lines, and the numbers in what they print."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ntbbench.ab.metrics import Left, parse_metric
from ntbbench.ab.process import Ran
from ntbbench.board.board_records import BoardCell, BoardMeasure
from ntbbench.board.settings import Board
from ntbbench.core import iperf3
from ntbbench.core.errors import InputError
from ntbbench.core.latency_text import latencies

PING_TIME = re.compile(r"time[=<]([0-9.]+) ms")
PING_EVERY = 0.02  # seconds
SERVER_READY = 0.3  # seconds until a server listens


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


def program_of(board: Board, cell: BoardCell) -> Program:
    """Return the command lines of a cell."""
    sender, receiver = cell.direction.split("-")
    how, to = board.how, board.side(receiver).address
    if cell.program == "iperf3":
        words = ["iperf3", "-c", to, "-p", str(how.port), "-t", str(how.seconds), "-J"]
        words += ["-P", str(cell.flows), "-B", board.side(sender).address]
        if cell.protocol == "udp":
            words += ["-u", "-b", _shared_rate(how.rate, cell.flows)]
        return Program(f"exec iperf3 -s -1 -p {how.port} >/dev/null", shlex.join(words))
    if cell.program == "ping":
        count = round(how.seconds / PING_EVERY)
        return Program("", f"ping -n -c {count} -i {PING_EVERY} {to}")
    if cell.program == "sockperf":
        at = f"-i {to} -p {how.port}"
        client = f"sockperf ping-pong {at} -t {how.seconds}"
        return Program(f"exec sockperf server {at} >/dev/null", client)
    own = next(one for one in board.commands if one.name == cell.program)
    known = {
        "{address}": to,
        "{netdev}": board.side(sender).netdev,
        "{seconds}": str(how.seconds),
    }
    client, server = own.command, own.server
    for name, value in known.items():
        client, server = client.replace(name, value), server.replace(name, value)
    return Program(server, client)


def _shared_rate(rate: str, flows: int) -> str:
    """Return the rate of one flow: iperf3 takes -b for each."""
    scale = {"K": 10**3, "M": 10**6, "G": 10**9}
    number = int(rate.rstrip("KMG")) * scale.get(rate[-1], 1)
    return str(max(1, number // flows))


def numbers(board: Board, cell: BoardCell, printed: bytes) -> list[BoardMeasure]:
    """Return the numbers in what a client printed; InputError: they are not there."""
    text = printed.decode(errors="backslashreplace")
    if cell.program == "iperf3":
        return _of_iperf3(text, cell)
    if cell.program == "ping":
        return _of_ping(text)
    if cell.program == "sockperf":
        return _of_sockperf(text)
    own = next(one for one in board.commands if one.name == cell.program)
    metric = parse_metric(own.metric)
    value = metric.value(Left(Ran(0.0, 0.0, printed), None, Path()))
    return [BoardMeasure(name=own.name, unit=own.unit, value=value)]


def _of_iperf3(text: str, cell: BoardCell) -> list[BoardMeasure]:
    document = iperf3.read(text, "iperf3")
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


def _of_ping(text: str) -> list[BoardMeasure]:
    times = [float(found) for found in PING_TIME.findall(text)]
    if not times:
        raise InputError("ping", text.strip()[-80:], "replies")
    return _quantiles("round trip", [time / 1000 for time in times])


def _quantiles(name: str, times: Sequence[float]) -> list[BoardMeasure]:
    return [
        BoardMeasure(name=f"{name} p{q}", unit="s", value=float(np.quantile(times, q / 100)))
        for q in (50, 99)
    ]


def _of_sockperf(text: str) -> list[BoardMeasure]:
    runs = latencies(text, "sockperf")
    found = [
        BoardMeasure(name=f"half round trip p{round(float(name))}", unit="s", value=seconds)
        for name, seconds in runs[0].percentiles.items()
        if float(name) in (50, 99)
    ]
    if not found:
        raise InputError("sockperf", text.strip()[-80:], "its percentiles")
    return found
