# SPDX-License-Identifier: BSD-3-Clause
"""A run of `ab`: the comparison of its blocks, and how they came about."""

from collections.abc import Iterator
from dataclasses import replace

from ntbbench.ab.noise import line
from ntbbench.ab.records import AbCommand, AbResult, NoiseSource
from ntbbench.ab.run import judged
from ntbbench.compare.readers.ab_blocks import ab_sides
from ntbbench.compare.records import Comparison, Report
from ntbbench.core.units import duration_text
from ntbbench.report.document import Block, Document, Notes, Table, Tone, column, words
from ntbbench.report.views import comparison
from ntbbench.report.views import comparison_words as say

WHY = {
    "decided": "stopped when decided",
    "max-runs": "stopped at --max-runs",
    "max-time": "stopped at --max-time",
    "until": "as many as were asked for",
    "interrupted": "interrupted; --resume goes on",
    "": "unfinished; --resume goes on",
}
TONES: dict[str, Tone] = {"regressed": "bad", "improved": "good", "equivalent": "good"}


def document(result: AbResult) -> Document:
    """Return the report of a run, by the policy that it ran with."""
    report = judged(result)
    blocks = f"{say.counted(result.blocks, 'block(s)')}, {WHY[result.stopped]}"
    whole = comparison.document(report, ab_sides(result))
    run = list(_lines(result))
    # The answer on one metric is the whole of it; on several their table goes first.
    is_answered = len(report.comparisons) == 1
    below = [] if is_answered else [Notes("The run", [(line, ()) for line in run])]
    return replace(
        whole,
        title="ntbbench ab",
        verdict=f"{_answer(report)}; {blocks}",
        tone=_tone(report),
        record=result,
        lines=[*(run if is_answered else ()), *whole.lines],
        blocks=[*whole.blocks, *below, _noise(result)],
        warnings=[*whole.warnings, *_warnings(result)],
        facts=result.environment,
    )


def _answer(report: Report) -> str:
    if len(report.comparisons) != 1:
        return say.answer(report)
    (only,) = report.comparisons
    return f"{only.metric} {only.verdict}: {change(only)}"


def change(found: Comparison) -> str:
    """Return the change and its interval, in per cent."""
    told = say.interval(found).removesuffix(" %")
    return f"{say.percent(found.ratio)} {'(no interval yet)' if told == say.DASH else told}"


def _tone(report: Report) -> Tone:
    verdicts = {c.verdict for c in report.comparisons}
    if len(verdicts) == 1:
        return TONES.get(verdicts.pop(), "fair")
    return "bad" if "regressed" in verdicts else "fair"


def _lines(result: AbResult) -> Iterator[str]:
    for name, side in (("base", result.base), ("candidate", result.candidate)):
        yield f"{name}: {_told(side)}"
    warmups = sum(run.block < 1 for run in result.runs) // 2
    beside = f" after {say.counted(warmups, 'warm-up(s)')}" if warmups else ""
    counted = f"; instructions by {result.counter}" if result.counter else ""
    took = duration_text(round(result.seconds), 1)
    yield f"order drawn in each block{beside}, seed {result.plan['seed']}, {took}{counted}"
    yield f"machine: {line(result.noise)}"


def _told(side: AbCommand) -> str:
    at = f" at {side.revision[:12]}" if side.revision else ""
    build = f" (built by {side.build})" if side.build else ""
    return f"{side.command}{at}{build}"


def _noise(result: AbResult) -> Block:
    names = ("name", "value", "advice")
    rows = [words(source.name, source.value, source.advice) for source in result.noise]
    columns = [column(NoiseSource, name) for name in names]
    return Table("Noise of the machine", columns, rows, detail=True)


def _warnings(result: AbResult) -> Iterator[tuple[str, list[str]]]:
    """Yield what the numbers do not show: one memory layout alone was measured."""
    for source in result.noise:
        if source.name == "ASLR" and source.value == "off":
            yield "ASLR is off", [f"Remedy: {source.advice}"]
