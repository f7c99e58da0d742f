# SPDX-License-Identifier: BSD-3-Clause
"""A capture held against the model of its device: predicted, measured, and the likely causes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ntbbench.capture.evidence import Bounds, Evidence
from ntbbench.capture.records import (
    EXCESS,
    FEWER,
    INSIDE,
    UNKNOWN,
    Explanation,
    LikelyCause,
    QpRow,
    VectorRow,
)
from ntbbench.ntb.device import Hardware
from ntbbench.ntb.vectormap import bits_of


def mask_of(device: Hardware, vector: int) -> int:
    """Return what ntb_db_vector_mask() returns: without callbacks every doorbell."""
    masks = device.vector_map.db_vector_masks
    if not device.callbacks:
        return device.vector_map.db_valid_mask
    return masks[vector] if vector < len(masks) else 0


NO_COUNTERS = "runs and active QPs not known: no debugfs counters"
NO_INTERRUPTS = "no doorbell interrupts are known: nothing can be predicted"
NO_CALLBACKS = "no vector callbacks: each interrupt schedules every active QP"
SHARED = "a vector covers several active QPs: each of its interrupts schedules all of them"
EVERY_BIT = "each embedded doorbell sets every bit: the race check hits every active QP"
STILL = "db_read() still shows the rung bit at the end of the run: one more, empty run a ring"
WRONG_BITS = "db_read() shows wrong bits: the race check hits the QPs that they name"
REPOST = (
    "ntb_netdev posts a buffer for each packet: the repost schedules the tasklet again "
    "(it merges with the race check's run)"
)
FULL_BUDGET = "a run that consumes rx_max_entry packets schedules itself again"
MAY_BE_LINK = "the interrupts may hold link events: the amplification is then larger than shown"
AMD_MSI = "AMD with MSI or INTx has no doorbell left: no client of ntb_transport gets a QP"
Likely = tuple[str, int | None, str]  # code, at most how many runs, why


def explain(evidence: Evidence, device: Hardware) -> Explanation:
    """Hold one capture against one device."""
    return _Held(_without_link(evidence, device), device).explanation()


def _without_link(evidence: Evidence, device: Hardware) -> Evidence:
    """Count apart the interrupts of a vector that makes link events only (ndev_interrupt())."""
    counts = evidence.per_vector
    if counts is None or evidence.interrupts is None or not device.link_mask:
        return evidence
    link = sum(count for vector, count in counts.items() if not mask_of(device, vector))
    return replace(
        evidence,
        interrupts=evidence.interrupts - link,
        per_vector={v: count for v, count in counts.items() if mask_of(device, v)},
        link_interrupts=evidence.link_interrupts + link,
    )


class _Held:
    """A capture beside a device; `active` is the u64 mask of its active QPs, None: not known."""

    def __init__(self, evidence: Evidence, device: Hardware) -> None:
        self.evidence = evidence
        self.device = device
        numbers = evidence.active_qps
        self.active = None if numbers is None else sum(1 << qp for qp in numbers)
        self.vectors = [self._vector(*item) for item in self._counts().items()]

    def explanation(self) -> Explanation:
        evidence, numbers = self.evidence, self.evidence.active_qps
        qps = [self._qp(qp) for qp in numbers or ()]
        predicted: Bounds = (None, None)
        measured: Bounds = (None, None)
        calls = _sum(row.predicted_schedule_calls for row in self.vectors)
        if qps:  # without one nothing is known: no sum over none is a count
            limits = [_sum(q.predicted_high for q in qps), self._most_together(calls)]
            known = [bound for bound in limits if bound is not None]
            predicted = _sum(q.predicted_low for q in qps), min(known, default=None)
            measured = _sum(q.measured_low for q in qps), _sum(q.measured_high for q in qps)
        per_interrupt = excess = unexplained = None
        if evidence.interrupts and calls is not None and numbers is not None:
            per_interrupt = calls / evidence.interrupts
        if evidence.interrupts and measured[0] is not None:
            excess = max(measured[0] - evidence.interrupts, 0)
        if measured[0] is not None and predicted[1] is not None:
            unexplained = max(measured[0] - predicted[1], 0)
        return Explanation(
            capture=evidence.capture,
            device=self.device.name,
            called=self.device.called,
            source=self.device.source,
            active_qps=None if numbers is None else list(numbers),
            interrupts=evidence.interrupts,
            predicted_amplification=per_interrupt,
            predicted_runs_low=predicted[0],
            predicted_runs_high=predicted[1],
            measured_runs_low=measured[0],
            measured_runs_high=measured[1],
            verdict=_verdict(predicted, measured),
            excess=excess,
            unexplained=unexplained,
            vectors=self.vectors,
            qps=qps,
            causes=self._causes(),
            cautions=[*evidence.cautions, *self._doubts()],
        )

    def _counts(self) -> dict[int, int | None]:
        evidence, active = self.evidence, self.active or 0
        if evidence.per_vector is not None:
            return {v: count for v, count in sorted(evidence.per_vector.items()) if count}
        masks = self.device.vector_map.db_vector_masks
        used = [vector for vector, mask in enumerate(masks) if mask & active]
        if not self.device.callbacks:
            used = used[:1]
        is_each = len(used) == 1 or evidence.is_embedded  # all interrupts are this vector's
        return dict.fromkeys(used, evidence.interrupts if is_each else None)

    def _vector(self, vector: int, count: int | None) -> VectorRow:
        mask = mask_of(self.device, vector)
        fan_out = None if self.active is None else (mask & self.active).bit_count()
        return VectorRow(
            vector=vector,
            db_vector_mask=hex(mask),
            fan_out=fan_out,
            interrupts=count,
            predicted_schedule_calls=(
                None if count is None or fan_out is None else count * fan_out
            ),
        )

    def _qp(self, qp_num: int) -> QpRow:
        """Return one QP's row.

        The upper bound: a run for each doorbell call, and one more for each race check and each
        buffer repost, which merge; a full budget adds its own. A race check hits the QP whose
        packet came, but with bits in db_read() that no one rang any QP. A run that found a packet
        may meet a repost, however few interrupts there were. Calls that merge make fewer: the
        lower bound is one run where anything was called.
        """
        evidence, measured = self.evidence, self.evidence.runs[qp_num]
        own = [v for v in self.vectors if mask_of(self.device, v.vector) >> qp_num & 1]
        calls = _sum(row.interrupts for row in own)
        low = high = None
        if calls is not None:
            extra = evidence.rx_pkts.get(qp_num, calls)
            if self.device.db_read == "legacy" or evidence.is_embedded:
                extra = max(calls, extra)
            needs_extra = self.device.db_read != "zero" or evidence.has_netdev
            spare = 0 if None in measured else (measured[1] or 0) - (measured[0] or 0)
            low = 0 if evidence.at_most else min(calls, 1)
            high = calls + extra * needs_extra + spare
        return QpRow(
            qp_num=qp_num,
            predicted_low=low,
            predicted_high=high,
            measured_low=measured[0],
            measured_high=measured[1],
            verdict=_verdict((low, high), measured),
        )

    def _most_together(self, calls: int | None) -> int | None:
        """Return the most runs of all QPs where db_read() shows wrong bits; None: no bound.

        Which QP a race check hits is not known, but each interrupt makes one at most: on the root
        complex db_clear() clears the whole word, on the endpoint the interrupt sets one bit.
        """
        evidence = self.evidence
        if self.device.db_read != "legacy" or evidence.is_embedded or not evidence.rx_pkts:
            return None
        if calls is None or evidence.interrupts is None:
            return None
        reposts = sum(evidence.rx_pkts.values())
        return calls + evidence.interrupts + reposts + evidence.full_budget

    def _causes(self) -> list[LikelyCause]:
        found = [*self._causes_of_interrupts()]
        if self.active:  # else no run is known to be beyond one per interrupt
            found += self._causes_of_runs(self.active)
        causes = [LikelyCause(code=code, at_most=most, text=text) for code, most, text in found]
        return sorted(causes, key=lambda cause: -(cause.at_most or 0))

    def _causes_of_interrupts(self) -> Iterator[Likely]:
        evidence = self.evidence
        if evidence.link_interrupts:
            text = f"{evidence.link_interrupts} interrupts carry link events only: counted apart"
            yield "link-interrupts", None, text
        elif self.device.link_mask and evidence.actions & {"ndev_vec_isr", "ndev_irq_isr"}:
            yield "link-interrupts", None, MAY_BE_LINK
        if "ndev_irq_isr" in evidence.actions and self.device.name.startswith("ntb_hw_amd"):
            yield "amd-msi", None, AMD_MSI

    def _causes_of_runs(self, active: int) -> Iterator[Likely]:
        evidence, db_read = self.evidence, self.device.db_read
        fan_outs = [(row.interrupts or 0, row.fan_out or 0) for row in self.vectors]
        shared = sum(count * max(fan_out - 1, 0) for count, fan_out in fan_outs)
        packets = sum(evidence.rx_pkts.values()) or evidence.interrupts or 0
        if not self.device.callbacks and active.bit_count() > 1:
            yield "fallback-mask", shared, NO_CALLBACKS
        elif any(fan_out > 1 for _, fan_out in fan_outs):
            yield "shared-vector", shared, SHARED
        if evidence.is_embedded and db_read != "zero":
            yield "race-check", (evidence.interrupts or 0) * active.bit_count(), EVERY_BIT
        elif db_read != "zero":
            yield "race-check", packets, STILL if db_read == "latched" else WRONG_BITS
        if evidence.has_netdev:
            yield "buffer-repost", packets, REPOST
        if evidence.full_budget:
            yield "full-budget", evidence.full_budget, FULL_BUDGET

    def _doubts(self) -> Iterator[str]:
        if self.active is None:
            yield NO_COUNTERS
        if beyond := (self.active or 0) & ~self.device.vector_map.db_valid_mask:
            yield f"QP {', '.join(map(str, bits_of(beyond)))} has no doorbell on this device"
        counts = self.evidence.per_vector or {}
        strange = [v for v in counts if counts[v] and not mask_of(self.device, v)]
        if strange:
            yield f"vector {', '.join(map(str, strange))} rang and covers no doorbell"
        if self.evidence.interrupts is None:
            yield NO_INTERRUPTS


def _verdict(predicted: Bounds, measured: Bounds) -> str:
    if predicted[1] is None or measured[0] is None:
        return UNKNOWN
    if measured[0] > predicted[1]:
        return EXCESS
    if measured[1] is not None and predicted[0] is not None and measured[1] < predicted[0]:
        return FEWER
    return INSIDE


def _sum(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return sum(known) if len(known) == len(listed) else None
