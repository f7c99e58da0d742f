# SPDX-License-Identifier: BSD-3-Clause
"""Measured numbers beside what the model of a device predicts, and the likely causes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ntbbench.capture.candidates import REBUILT
from ntbbench.capture.explain import NO_COUNTERS, NO_INTERRUPTS
from ntbbench.capture.records import (
    EXCESS,
    FEWER,
    INSIDE,
    Explanation,
    Explanations,
    LikelyCause,
    QpRow,
    VectorRow,
)
from ntbbench.core.fields import declared
from ntbbench.report.document import (
    Block,
    Cell,
    Details,
    Document,
    Notes,
    Sheet,
    Table,
    Tone,
    number,
)
from ntbbench.report.views.record_tables import amount, field_table, span, span_cell
from ntbbench.report.views.transmit import said, transmit_blocks
from ntbbench.report.wording import plural

VERDICTS = {
    INSIDE: "the measurement is inside the model's bounds",
    EXCESS: "MORE runs than the model of this device allows",
    FEWER: "FEWER runs than the model of this device allows",
}
IN_WORDS = {
    "fallback-mask": "the fallback mask is in force, and each doorbell wakes every QP",
    "shared-vector": "a vector covers several QPs",
    "race-check": "db_read() still shows the rung bit at the end of a run",
    "buffer-repost": "ntb_netdev posts a buffer for each packet",
    "full-budget": "a full budget schedules the run again",
}
UNKNOWN_WHY = (NO_COUNTERS, NO_INTERRUPTS)
NO_EXCESS = "no run beyond one per interrupt"
BOUNDS = ("predicted_low", "predicted_high", "measured_low", "measured_high")
SUMMARY = ("device", "interrupts", "predicted_runs_low", "measured_runs_low", "verdict")


def document(result: Explanations) -> Document:
    """Return the report of captures beside devices."""
    found = result.explanations
    details = [
        Details(f"{_title(one)}: {_conclusion(one)}", [*_blocks(one)], attention=_is_beyond(one))
        for one in found
    ]
    cautions: dict[str, list[str]] = {}
    for one in found:
        for caution in one.cautions:
            cautions.setdefault(caution, []).append(_title(one))
    return Document(
        title="ntbbench explain",
        verdict=verdict_of(result) + said(result.transmits),
        tone=_tone(found),
        record=result,
        blocks=[
            *([_summary(found)] if len(found) > 1 else _blocks(*found)),
            *transmit_blocks(result.transmits, result.restarts),
            *(details if len(found) > 1 else ()),
            Notes("Ruled out", [*_ruled_out(result)]),
        ],
        warnings=list(cautions.items()),
        sheet=lambda: Sheet(("capture", "device", "qp_num", *BOUNDS, "verdict"), _rows(found)),
    )


def _is_beyond(one: Explanation) -> bool:
    return one.verdict in {EXCESS, FEWER}


def _tone(found: Sequence[Explanation]) -> Tone:
    verdicts = [{one.verdict for one in group} for group in _by_capture(found).values()]
    if all(INSIDE in known for known in verdicts):
        return "good"
    return "bad" if any(known <= {EXCESS, FEWER} for known in verdicts) else "fair"


def verdict_of(result: Explanations) -> str:
    """Return in one sentence which device the measurement is of, and what its excess comes of."""
    found = result.explanations
    captures = _by_capture(found)
    if len(captures) == 1:
        return f"{found[0].capture}: {_conclusion_of(found, is_named=result.is_named)}"
    verdicts = [{one.verdict for one in group} for group in captures.values()]
    fitting = sum(INSIDE in known for known in verdicts)
    outside = sum(known <= {EXCESS, FEWER} for known in verdicts)
    return (
        f"{plural(len(captures), 'capture')}: {fitting} inside the bounds of a device, {outside} "
        f"outside those of every device, {len(captures) - fitting - outside} not known"
    )


def _conclusion_of(found: Sequence[Explanation], *, is_named: bool) -> str:
    fitting = [one for one in found if one.verdict == INSIDE]
    if not fitting:
        return _none_fits(found)
    cause = _largest_cause(fitting)
    if len(fitting) == 1:
        is_described = fitting[0].device == REBUILT
        verb = "is" if is_described else "fits" if is_named else "looks like"
        return f"this {verb} {_called(fitting[0])}: {cause or NO_EXCESS}"
    runs = {(one.predicted_runs_low, one.predicted_runs_high) for one in fitting}
    both = "both" if len(fitting) == 2 else "all"
    predicted = f"{both} allow {span(*runs.pop())} runs" if len(runs) == 1 else f"{both} allow them"
    return f"this may be {_either(fitting)}: the runs cannot tell which, {predicted}" + (
        f"; {cause}" if cause else ""
    )


def _none_fits(found: Sequence[Explanation]) -> str:
    unknown = [one for one in found if one.verdict not in {EXCESS, FEWER}]
    if unknown:
        why = next((caution for caution in UNKNOWN_WHY if caution in unknown[0].cautions), "")
        return f"not enough is known to compare it with {_either(found)}{f': {why}' * bool(why)}"
    one = min(found, key=lambda one: one.unexplained or 0)
    if one.verdict == FEWER:
        said = f"{span(one.measured_runs_low, one.measured_runs_high)} runs"
        return f"this fits none of {_either(found)}: it has FEWER than their least, {said}"
    of, cause = _called(one), _largest_cause([one])
    which = f"this is not {of}" if len(found) == 1 else f"this fits none of {_either(found)}"
    beyond = f"{one.unexplained} beyond the {one.predicted_runs_high} of {of}"
    more = f"; {cause}" if cause else ""
    return f"{which}: MORE runs than the model allows, {beyond}{more}"


def _called(one: Explanation) -> str:
    if one.device == REBUILT:
        known = f"{one.called}, as the capture describes it"
        return known if one.called else "the device that the capture describes"
    return one.called or one.device


def _either(found: Sequence[Explanation]) -> str:
    *others, last = [_called(one) for one in found]
    return f"{', '.join(others)} or {last}" if others else last


def _largest_cause(found: Sequence[Explanation]) -> str:
    """Return what most of the runs beyond one per interrupt come of.

    No words where nothing is beyond, or where the devices differ in it.
    """
    said = set()
    for one in found:
        cause = next((cause for cause in one.causes if cause.at_most), None)
        if cause is None or not one.excess:
            return ""
        runs = min(cause.at_most or 0, one.excess)
        what = IN_WORDS.get(cause.code, cause.code)
        said.add(f"up to {runs} of {one.excess} excess runs, {what}")
    return said.pop() if len(said) == 1 else ""


def _by_capture(found: Sequence[Explanation]) -> dict[str, list[Explanation]]:
    groups: dict[str, list[Explanation]] = {}
    for one in found:
        groups.setdefault(one.capture, []).append(one)
    return groups


def _ruled_out(result: Explanations) -> Iterator[tuple[str, list[str]]]:
    """Yield what each capture rules out; the capture's name where there are several."""
    many = len(_by_capture(result.explanations)) > 1
    for capture, told in result.ruled_out.items():
        yield from ((text, [capture] if many else []) for text in told)


