# SPDX-License-Identifier: BSD-3-Clause
"""A capture held against the model of its device: predicted, measured, and the likely causes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ntbbench.capture.evidence import Bounds, Evidence
from ntbbench.capture.explained import (
    EXCESS,
    FEWER,
    INSIDE,
    UNKNOWN,
    Explanation,
    LikelyCause,
    QpRow,
    VectorRow,
)
from ntbbench.capture.measured import DeviceFacts
from ntbbench.errors import InputError
from ntbbench.model.device import DbRead, masked_map
from ntbbench.model.hardware import resolve
from ntbbench.model.vectormap import VectorMap, bits_of

# By the action of an interrupt line: the presets that it may be.
CANDIDATES = {
    "ntb_epf": ("ntb_hw_epf-legacy", "ntb_hw_epf-v4"),
    "pci_epf_vntb_db": ("pci-epf-vntb-legacy", "pci-epf-vntb-v4"),
    "ndev_vec_isr": ("ntb_hw_intel-gen1", "ntb_hw_intel-gen3", "ntb_hw_intel-gen4", "ntb_hw_amd"),
    "ndev_irq_isr": ("ntb_hw_intel-gen1-intx", "ntb_hw_amd-intx"),
    "switchtec_ntb_doorbell": ("ntb_hw_switchtec",),
    "ntb_irq_idt": ("ntb_hw_idt",),
}


@dataclass(frozen=True)
class Subject:
    """The device that a capture is held against; `masks` by vector as the driver reports them."""

    name: str
    source: str
    db_valid_mask: int
    masks: tuple[int, ...]
    link_mask: int
    db_read: DbRead
    callbacks: bool

    def mask(self, vector: int) -> int:
        """Return what ntb_db_vector_mask() returns: without callbacks every doorbell."""
        if not self.callbacks:
            return self.db_valid_mask
        return self.masks[vector] if vector < len(self.masks) else 0


def preset_subject(name: str, doorbells: int | None = None) -> Subject:
    """Return a preset as a subject.

    Raises
    ------
    InputError : an unknown name, or doorbells out of range.
    """
    hardware = resolve(name, doorbells)
    vector_map = hardware.vector_map
    return Subject(
        name=name,
        source=hardware.source,
        db_valid_mask=vector_map.db_valid_mask,
        masks=vector_map.db_vector_masks,
        link_mask=hardware.link_mask,
        db_read=hardware.db_read,
        callbacks=hardware.callbacks,
    )


def rebuilt_subject(facts: DeviceFacts) -> Subject:
    """Return the device that the capture itself describes.

    Raises
    ------
    InputError : masks that are no u64 or overlap, in a file that was edited.
    """
    try:
        valid, link = int(facts.db_valid_mask, 16), int(facts.link_mask, 16)
        masks = tuple(int(mask, 16) for mask in facts.vector_masks)
    except ValueError:
        raise InputError(facts.source, facts.db_valid_mask, "masks in hexadecimal") from None
    if facts.db_read not in {"latched", "zero"}:
        raise InputError(facts.source, facts.db_read, "db_read: latched or zero")
    checked: VectorMap = masked_map(valid, masks or (valid,))
    return Subject(
        name="rebuilt from the capture",
        source=facts.source,
        db_valid_mask=checked.db_valid_mask,
        masks=checked.db_vector_masks,
        link_mask=link,
        db_read="zero" if facts.db_read == "zero" else "latched",
        callbacks=bool(masks),
    )


def subjects_of(evidence: Evidence, names: Sequence[str], doorbells: int | None) -> list[Subject]:
    """Return the devices to hold a capture against: the named, the rebuilt, or the candidates.

    Raises
    ------
    InputError : none is named, and the capture does not tell which it may be.
    """
    if names:
        return [preset_subject(name, doorbells) for name in names]
    if evidence.devices:
        return [rebuilt_subject(facts) for facts in evidence.devices]
    found = [name for action in sorted(evidence.actions) for name in CANDIDATES.get(action, ())]
    if not found:
        shown = ", ".join(sorted(evidence.actions)) or "none"
        raise InputError(
            "--hardware",
            None,
            f"{evidence.capture} does not tell its device (NTB interrupt lines: {shown}): "
            "name a preset, see `ntbbench hardware`",
        )
    return [preset_subject(name, doorbells) for name in found]


def explain(evidence: Evidence, subject: Subject) -> Explanation:
    """Hold one capture against one device."""
    evidence = _without_link(evidence, subject)
    active = sum(1 << qp for qp in evidence.active_qps)
    vectors = _vectors(evidence, subject, active)
    qps = [_qp(evidence, subject, qp, vectors) for qp in evidence.active_qps]
    predicted = (_sum(row.predicted_low for row in qps), _sum(row.predicted_high for row in qps))
    measured = (_sum(row.measured_low for row in qps), _sum(row.measured_high for row in qps))
    calls = _sum(row.predicted_schedule_calls for row in vectors)
    low, limit = measured[0], predicted[1]
    excess = None if low is None or not evidence.interrupts else max(low - evidence.interrupts, 0)
    return Explanation(
        capture=evidence.capture,
        device=subject.name,
        source=subject.source,
        active_qps=list(evidence.active_qps),
        interrupts=evidence.interrupts,
        predicted_amplification=(
            None if calls is None or not evidence.interrupts else calls / evidence.interrupts
        ),
        predicted_runs_low=predicted[0],
        predicted_runs_high=predicted[1],
        measured_runs_low=measured[0],
        measured_runs_high=measured[1],
        verdict=_verdict(predicted, measured) if qps else UNKNOWN,
        excess=excess,
        unexplained=0 if low is None or limit is None else max(low - limit, 0),
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


def _vectors(evidence: Evidence, subject: Subject, active: int) -> list[VectorRow]:
    """Return the vectors that were seen, or that cover an active QP."""
    if evidence.per_vector is not None:
        seen = [v for v, count in sorted(evidence.per_vector.items()) if count]
        counts: dict[int, int | None] = {v: evidence.per_vector[v] for v in seen}
    else:
        used = [v for v, mask in enumerate(subject.masks) if mask & active]
        counts = dict.fromkeys(used[:1] if not subject.callbacks else used)
        if len(counts) == 1:  # all interrupts are this vector's
            counts = dict.fromkeys(counts, evidence.interrupts)
    rows = []
    for vector, count in counts.items():
        fan_out = (subject.mask(vector) & active).bit_count()
        rows.append(
            VectorRow(
                vector=vector,
                db_vector_mask=hex(subject.mask(vector)),
                fan_out=fan_out,
                interrupts=count,
                predicted_schedule_calls=None if count is None else count * fan_out,
            )
        )
    return rows


def _qp(evidence: Evidence, subject: Subject, qp_num: int, vectors: list[VectorRow]) -> QpRow:
    """Return one QP's row.

    The upper bound: a run for each doorbell call, and one more for each race check and each
    buffer repost, which merge; a full budget adds its own. A race check hits the QP whose packet
    came, but with wrong bits in db_read() ("legacy") any QP. Calls that merge make fewer: the
    lower bound is one run where anything was called.
    """
    own = [row.interrupts for row in vectors if subject.mask(row.vector) >> qp_num & 1]
    calls = _sum(own)
    packets = None if subject.db_read == "legacy" else evidence.rx_pkts.get(qp_num)
    extra = calls if packets is None or calls is None else min(calls, packets)
    needs_extra = subject.db_read != "zero" or evidence.has_netdev
    measured = evidence.runs[qp_num]
    low = high = None
    if calls is not None:
        low = min(calls, 1)
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


def _verdict(predicted: Bounds, measured: Bounds) -> str:
    if predicted[1] is None or measured[0] is None:
        return UNKNOWN
    if measured[0] > predicted[1]:
        return EXCESS
    if measured[1] is not None and predicted[0] is not None and measured[1] < predicted[0]:
        return FEWER
    return INSIDE


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _causes(
    evidence: Evidence, subject: Subject, vectors: list[VectorRow], active: int
) -> list[LikelyCause]:
    """Return the likely causes of runs beyond one an interrupt, the largest first."""
    shared = _sum((row.interrupts or 0) * max(row.fan_out - 1, 0) for row in vectors) or 0
    packets = sum(evidence.rx_pkts.values()) or evidence.interrupts or 0
    found: list[LikelyCause] = []

    def add(code: str, at_most: int | None, text: str) -> None:
        found.append(LikelyCause(code=code, at_most=at_most, text=text))

    if not subject.callbacks and active.bit_count() > 1:
        text = "no vector callbacks: each interrupt schedules every active QP"
        add("fallback-mask", shared, text)
    elif any(row.fan_out > 1 for row in vectors):
        text = "a vector covers several active QPs: each of its interrupts schedules all of them"
        add("shared-vector", shared, text)
    if subject.db_read == "latched":
        text = (
            "db_read() still shows the rung bit at the end of the run: one more, empty run a ring"
        )
        add("race-check", packets, text)
    elif subject.db_read == "legacy":
        text = "db_read() shows wrong bits: the race check hits the QPs that they name"
        add("race-check", packets, text)
    if evidence.has_netdev:
        text = "ntb_netdev posts a buffer for each packet: the repost schedules the tasklet again"
        add("buffer-repost", packets, text + " (it merges with the race check's run)")
    if evidence.full_budget:
        text = "a run that consumes rx_max_entry packets schedules itself again"
        add("full-budget", evidence.full_budget, text)
    if evidence.link_interrupts:
        text = f"{evidence.link_interrupts} interrupts carry link events only: counted apart"
        add("link-interrupts", None, text)
    elif subject.link_mask and evidence.actions & {"ndev_vec_isr", "ndev_irq_isr"}:
        text = "the interrupts may hold link events: the amplification is then larger than shown"
        add("link-interrupts", None, text)
    if "ndev_irq_isr" in evidence.actions and subject.name.startswith("ntb_hw_amd"):
        text = "AMD with MSI or INTx has no doorbell left: no client of ntb_transport gets a QP"
        add("amd-msi", None, text)
    return sorted(found, key=lambda cause: -(cause.at_most or 0))


def _doubts(evidence: Evidence, subject: Subject, active: int) -> list[str]:
    doubts = []
    beyond = active & ~subject.db_valid_mask
    if beyond:
        doubts.append(f"QP {', '.join(map(str, bits_of(beyond)))} has no doorbell on this device")
    if evidence.per_vector:
        strange = [v for v in evidence.per_vector if evidence.per_vector[v] and not subject.mask(v)]
        if strange:
            doubts.append(f"vector {', '.join(map(str, strange))} rang and covers no doorbell")
    if evidence.interrupts is None:
        doubts.append("no doorbell interrupts are known: nothing can be predicted")
    return doubts
