# SPDX-License-Identifier: BSD-3-Clause
"""What `go test -bench` prints: Go's benchmark format, with the lines that benchstat adds.

Lines of a run are its configuration (`key: value`), results (`BenchmarkX-8 N 12 ns/op 4 B/op`) and
`Unit` lines; all else is left out. A `pkg:` line or the end of a run begins another process.
Source: golang.org/design/14313-benchmark-format, and package benchfmt of golang.org/x/perf.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from ntbbench.compare.readers.checked import (
    add_exact,
    add_noisy,
    by_process,
    check_new,
    only,
)
from ntbbench.compare.readers.content import Content, ResultReader
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError

SOURCE = "go test"
CPU = "cpu"
STRICT = (CPU, "goos", "goarch")
PACKAGE = "pkg"
# A name, a number of iterations, a value and its unit, which is no number.
RESULT = re.compile(rb"^Benchmark\S*[ \t]+\d+[ \t]+[-+.\w]+[ \t]+[^\s\d.+-]", re.MULTILINE)
NAME = re.compile(r"Benchmark(?![a-z])(\S*)")
CONFIGURATION = re.compile(r"([a-z][^\sA-Z:]*):(?:[ \t]+(.*))?")
END_OF_RUN = re.compile(r"(PASS|FAIL|ok)\b")
# What a unit is made of becomes SI: `p99-ns` p99-sec, `MB/s` B/s.
PARTS = {"ns": ("sec", 1e-9), "MB": ("B", 1e6)}
BETTER = {"sec/op": "lower", "B/op": "lower", "allocs/op": "lower", "B/s": "higher"}
WAYS = ("lower", "higher")


@dataclass
class GoOutput:
    """What was read so far."""

    where: str
    configuration: dict[str, str] = field(default_factory=dict)
    # What `Unit` lines say of a unit, `better=higher` or `assume=exact`.
    units: dict[str, dict[str, str]] = field(default_factory=dict)
    # The values of each benchmark and unit by process.
    values: dict[tuple[str, str], dict[int, list[float]]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)  # by benchmark
    process: int = 0
    measures: bool = False  # whether the process has a result

    def read_line(self, number: int, line: str) -> None:
        """Take in one line."""
        fields = line.split()
        if not fields:
            return
        if (name := NAME.fullmatch(fields[0])) is not None:
            self._read_result(number, name[1], fields[1:])
        elif fields[0] == "Unit" and len(fields) > 2:
            pairs = (pair.partition("=") for pair in fields[2:])
            known = self.units.setdefault(tidied(fields[1])[0], {})
            known |= {key: value for key, _, value in pairs}
        elif (told := CONFIGURATION.fullmatch(line.rstrip())) is not None:
            self._read_configuration(told[1], (told[2] or "").strip())
        elif END_OF_RUN.match(line):
            self._end_process()

    def _read_configuration(self, key: str, value: str) -> None:
        if key == PACKAGE:
            self._end_process()
        if key in STRICT and self.configuration.get(key, value) != value:
            allowed = f"one machine in a file; {self.configuration[key]!r} stands above"
            raise InputError(f"{self.where}: {key}", value, allowed)
        self.configuration[key] = value

    def _end_process(self) -> None:
        self.process += self.measures
        self.measures = False

    def _read_result(self, number: int, name: str, fields: list[str]) -> None:
        """Take in a result; a name alone (-v) and a text that a benchmark prints are none."""
        if len(fields) < 2 or not fields[0].isdecimal():
            return
        package = self.configuration.get(PACKAGE)
        name = f"{package}.{name}" if package else name
        values, units = [_number(text) for text in fields[1::2]], fields[2::2]
        if len(values) != len(units) or None in values:
            self.unread[name] = f"line {number} is no list of values, each with a unit"
            return
        self.measures = True
        for value, written in zip(values, units, strict=True):
            unit, size = tidied(written)
            runs = self.values.setdefault((name, unit), defaultdict(list))
            runs[self.process].append((value or 0.0) * size)


def recognises(content: Content) -> bool:
    """Return whether a line of the text is a result."""
    text = content.head if content.is_large_table else content.data
    return not content.is_json and RESULT.search(text) is not None


def read(content: Content, label: str) -> Variant:
    """Return the variant that an output of `go test -bench` holds.

    InputError: results of several machines.
    """
    output = GoOutput(content.where)
    for number, line in enumerate(content.data.decode("utf-8", "replace").split("\n"), start=1):
        output.read_line(number, line)
    told = {key: text for key, text in output.configuration.items() if text}
    context = {key: text for key, text in told.items() if key not in (*STRICT, PACKAGE)}
    variant = Variant(label, SOURCE, {}, only(told, STRICT), context, cpu=CPU, expects=STRICT)
    variant.unread.update(output.unread)
    for (name, unit), runs in output.values.items():
        if name not in output.unread:
            _add(variant, name, unit, [*runs.values()], output)
    return variant


def _add(variant: Variant, name: str, unit: str, runs: list[list[float]], output: GoOutput) -> None:
    metric, told = f"{name}:{unit}", output.units.get(unit, {})
    stated = told.get("better", "")
    known = {
        "quantity": unit,
        "unit": _shown(unit),
        "better": stated if stated in WAYS else BETTER.get(unit, "unsaid"),
    }
    if told.get("assume") != "exact":
        samples, cautions = by_process(runs)
        add_noisy(variant, metric, samples, output.where, cautions=cautions, **known)
        return
    values = {value for run in runs for value in run}
    if len(values) == 1:
        add_exact(variant, metric, values.pop(), output.where, **known)
    else:
        check_new(variant, metric, output.where)
        variant.unread[metric] = "the file calls it exact, and its values differ"


def tidied(unit: str) -> tuple[str, float]:
    """Return a unit in SI, and how much of it one is: `ns/op` is 1e-9 sec/op."""
    factor, below, parts = 1.0, False, []
    for part in re.split(r"([*/-])", unit):
        below |= part == "/"
        name, size = PARTS.get(part, (part, 1.0))
        factor *= 1 / size if below else size
        parts.append(name)
    return "".join(parts), factor


def _shown(unit: str) -> str:
    """Return the unit of a number: of `p99-sec` s, of `B/op` B, of `allocs/op` allocs."""
    amount, _, per = unit.partition("/")
    amount = amount.rpartition("-")[2]
    amount = "s" if amount == "sec" else amount
    return amount if per in ("op", "") else f"{amount}/{per}"


def _number(text: str) -> float | None:
    """Return a number, NaN where Go says so; None: it is none."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


READER = ResultReader(recognises, read)