def _title(one: Explanation) -> str:
    return f"{one.capture} as {one.device}"


def _conclusion(one: Explanation) -> str:
    return VERDICTS.get(one.verdict, "not enough is known to compare")


def _summary(found: Sequence[Explanation]) -> Table:
    groups = _by_capture(found)
    table = field_table(
        "Captures, and the devices that they may be of",
        Explanation,
        SUMMARY,
        [one for group in groups.values() for one in group],
        predicted_runs_low=lambda one: span_cell(one.predicted_runs_low, one.predicted_runs_high),
        measured_runs_low=lambda one: span_cell(one.measured_runs_low, one.measured_runs_high),
        verdict=_verdict,
    )
    return replace(
        table,
        notes=[f"verdict: {declared(Explanation)['verdict'].definition}"],
        groups=[(capture, len(group)) for capture, group in groups.items()],
    )


def _verdict(row: Explanation | QpRow) -> Cell:
    return Cell(row.verdict, strong=row.verdict in {EXCESS, FEWER})


def _numbers(one: Explanation) -> str:
    text = f"{amount(one.interrupts)} interrupts"
    if one.active_qps is None:
        return text
    more = f"; {one.excess} runs beyond one per interrupt" if one.excess else ""
    left = f", {one.unexplained} of them beyond the model" if one.unexplained else ""
    return (
        f"{text}, predicted schedule calls per interrupt {amount(one.predicted_amplification)}, "
        f"predicted runs {span(one.predicted_runs_low, one.predicted_runs_high)}, "
        f"measured {span(one.measured_runs_low, one.measured_runs_high)}{more}{left}"
    )


def _blocks(one: Explanation) -> Iterator[Block]:
    yield Notes("", [(_numbers(one), ())])
    yield field_table(
        "Likely causes of more than one run per interrupt",
        LikelyCause,
        LikelyCause.__struct_fields__,
        one.causes,
        at_most=lambda cause: number(cause.at_most),
    )
    yield field_table("By vector", VectorRow, VectorRow.__struct_fields__, one.vectors)
    yield field_table(
        "Receive-tasklet runs by QP",
        QpRow,
        ("qp_num", "predicted_low", "measured_low", "verdict"),
        one.qps,
        predicted_low=lambda qp: span_cell(qp.predicted_low, qp.predicted_high),
        measured_low=lambda qp: span_cell(qp.measured_low, qp.measured_high),
        verdict=_verdict,
    )


def _rows(found: Sequence[Explanation]) -> Iterator[list[object]]:
    """Yield one row a QP of each explanation, then one of no QP where none is known."""
    for one in found:
        for qp in one.qps:
            bounds = (getattr(qp, name) for name in BOUNDS)
            yield [one.capture, one.device, qp.qp_num, *bounds, qp.verdict]
    for one in found:
        if not one.qps:
            yield [one.capture, one.device, *[None] * 5, one.verdict]
