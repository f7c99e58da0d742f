# SPDX-License-Identifier: BSD-3-Clause
"""The transmit side in reports of captures: each QP's ring, and which side does not run."""

from collections.abc import Callable, Iterator, Sequence

from ntbbench.capture.transmit_records import QpTransmit, Restart, TransmitFinding
from ntbbench.report.document import Cell, Notes, Table
from ntbbench.report.views.record_tables import amount, field_table, span_cell

QP = ("device", "qp_num", "tx_pkts", "tx_async", "tx_ring_full", "tx_err_no_buf", "consumed_low")
COUNTED = (*QP[2:6], "tx_memcpy", "waiting", "free")  # as the CSV has them
SIMULATED = (
    "simulated, one queue that is sent to without end: slow copy, the costs fitted to an R-Car S4 "
    "board; fast copy, assumed costs of a server"
)


def rings(transmits: Sequence[QpTransmit], source: Callable[[QpTransmit], Cell]) -> Table:
    """Return the table of each QP's sender."""
    return field_table(
        "Transmit side by QP",
        QpTransmit,
        (*QP, "waiting", "source"),
        [qp for qp in transmits if qp.link != "down"],
        consumed_low=lambda qp: span_cell(qp.consumed_low, qp.consumed_high),
        waiting=_waiting,
        source=source,
    )


def _waiting(qp: QpTransmit) -> Cell:
    """Return what waited in both snapshots, of the entries that can: one is never used."""
    most = None if qp.tx_max_entry is None else qp.tx_max_entry - 1
    return Cell(f"{amount(qp.waiting_before)}->{amount(qp.waiting)}/{amount(most)}", qp.waiting)


def csv_rows(transmits: Sequence[QpTransmit]) -> Iterator[list[object]]:
    """Yield one row per number of a sender."""
    for qp in transmits:
        place = [qp.device, qp.qp_num]
        yield [qp.source, "consumed", *place, qp.consumed_low, qp.consumed_high]
        for name in COUNTED:
            value = getattr(qp, name)
            yield [qp.source, name, *place, value, value]


def said(findings: Sequence[TransmitFinding]) -> str:
    """Return in a sentence which senders are held up; "": none is known to be."""
    held = [one for one in findings if one.code not in {"full-at-times", "link-changed"}]
    if not held:
        return ""
    first, *more = held
    others = f", and {len(more)} more" if more else ""
    return f". QP {first.qp_num} cannot send ({first.code}, {first.who}){others}"


def transmit_blocks(
    findings: Sequence[TransmitFinding], restarts: Sequence[Restart]
) -> Iterator[Notes | Table]:
    """Yield what the senders wait for, and what restart timers would give for their rings."""
    many = len({(one.capture, one.device) for one in findings}) > 1
    rows = []
    for one in findings:
        place = f"{one.capture} {one.device} " if many else ""
        rows.append((f"{place}QP {one.qp_num}: {one.code}, {one.who}", [one.text]))
    yield Notes("Transmit side: what each sender waits for", rows)
    yield field_table(
        "Restart of a stopped queue, by its timer",
        Restart,
        ("entries", "window_size", "timer", "wait_low", "bits_per_second", "fast_bits_per_second"),
        restarts,
        window_size=lambda row: Cell(f"{row.window_size / (1 << 20):.3g} MiB", row.window_size),
        wait_low=lambda row: _milliseconds(row.wait_low, row.wait_high),
        bits_per_second=lambda row: _rate(row.bits_per_second),
        fast_bits_per_second=lambda row: _rate(row.fast_bits_per_second),
    )
    if restarts:
        yield Notes("", [(SIMULATED, ())])


def _milliseconds(low: float, high: float) -> Cell:
    least, most = f"{low * 1e3:.3g}", f"{high * 1e3:.3g}"
    return Cell(f"{least} ms" if low == high else f"{least} to {most} ms", low)


def _rate(bits: float) -> Cell:
    return Cell(f"{bits / 1e6:.0f} Mbit/s", bits)
