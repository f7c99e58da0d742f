# SPDX-License-Identifier: BSD-3-Clause
"""One cell of a sweep: its interrupts, its counts, its timed samples."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import msgspec
import numpy as np

from ntbbench.core.clock import Timer
from ntbbench.core.errors import InputError
from ntbbench.dispatch import engine, law
from ntbbench.dispatch.records import Axes, OkPoint, Point, UnavailablePoint
from ntbbench.dispatch.scenario import PointSpec
from ntbbench.ntb.devices.dispatch_modes import dispatch_map
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload.stream import Stream
from ntbbench.ntb.workload.workload import make_stream

# Interrupts of one timed call: so many that the call itself (some 0.5 us) costs less than 0.02 ns
# per dispatch, so few that the stream (9 bytes each) stays in a core's second-level cache.
TIMED_INTERRUPTS = 1 << 15

MSI_KERNELS = {"reference": "reference-msi", "scan": "msi", "bitset": "bitset-msi"}


StreamKey = tuple[str, tuple[int, ...], int, int]


@dataclass(eq=False)
class Cell:
    """One combination of the axes, and what is known about it so far.

    Parameters
    ----------
    spec : what was asked.
    point : its counts; None: not counted yet. Without a timing.
    samples : nanoseconds per dispatch, one for each repeat.
    calls : calls of the kernel that make a timed sample; 0: not calibrated yet.
    """

    spec: PointSpec
    point: Point | None = None
    samples: list[float] = field(default_factory=list)
    calls: int = 0

    @cached_property
    def vector_map(self) -> VectorMap:
        """The device in its dispatch mode."""
        return dispatch_map(self.spec.hardware, self.spec.dispatch, self.spec.provision.queues)

    @property
    def stream_key(self) -> StreamKey:
        """What the interrupts depend on besides the scenario: cells that share it share them."""
        return (
            self.spec.workload.spec,
            self.vector_map.irq_masks,
            self.vector_map.db_valid_mask,
            self.spec.provision.queues,
        )

    @cached_property
    def axes(self) -> Axes:
        """What a point says about what was asked."""
        spec, given = self.spec, self.spec.provision
        return Axes(
            hardware=spec.hardware.name,
            dispatch=spec.dispatch,
            queues_requested=spec.queues_requested,
            queues=given.queues,
            qp_count=given.qps.qp_count,
            doorbells=spec.hardware.doorbells,
            vectors=spec.hardware.vectors,
            db_valid_mask=f"{spec.hardware.vector_map.db_valid_mask:#x}",
            mw_count=spec.hardware.mw_count,
            max_num_clients=spec.scenario.max_num_clients,
            workload=spec.workload.spec,
            drain=spec.scenario.drain,
            seed=spec.scenario.seed,
        )

    def wants_sample(self, repeats: int) -> bool:
        """Tell whether this cell is counted and has fewer than `repeats` samples."""
        return isinstance(self.point, OkPoint) and len(self.samples) < repeats

    def stream(self, interrupts: int) -> Stream:
        """Return the interrupts of this cell.

        Raises
        ------
        InputError : the workload does not fit the device, which the message names.
        """
        spec = self.spec
        try:
            return make_stream(
                spec.workload,
                self.vector_map,
                spec.provision.queues,
                interrupts,
                spec.scenario.seed,
            )
        except InputError as error:
            device = f"{spec.hardware.name}, {spec.dispatch}, doorbells {spec.hardware.doorbells}"
            raise InputError(f"{device}: {error.field}", error.value, error.allowed) from None

    def prepare(self, kernel: str, stream: Stream) -> engine.Prepared:
        """Return `stream` bound to this cell's receiver and to a kernel; MSI has its own."""
        given = self.spec.provision
        return engine.prepare(
            MSI_KERNELS[kernel] if self.spec.dispatch == "msi" else kernel,
            stream.vectors,
            stream.rung,
            np.array(self.vector_map.db_vector_masks, dtype=np.uint64),
            codes=stream.codes,
            qp_bitmap=given.qps.qp_bitmap,
            # A QP that no queue has taken is free, and its bit is not scanned.
            qp_bitmap_free=given.qps.qp_bitmap & ~given.active,
            active=given.active,
            drain=self.spec.scenario.drain,
        )


def unavailable(cell: Cell) -> UnavailablePoint | None:
    """Return the point of a cell that the device cannot give; None: it can."""
    reason = cell.spec.provision.reason
    if reason is None:
        return None
    return UnavailablePoint(**msgspec.structs.asdict(cell.axes), reason=reason)


def count(cell: Cell, stream: Stream, kernel: str = "bitset") -> OkPoint:
    """Return the counts of a cell, checked against the analytic law.

    Raises
    ------
    ModelDisagreement : the counts and the law differ.
    """
    prepared = cell.prepare(kernel, stream)
    prepared.run()
    counts = prepared.counts()
    spec = cell.spec
    fan_out = law.fan_outs(cell.vector_map.db_vector_masks, spec.provision.active)
    expected = law.check(stream, fan_out, spec.scenario.drain, counts)
    qps = spec.provision.qps.qp_bitmap.bit_length()
    found = {
        name: value[:qps] if name.startswith("qp_") else value
        for name, value in vars(counts).items()
    }
    return OkPoint(
        **msgspec.structs.asdict(cell.axes),
        **found,
        rings=stream.rings,
        race_check_runs=race_check_runs(spec, counts.useful_wakeups),
        amplification=counts.schedule_calls / counts.interrupts,
        effective_amplification=counts.wakeups / counts.interrupts,
        expected_amplification=float(expected),
        spurious_ratio=counts.spurious_wakeups / counts.wakeups if counts.wakeups else 0.0,
    )


def race_check_runs(spec: PointSpec, useful_wakeups: int) -> int | None:
    """Return the empty runs that the race check adds; None: the driver's db_read() misleads it.

    A run that found a packet looks for its bit in db_read() when the ring is empty, clears it and
    runs once more; a ring that merged into that run left the same one bit. An MSI sets no bit.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_rxc_db, ntb_tx_copy_callback), Linux 7.3.
    """
    if spec.dispatch == "msi" or spec.hardware.db_read == "zero":
        return 0
    return useful_wakeups if spec.hardware.db_read == "latched" else None


def sample(cell: Cell, stream: Stream, timer: Timer) -> None:
    """Time the literal dispatch of `stream` once more and add the nanoseconds per dispatch."""
    prepared = cell.prepare("scan", stream)
    prepared.run()  # brings the stream into the cache; another cell was timed before
    if not cell.calls:
        cell.calls = timer.batch(prepared.run)
    elapsed = timer.elapsed(prepared.run, cell.calls)
    cell.samples.append(elapsed / (cell.calls * stream.interrupts))


def timed_stream(cell: Cell) -> Stream:
    """Return the interrupts to time: TIMED_INTERRUPTS of them, a short log over and over."""
    stream = cell.stream(TIMED_INTERRUPTS).by_interrupt()
    if stream.interrupts == TIMED_INTERRUPTS:
        return stream
    return replace(
        stream,
        vectors=np.resize(stream.vectors, TIMED_INTERRUPTS),
        rung=np.resize(stream.rung, TIMED_INTERRUPTS),
    )
