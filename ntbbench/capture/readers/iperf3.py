# SPDX-License-Identifier: BSD-3-Clause
"""Runs of iperf3, in whatever form: what arrived, each way, each run once."""

from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.records import Measured, Throughput
from ntbbench.core.errors import InputError
from ntbbench.core.iperf3 import BACK, Iperf3Document, doubts, loss, read
from ntbbench.core.iperf3_forms import documents, is_iperf3
from ntbbench.core.text_file import read_small

PROTOCOLS = {"TCP", "UDP", "SCTP"}


def _iperf3(path: Path, known: Known) -> Measured:
    """Return what arrived: one row per run, or two of a run in both directions; each run once.

    A server's file does not say what arrived at the client.
    """
    measured = Measured()
    own: dict[str, str] = {}  # a damaged file is not the one that counts
    again = 0
    for text in documents(read_small(path), str(path)):
        document = _run(text, path)
        first = known.runs.get(document.identity) or own.get(document.identity)
        if first is not None:
            again += 1
            measured.cautions.append(f"{path}: a run of {first} is there again: it counts once")
            continue
        own[document.identity] = str(path)
        measured.throughput.extend(_rows(document, str(path), measured.cautions))
    if not measured.throughput and not again:
        raise InputError(str(path), "a server that only sent", "the client's iperf3 -J")
    known.runs |= own
    measured.cautions[:] = dict.fromkeys(measured.cautions)
    return measured


def _run(text: str, path: Path) -> Iperf3Document:
    document = read(text, str(path))
    if document.error is not None:
        raise InputError(str(path), document.error, "a run that ended without an error")
    if document.find("start") is None:
        raise InputError(str(path), "iperf3", "an object with start and end, as iperf3 -J prints")
    return document


def _rows(document: Iperf3Document, source: str, cautions: list[str]) -> list[Throughput]:
    rows = []
    for way in document.ways():
        cautions += [f"{document.where}: iperf3: {doubt.text}" for doubt in doubts(document, way)]
        if document.only_sent(way):
            text = "iperf3's server does not know what arrived at the client"
            cautions.append(f"{document.where}: {text}")
        elif way and not document.has_total(way):
            cautions.append(f"{document.where}: iperf3: the way back has no total: not known")
        else:
            rows.append(_row(document, source, way))
    return rows


def _row(document: Iperf3Document, source: str, way: str) -> Throughput:
    """Return one direction. UDP's `sum` is what was sent, lost datagrams too: only older iperf3,
    which has no `sum_received`, is taken by it."""
    protocol = document.find("start.test_start.protocol")
    if protocol not in PROTOCOLS:
        allowed = "TCP, UDP or SCTP: missing or damaged"
        raise InputError(document.where, "start.test_start.protocol", allowed)
    streams = document.needed("start.test_start.num_streams")
    rate, as_sent = document.arrived(way)
    end = f"end.sum{way}" if as_sent else f"end.sum_received{way}"
    what = f"{protocol}, {streams:.0f} streams{', as sent' if as_sent else ''}"
    retransmits = _known(document, f"end.sum_sent{way}.retransmits")
    return Throughput(
        source=source,
        tool="iperf3",
        what=f"{what}, reverse" if way == BACK else what,
        bits_per_second=rate,
        seconds=document.needed(f"{end}.seconds"),
        retransmits=None if retransmits is None else int(retransmits),
        lost_percent=loss(document, way)[0],
        cpu_host_percent=_known(document, "end.cpu_utilization_percent.host_total"),
        cpu_remote_percent=None
        if document.is_server
        else _known(document, "end.cpu_utilization_percent.remote_total"),
        direction=document.direction(way),
    )


def _known(document: Iperf3Document, name: str) -> float | None:
    value = document.number(name)
    return value if value is not None and value >= 0 else None


IPERF3 = Reader(
    "iperf3",
    "throughput, CPU load",
    "interrupts and wakeups; which QP carried which stream",
    _iperf3,
    begins=lambda head: head.startswith("{") or is_iperf3(head),
)
