# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench explain` in every format: predicted beside measured, and the likely causes."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from ntbbench.capture.explain_records import EXCESS, FEWER, INSIDE, Explanation, Explanations
from ntbbench.report.plain import (
    Table,
    csv_text,
    folded,
    json_text,
    markdown_tables,
    number,
    text_tables,
)

VERDICTS = {
    INSIDE: "the measurement is inside the model's bounds",
    EXCESS: "MORE runs than the model of this device allows",
    FEWER: "FEWER runs than the model of this device allows",
}


def render_text(record: Explanations) -> str:
    """Return the explanations as plain ASCII of at most 80 columns."""
    lines: list[str] = []
    for one in record.explanations:
        lines += [*folded(_title(one), ""), *folded(_told(one), "  "), ""]
        lines += text_tables(list(_tables(one)))
        for caution in one.cautions:
            lines += folded(f"caution: {caution}", "  ")
        lines.append("")
    return "\n".join(lines).strip("\n") + "\n"


def render_markdown(record: Explanations) -> str:
    """Return the explanations as Markdown."""
    blocks = []
    for one in record.explanations:
        tables = list(_tables(one))
        lists = [(_title(one), [_told(one)]), ("Cautions", one.cautions)]
        blocks.append(markdown_tables([], lists[:1]) + "\n" + markdown_tables(tables, lists[1:]))
    return "\n".join(blocks)


def render_csv(record: Explanations) -> str:
    """Return one row a QP of each explanation, or one of no QP where none is known."""
    rows = [
        [
            one.capture,
            one.device,
            qp.qp_num,
            qp.predicted_low,
            qp.predicted_high,
            qp.measured_low,
            qp.measured_high,
            qp.verdict,
        ]
        for one in record.explanations
        for qp in one.qps
    ]
    rows += [
        [one.capture, one.device, *[None] * 5, one.verdict]
        for one in record.explanations
        if not one.qps
    ]
    bounds = ["predicted_low", "predicted_high", "measured_low", "measured_high"]
    return csv_text(["capture", "device", "qp_num", *bounds, "verdict"], rows)


def render_json(record: Explanations) -> str:
    """Return the record of schema `ntbbench.explain/1`, indented."""
    return json_text(msgspec.json.encode(record))


# `--format NAME` of explain.
FORMATS: Mapping[str, Callable[[Explanations], str]] = {
    "text": render_text,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


def _title(one: Explanation) -> str:
    return f"{one.capture} as {one.device}"


def _told(one: Explanation) -> str:
    """Return the whole in one sentence."""
    verdict = VERDICTS.get(one.verdict, "not enough is known to compare")
    if one.active_qps is None:
        return f"{verdict}: {number(one.interrupts)} interrupts"
    fan_out = number(one.predicted_amplification)
    more = f"; {one.excess} runs beyond one an interrupt" if one.excess else ""
    left = f", {one.unexplained} of them beyond the model" if one.unexplained else ""
    return (
        f"{verdict}: {number(one.interrupts)} interrupts, predicted schedule calls an interrupt "
        f"{fan_out}, predicted runs {_range(one.predicted_runs_low, one.predicted_runs_high)}, "
        f"measured {_range(one.measured_runs_low, one.measured_runs_high)}{more}{left}"
    )


def _range(low: int | None, high: int | None) -> str:
    return number(low) if low == high else f"{number(low)}..{number(high)}"


def _tables(one: Explanation) -> Iterator[Table]:
    rows = [
        [
            str(row.vector),
            row.db_vector_mask,
            number(row.fan_out),
            number(row.interrupts),
            number(row.predicted_schedule_calls),
        ]
        for row in one.vectors
    ]
    headers = ["vector", "mask", "active QPs", "interrupts", "predicted calls"]
    yield Table("By vector", headers, rows)
    rows = [
        [
            str(qp.qp_num),
            _range(qp.predicted_low, qp.predicted_high),
            _range(qp.measured_low, qp.measured_high),
            qp.verdict,
        ]
        for qp in one.qps
    ]
    yield Table("Receive-tasklet runs by QP", ["QP", "predicted", "measured", "verdict"], rows)
    rows = [
        [cause.code, "-" if cause.at_most is None else str(cause.at_most), cause.text]
        for cause in one.causes
    ]
    yield Table("Likely causes of more than one run an interrupt", ["cause", "at most", ""], rows)
