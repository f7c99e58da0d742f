# SPDX-License-Identifier: BSD-3-Clause
"""A capture held against the model of its device: predicted, measured, and the likely causes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ntbbench.capture.candidate_device import Subject
from ntbbench.capture.evidence import Bounds, Evidence
from ntbbench.capture.explain_records import (
    EXCESS,
    FEWER,
    INSIDE,
    UNKNOWN,
    Explanation,
    LikelyCause,
    QpRow,
    VectorRow,
)
from ntbbench.ntb.vectormap import bits_of

NO_COUNTERS = "runs and active QPs not known: no debugfs counters"


def explain(evidence: Evidence, subject: Subject) -> Explanation:
    """Hold one capture against one device."""
    evidence = _without_link(evidence, subject)
    numbers = evidence.active_qps
    active = None if numbers is None else sum(1 << qp for qp in numbers)
    vectors = _vectors(evidence, subject, active)
    qps = [_qp(evidence, subject, qp, vectors) for qp in numbers or ()]
    predicted: Bounds = (None, None)
    measured: Bounds = (None, None)
    if qps:  # without one nothing is known: no sum over none is a count
        most = _sum(q.predicted_high for q in qps)
        together = _most_together(evidence, subject, vectors)
        predicted = _sum(q.predicted_low for q in qps), _least(most, together)
        measured = _sum(q.measured_low for q in qps), _sum(q.measured_high for q in qps)
    calls = None if active is None else _sum(row.predicted_schedule_calls for row in vectors)
    low, limit = measured[0], predicted[1]
    excess = None if low is None or not evidence.interrupts else max(low - evidence.interrupts, 0)
    return Explanation(
        capture=evidence.capture,
        device=subject.name,
        source=subject.source,
        active_qps=None if numbers is None else list(numbers),
        interrupts=evidence.interrupts,
        predicted_amplification=(
            None if calls is None or not evidence.interrupts else calls / evidence.interrupts
        ),
        predicted_runs_low=predicted[0],
        predicted_runs_high=predicted[1],
        measured_runs_low=measured[0],
        measured_runs_high=measured[1],
        verdict=_verdict(predicted, measured),
        excess=excess,
        unexplained=None if low is None or limit is None else max(low - limit, 0),
        vectors=vectors,
        qps=qps,
        causes=_causes(evidence, subject, vectors, active),
        cautions=[*evidence.cautions, *_doubts(evidence, subject, active)],
    )


def _without_link(evidence: Evidence, subject: Subject) -> Evidence:
    """Count apart the interrupts of a vector that makes link events only (ndev_interrupt())."""
    counts = evidence.per_vector
    if counts is None or evidence.interrupts is None or not subject.link_mask:
        return evidence
    link = sum(count for vector, count in counts.items() if not subject.mask(vector))
    return replace(
        evidence,
        interrupts=evidence.interrupts - link,
        per_vector={v: count for v, count in counts.items() if subject.mask(v)},
        link_interrupts=evidence.link_interrupts + link,
    )


def _vectors(evidence: Evidence, subject: Subject, active: int | None) -> list[VectorRow]:
    """Return the vectors that were seen, or that cover an active QP."""
    if evidence.per_vector is not None:
        seen = [v for v, count in sorted(evidence.per_vector.items()) if count]
        counts: dict[int, int | None] = {v: evidence.per_vector[v] for v in seen}
    else:
        used = [v for v, mask in enumerate(subject.masks) if active is not None and mask & active]
        counts = dict.fromkeys(used[:1] if not subject.callbacks else used)
        if len(counts) == 1 or evidence.is_embedded:  # all interrupts are this vector's
            counts = dict.fromkeys(counts, evidence.interrupts)
    rows = []
    for vector, count in counts.items():
        fan_out = None if active is None else (subject.mask(vector) & active).bit_count()
        rows.append(
            VectorRow(
                vector=vector,
                db_vector_mask=hex(subject.mask(vector)),
                fan_out=fan_out,
                interrupts=count,
                predicted_schedule_calls=(
                    None if count is None or fan_out is None else count * fan_out
                ),
            )
        )
    return rows


def _qp(evidence: Evidence, subject: Subject, qp_num: int, vectors: list[VectorRow]) -> QpRow:
    """Return one QP's row.

    The upper bound: a run for each doorbell call, and one more for each race check and each
    buffer repost, which merge; a full budget adds its own. A race check hits the QP whose packet
    came, but with bits in db_read() that no one rang any QP. A run that found a packet may meet a
    repost, however few interrupts there were. Calls that merge make fewer: the lower bound is one
    run where anything was called.
    """
    own = [row.interrupts for row in vectors if subject.mask(row.vector) >> qp_num & 1]
    calls = _sum(own)
    packets = evidence.rx_pkts.get(qp_num)
    extra = calls
    if packets is not None and calls is not None:
        extra = max(calls, packets) if _shows_others(evidence, subject) else packets
    needs_extra = subject.db_read != "zero" or evidence.has_netdev
    measured = evidence.runs[qp_num]
    low = high = None
    if calls is not None:
        low = 0 if evidence.at_most else min(calls, 1)
        spare = 0 if None in measured else (measured[1] or 0) - (measured[0] or 0)
        high = calls + (extra or 0) * needs_extra + spare
    return QpRow(
        qp_num=qp_num,
        predicted_low=low,
        predicted_high=high,
        measured_low=measured[0],
        measured_high=measured[1],
        verdict=_verdict((low, high), measured),
    )


def _most_together(evidence: Evidence, subject: Subject, vectors: list[VectorRow]) -> int | None:
    """Return the most runs of all QPs together where db_read() shows wrong bits; None: no bound.

    Which QP a race check hits is not known, but each interrupt makes one at most: on the root
    complex db_clear() clears the whole word, on the endpoint the interrupt sets one bit.
    """
    if subject.db_read != "legacy" or evidence.is_embedded or evidence.interrupts is None:
        return None
    if not evidence.rx_pkts:
        return None
    calls = _sum(row.predicted_schedule_calls for row in vectors)
    reposts = sum(evidence.rx_pkts.values())
    return None if calls is None else calls + evidence.interrupts + reposts + evidence.full_budget


def _least(one: int | None, other: int | None) -> int | None:
    """Return the smaller of two bounds of the same thing; None: neither is known."""
    known = [bound for bound in (one, other) if bound is not None]
    return min(known, default=None)


def _shows_others(evidence: Evidence, subject: Subject) -> bool:
    """Return whether db_read() shows bits that no one rang."""
    return subject.db_read == "legacy" or evidence.is_embedded


def _verdict(predicted: Bounds, measured: Bounds) -> str:
    if predicted[1] is None or measured[0] is None:
        return UNKNOWN
    if measured[0] > predicted[1]:
        return EXCESS
    if measured[1] is not None and predicted[0] is not None and measured[1] < predicted[0]:
        return FEWER
    return INSIDE


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum; None where one is not known."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _causes(
    evidence: Evidence, subject: Subject, vectors: list[VectorRow], active: int | None
) -> list[LikelyCause]:
    """Return the likely causes of runs beyond one an interrupt, the largest first."""
    found = list(_causes_of_interrupts(evidence, subject))
    if active:  # else no run is known to be beyond one an interrupt
        found += _causes_of_runs(evidence, subject, vectors, active)
    return sorted(found, key=lambda cause: -(cause.at_most or 0))


def _causes_of_runs(
    evidence: Evidence, subject: Subject, vectors: list[VectorRow], active: int
) -> Iterator[LikelyCause]:
    fan_outs = [(row.interrupts or 0, row.fan_out or 0) for row in vectors]
    shared = sum(count * max(fan_out - 1, 0) for count, fan_out in fan_outs)
    packets = sum(evidence.rx_pkts.values()) or evidence.interrupts or 0
    if not subject.callbacks and active.bit_count() > 1:
        text = "no vector callbacks: each interrupt schedules every active QP"
        yield LikelyCause(code="fallback-mask", at_most=shared, text=text)
    elif any(fan_out > 1 for _, fan_out in fan_outs):
        text = "a vector covers several active QPs: each of its interrupts schedules all of them"
        yield LikelyCause(code="shared-vector", at_most=shared, text=text)
    if evidence.is_embedded and subject.db_read != "zero":
        text = "each embedded doorbell sets every bit: the race check hits every active QP"
        every = (evidence.interrupts or 0) * active.bit_count()
        yield LikelyCause(code="race-check", at_most=every, text=text)
    elif subject.db_read == "latched":
        text = (
            "db_read() still shows the rung bit at the end of the run: one more, empty run a ring"
        )
        yield LikelyCause(code="race-check", at_most=packets, text=text)
    elif subject.db_read == "legacy":
        text = "db_read() shows wrong bits: the race check hits the QPs that they name"
        yield LikelyCause(code="race-check", at_most=packets, text=text)
    if evidence.has_netdev:
        text = (
            "ntb_netdev posts a buffer for each packet: the repost schedules the tasklet again "
            "(it merges with the race check's run)"
        )
        yield LikelyCause(code="buffer-repost", at_most=packets, text=text)
    if evidence.full_budget:
        text = "a run that consumes rx_max_entry packets schedules itself again"
        yield LikelyCause(code="full-budget", at_most=evidence.full_budget, text=text)


def _causes_of_interrupts(evidence: Evidence, subject: Subject) -> Iterator[LikelyCause]:
    """Yield what changes what the interrupts are; each adds no run itself."""
    if evidence.link_interrupts:
        text = f"{evidence.link_interrupts} interrupts carry link events only: counted apart"
        yield LikelyCause(code="link-interrupts", at_most=None, text=text)
    elif subject.link_mask and evidence.actions & {"ndev_vec_isr", "ndev_irq_isr"}:
        text = "the interrupts may hold link events: the amplification is then larger than shown"
        yield LikelyCause(code="link-interrupts", at_most=None, text=text)
    if "ndev_irq_isr" in evidence.actions and subject.name.startswith("ntb_hw_amd"):
        text = "AMD with MSI or INTx has no doorbell left: no client of ntb_transport gets a QP"
        yield LikelyCause(code="amd-msi", at_most=None, text=text)


def _doubts(evidence: Evidence, subject: Subject, active: int | None) -> list[str]:
    doubts = []
    if active is None:
        doubts.append(NO_COUNTERS)
    beyond = (active or 0) & ~subject.db_valid_mask
    if beyond:
        doubts.append(f"QP {', '.join(map(str, bits_of(beyond)))} has no doorbell on this device")
    if evidence.per_vector:
        strange = [v for v in evidence.per_vector if evidence.per_vector[v] and not subject.mask(v)]
        if strange:
            doubts.append(f"vector {', '.join(map(str, strange))} rang and covers no doorbell")
    if evidence.interrupts is None:
        doubts.append("no doorbell interrupts are known: nothing can be predicted")
    return doubts
