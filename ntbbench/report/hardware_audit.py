# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench hardware --audit` in every format: what each device breaks, and where."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap

import msgspec
from msgspec import Struct
from tabulate import tabulate

from ntbbench.ntb.audit.records import MEANINGS, Citation, DeviceAudit, Finding
from ntbbench.report.hardware_map import ranges
from ntbbench.report.markdown import escaped
from ntbbench.report.wording import plural

SCHEMA = "ntbbench.audit/1"
WIDTH = 80
NO_DRIVER = "no driver's source: the device is your own"


class SourceRow(Struct, frozen=True, kw_only=True):
    """A line of a driver as JSON gives it."""

    kernel: str
    file: str
    function: str
    line: int
    text: str


class ViolationRow(Struct, frozen=True, kw_only=True):
    """One violation as JSON gives it; `detail` and `effect` are those of the last db_count."""

    rule: str
    requirement: str
    detail: str
    effect: str
    db_counts: list[int]
    source: SourceRow | None


class AuditRow(Struct, frozen=True, kw_only=True):
    """One device as JSON gives it."""

    name: str
    db_counts: list[int]
    refusal: str | None
    violations: list[ViolationRow]


class AuditListing(Struct, frozen=True, kw_only=True):
    """The JSON of the command."""

    schema: str
    violations: int
    hardware: list[AuditRow]


COLUMNS = [
    *("hardware", "rule", "requirement", "detail", "effect", "db_counts"),
    *SourceRow.__struct_fields__,
]


def audit_text(audits: Sequence[DeviceAudit]) -> str:
    """Return one block a device, at most 80 columns."""
    blocks = ["\n".join(device_lines(audit)) for audit in audits]
    return "\n\n".join([*blocks, summary(audits)]) + "\n"


def device_lines(audit: DeviceAudit) -> Iterator[str]:
    """Yield what there is to say about one device."""
    sizes = f", db_count {ranges(audit.db_counts)}" if audit.db_counts else ""
    if audit.refusal:
        yield from wrap(f"{audit.name}: not audited: {audit.refusal}", WIDTH)
        return
    count = len(audit.findings)
    yield f"{audit.name}{sizes}: {plural(count, 'violation') if count else 'nothing found'}"
    for finding in audit.findings:
        yield from finding_lines(finding)


def finding_lines(finding: Finding) -> Iterator[str]:
    """Yield one violation: the rule, what there is, what comes of it, the driver's line."""
    violation = finding.violation
    rule = f"{violation.rule}: {MEANINGS[violation.rule]}"
    yield from wrap(rule, WIDTH, initial_indent="  ", subsequent_indent="    ")
    for text in (f"{sizes_of(finding)}{violation.detail}", f"effect: {violation.effect}"):
        yield from wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ")
    if violation.where is None:
        yield f"    {NO_DRIVER}"
        return
    yield f"    {place(violation.where)}"
    function, line = f"      {violation.where.function}():", violation.where.text
    if len(f"{function} {line}") <= WIDTH:
        yield f"{function} {line}"
        return
    yield function
    yield from wrap(line, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 10)


def sizes_of(finding: Finding) -> str:
    """Return the words for the sizes that have a violation, and for the one described."""
    if not finding.db_counts:
        return ""
    last = finding.db_counts[-1]
    if len(finding.db_counts) == 1:
        return f"db_count {last}: "
    return f"db_count {ranges(finding.db_counts)}, here {last}: "


def place(where: Citation) -> str:
    """Return the kernel, the file and the line."""
    return f"Linux {where.kernel} {where.file}:{where.line}"


def summary(audits: Sequence[DeviceAudit]) -> str:
    """Return how many devices were looked at and what they have."""
    audited = [audit for audit in audits if audit.refusal is None]
    found = sum(len(audit.findings) for audit in audited)
    broken = sum(bool(audit.findings) for audit in audited)
    return f"{plural(len(audited), 'device')} audited: {plural(found, 'violation')} in {broken}"


def audit_markdown(audits: Sequence[DeviceAudit]) -> str:
    """Return one row a violation, one row for a device without any."""
    headers = ["name", "rule", "what there is", "effect", "source", "line"]
    rows = [[escaped(cell) for cell in row] for audit in audits for row in markdown_rows(audit)]
    return tabulate(rows, headers, "github", disable_numparse=True) + f"\n\n{summary(audits)}\n"


def markdown_rows(audit: DeviceAudit) -> Iterator[list[str]]:
    """Yield the rows of one device."""
    if not audit.findings:
        result = f"not audited: {audit.refusal}" if audit.refusal else "nothing found"
        yield [audit.name, "-", result, "-", "-", "-"]
    for finding in audit.findings:
        violation, where = finding.violation, finding.violation.where
        source = [NO_DRIVER, "-"] if where is None else [in_function(where), where.text]
        detail = f"{sizes_of(finding)}{violation.detail}"
        yield [audit.name, violation.rule.value, detail, violation.effect, *source]


def in_function(where: Citation) -> str:
    """Return the place of a line with its function."""
    return f"{place(where)}, {where.function}()"


def audit_csv(audits: Sequence[DeviceAudit]) -> str:
    """Return one row a violation; db_counts is one cell, its numbers separated by slashes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for audit in audits:
        for row in audit_row(audit).violations:
            counts = "/".join(map(str, row.db_counts))
            source = [""] * 5 if row.source is None else msgspec.structs.astuple(row.source)
            writer.writerow(
                [audit.name, row.rule, row.requirement, row.detail, row.effect, counts, *source]
            )
    return out.getvalue()


def audit_json(audits: Sequence[DeviceAudit]) -> str:
    """Return the devices with their violations as JSON."""
    rows = [audit_row(audit) for audit in audits]
    listing = AuditListing(
        schema=SCHEMA, violations=sum(len(row.violations) for row in rows), hardware=rows
    )
    return msgspec.json.format(msgspec.json.encode(listing), indent=2).decode() + "\n"


def audit_row(audit: DeviceAudit) -> AuditRow:
    """Return one device as a plain record."""
    return AuditRow(
        name=audit.name,
        db_counts=list(audit.db_counts),
        refusal=audit.refusal,
        violations=[violation_row(finding) for finding in audit.findings],
    )


def violation_row(finding: Finding) -> ViolationRow:
    """Return one violation as a plain record."""
    violation, where = finding.violation, finding.violation.where
    return ViolationRow(
        rule=violation.rule.value,
        requirement=MEANINGS[violation.rule],
        detail=violation.detail,
        effect=violation.effect,
        db_counts=list(finding.db_counts),
        source=None if where is None else source_row(where),
    )


def source_row(where: Citation) -> SourceRow:
    """Return a line of a driver as a plain record."""
    return SourceRow(
        kernel=where.kernel,
        file=where.file,
        function=where.function,
        line=where.line,
        text=where.text,
    )


AUDIT_FORMATS: Mapping[str, Callable[[Sequence[DeviceAudit]], str]] = {
    "text": audit_text,
    "md": audit_markdown,
    "csv": audit_csv,
    "json": audit_json,
}
