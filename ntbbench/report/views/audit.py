# SPDX-License-Identifier: BSD-3-Clause
"""The audit of devices: what each breaks, what comes of it, and the driver's line."""

from collections.abc import Iterator, Sequence

from msgspec.structs import astuple

from ntbbench.ntb.records import AuditResult, AuditRow, Citation, Violation
from ntbbench.report.document import Block, Column, Document, Notes, Sheet, Table, words
from ntbbench.report.wording import plural, ranges

NO_DRIVER = "no driver's source: the device is your own"
ASKED = ("rule", "requirement", "detail", "effect")
COLUMNS = ("hardware", *ASKED, "db_counts", *Citation.__struct_fields__)


def document(result: AuditResult) -> Document:
    """Return the report of an audit."""
    return Document(
        title="ntbbench hardware --audit",
        verdict=verdict_of(result),
        tone="bad" if result.violations else "good",
        whole=len(result.hardware) == 1,
        record=result,
        blocks=list(_blocks(result.hardware)),
        sheet=lambda: Sheet(COLUMNS, _rows(result), "needed"),
    )


def verdict_of(result: AuditResult) -> str:
    """Return in one sentence how many devices were audited and what they break."""
    audited = [row for row in result.hardware if row.refusal is None]
    broken = sum(bool(row.violations) for row in audited)
    found = f"{plural(result.violations, 'violation')} in {broken}"
    return f"{plural(len(audited), 'device')} audited: {found}"


def _blocks(rows: Sequence[AuditRow]) -> Iterator[Block]:
    """Yield the violations of each device, then the devices without any."""
    for row in (row for row in rows if row.violations):
        title = f"{_name(row)}: {plural(len(row.violations), 'violation')}"
        found = [(f"{it.rule}: {it.requirement}", list(_details(it))) for it in row.violations]
        yield Notes(title, found, detail=True)
    yield _in_brief(rows)
    refused = [row for row in rows if row.refusal is not None]
    yield Notes("Not audited", [(f"{row.name}: {row.refusal}", ()) for row in refused])
    clean = [row for row in rows if not row.violations and row.refusal is None]
    yield Notes("Nothing found", [(_name(row), ()) for row in clean])


def _in_brief(rows: Sequence[AuditRow]) -> Table:
    """Return each rule that is broken, with the devices that break it."""
    broken: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for it in row.violations:
            broken.setdefault((it.rule, it.requirement), []).append(row.name)
    columns = [Column(name, align="left") for name in ("rule", "devices")]
    found = [words(rule, _prefixed(names)) for (rule, _), names in broken.items()]
    return Table("Violations by rule", columns, found, shown="brief")


def _prefixed(names: Sequence[str]) -> str:
    """Return names with what follows one driver in braces: `ntb_hw_intel-{gen1,gen3}`."""
    drivers: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        version = name.removeprefix("pci-epf-").partition("-")[2]
        drivers.setdefault(name.removesuffix(version), []).append(version)
    return ", ".join(
        f"{start}{{{','.join(many)}}}" if len(many) > 1 else f"{start}{many[0]}"
        for start, many in drivers.items()
    )


def _name(row: AuditRow) -> str:
    return row.name + (f", db_count {ranges(row.db_counts)}" if row.db_counts else "")


def _details(violation: Violation) -> Iterator[str]:
    yield f"{_sizes(violation.db_counts)}{violation.detail}"
    yield f"effect: {violation.effect}"
    where = violation.source
    if where is None:
        yield NO_DRIVER
        return
    yield f"Linux {where.kernel} {where.file}:{where.line}, {where.function}():"
    yield where.text


def _sizes(db_counts: list[int]) -> str:
    """Return the words for the sizes that have a violation, and for the one described."""
    if len(db_counts) < 2:
        return f"db_count {db_counts[0]}: " if db_counts else ""
    return f"db_count {ranges(db_counts)}, here {db_counts[-1]}: "


def _rows(result: AuditResult) -> Iterator[list[object]]:
    """Yield a row a violation; db_counts is one cell, its numbers separated by slashes."""
    for row in result.hardware:
        for it in row.violations:
            source = (
                [""] * len(Citation.__struct_fields__) if it.source is None else astuple(it.source)
            )
            sizes = "/".join(map(str, it.db_counts))
            yield [row.name, *(getattr(it, name) for name in ASKED), sizes, *source]
