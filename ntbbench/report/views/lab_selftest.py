# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests: a row a part, and what the failed ones said."""

from collections import Counter
from collections.abc import Iterator, Sequence

from ntbbench.core.fields import declared
from ntbbench.lab.selftest.records import (
    FAILED,
    KNOWN,
    NOT_RUN,
    PASSED,
    SelftestPart,
    SelftestResult,
)
from ntbbench.report.document import (
    Cell,
    Check,
    Column,
    Details,
    Document,
    Drawing,
    Sheet,
    Table,
    Tone,
    column,
)
from ntbbench.report.wording import plural

FACTS = ("kernel", "kernel_source", "accelerator", "deterministic")
TONES: dict[str, Tone] = {PASSED: "good", KNOWN: "off", NOT_RUN: "off", FAILED: "bad"}


def document(result: SelftestResult) -> Document:
    """Return the report of the tests."""
    titles = declared(SelftestResult)
    failed = [part for part in result.parts if part.status == FAILED]
    return Document(
        title="ntbbench lab pair selftest",
        verdict=_verdict(result),
        record=result,
        lines=[f"Linux {result.kernel} ({result.kernel_source}), its own ntb_test.sh"],
        blocks=[*_tables(result), *_details(result.parts)],
        tone="bad" if failed else "good",
        warnings=[(warning, ()) for warning in result.warnings],
        facts={titles[name].title: getattr(result, name) for name in FACTS} | result.environment,
        ran=True,
        sheet=lambda: _sheet(result),
        checks=lambda: [*_checks(result)],
    )


def _verdict(result: SelftestResult) -> str:
    count = Counter(part.status for part in result.parts)
    ran = len(result.parts) - count[NOT_RUN]
    text = f"{count[PASSED]} of {plural(ran, 'part')} passed"
    if count[FAILED]:
        first = next(part for part in result.parts if part.status == FAILED)
        text = f"{plural(count[FAILED], 'part')} of {ran} FAILED, first {first.name}; {text}"
    text += f"; {count[KNOWN]} failed as known, by no fault of a driver" if count[KNOWN] else ""
    return text + (f"; {count[NOT_RUN]} not run" if count[NOT_RUN] else "")


def _pairs(result: SelftestResult) -> dict[tuple[str, str], list[SelftestPart]]:
    found: dict[tuple[str, str], list[SelftestPart]] = {}
    for part in result.parts:
        found.setdefault((part.ep_driver, part.rc_driver), []).append(part)
    return found


def _tables(result: SelftestResult) -> Iterator[Table]:
    """Yield a row a part; where there are several pairs, a column a pair, and the reasons below."""
    pairs = _pairs(result)
    reason = Column("reason", align="left")
    if len(pairs) == 1:
        columns = [column(SelftestPart, "name"), column(SelftestPart, "status"), reason]
        rows = [(Cell(part.name), _cell(part), Cell(part.reason)) for part in result.parts]
        yield Table("Parts", columns, rows)
        return
    tests = dict.fromkeys(part.name for part in result.parts)
    heads = (
        Column(", ".join(names), head="\n".join(names), align="left")
        for names in (_names(parts[0]) for parts in pairs.values())
    )
    found = {(p.ep_driver, p.rc_driver, p.name): p for p in result.parts}
    table = [(Cell(name), *(_cell(found[(*pair, name)]) for pair in pairs)) for name in tests]
    yield Table("Parts", [column(SelftestPart, "name"), *heads], table)
    told = [
        (Cell(part.name), Cell(part.ep_driver), Cell(part.rc_driver), Cell(part.reason))
        for part in result.parts
        if part.reason
    ]
    named = [column(type(result.parts[0]), name) for name in ("name", "ep_driver", "rc_driver")]
    yield Table("Reasons", [*named, reason], told, keys=3, detail=True)


def _names(part: SelftestPart) -> tuple[str, str]:
    """Return both ends with their drivers."""
    titles = declared(type(part))
    return (
        f"{titles['ep_driver'].title} {part.ep_driver}",
        f"{titles['rc_driver'].title} {part.rc_driver}",
    )


def _cell(part: SelftestPart) -> Cell:
    failed = part.status == FAILED
    return Cell("FAILED" if failed else part.status, strong=failed, tone=TONES[part.status])


def _details(parts: Sequence[SelftestPart]) -> Iterator[Details]:
    for part in parts:
        name = f"{', '.join(_names(part))}, {part.name}: {part.status}"
        blocks = [Drawing("Output", part.output), Drawing("Kernel log", part.log)]
        if part.output:
            yield Details(name, blocks, detail=True)


def _sheet(result: SelftestResult) -> Sheet:
    names = ("ep_driver", "rc_driver", "name", "status", "reason")
    rows = [[getattr(part, name) for name in names] for part in result.parts]
    about = declared(type(result.parts[0]))
    return Sheet([about[name].name if name in about else name for name in names], rows)


def _checks(result: SelftestResult) -> Iterator[Check]:
    """Yield a test a pair, with its parts; a known failure is skipped, and says why."""
    for parts in _pairs(result).values():
        checks = [
            Check(
                part.name,
                {PASSED: True, FAILED: False}.get(part.status),
                reason=part.reason,
                diagnostics=part.output,
            )
            for part in parts
        ]
        yield Check(", ".join(_names(parts[0])), None, checks=checks)
