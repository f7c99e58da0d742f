# SPDX-License-Identifier: BSD-3-Clause
"""What is read of each run: its time, its instructions, what it prints, the file it leaves."""

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from ntbbench.ab.process import Ran
from ntbbench.ab.records import AbMetric
from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.records import Own
from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.result_file import BAD_JSON

OUTPUT = "{output}"
PERF_COUNT = re.compile(r"^(\d+),", re.MULTILINE)
CALLGRIND_COUNT = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
TRY = 30.0  # seconds until perf has counted `true`


@dataclass(frozen=True)
class Left:
    """What a run left: its process, and the files of {output} and of the counter, if any."""

    ran: Ran
    output: Path | None
    count: Path


@dataclass(frozen=True)
class Metric(ABC):
    """One number of each run; `name` is what --metric says."""

    name: str
    unit: ClassVar[str] = ""
    better: ClassVar[Own] = "lower"

    @abstractmethod
    def value(self, left: Left) -> float:
        """Return the number; InputError where the run does not give one."""


class Wall(Metric):
    """Seconds from the start to the end."""

    unit: ClassVar[str] = "s"

    def value(self, left: Left) -> float:
        """Return the seconds."""
        return left.ran.wall


class CpuSeconds(Metric):
    """Seconds of CPU, user and system."""

    unit: ClassVar[str] = "s"

    def value(self, left: Left) -> float:
        """Return the seconds."""
        return left.ran.cpu


@dataclass(frozen=True)
class Counter:
    """A program that counts the instructions of another one."""

    name: str
    pattern: re.Pattern[str]
    wrap: Callable[[Path], list[str]]


PERF = Counter(
    "perf",
    PERF_COUNT,
    lambda file: ["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", str(file), "--"],
)
CALLGRIND = Counter(
    "callgrind",
    CALLGRIND_COUNT,
    lambda file: ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"],
)


@dataclass(frozen=True)
class Instructions(Metric):
    """Instructions in user space."""

    counter: Counter

    def value(self, left: Left) -> float:
        """Return the count."""
        text = left.count.read_text(encoding="utf-8", errors="replace")
        found = self.counter.pattern.findall(text)
        if not found:
            raise InputError("--metric", self.name, f"a count, and {self.counter.name} gave none")
        return float(found[-1])


@dataclass(frozen=True)
class JsonPath(Metric):
    """A number in the JSON of stdout, or of {output}."""

    path: str
    better: ClassVar[Own] = "unsaid"

    def value(self, left: Left) -> float:
        """Return the number."""
        try:
            data = left.ran.stdout if left.output is None else left.output.read_bytes()
            found: Any = msgspec.json.decode(data)
        except (*BAD_JSON, OSError) as error:
            raise InputError("--metric", self.name, f"a run that leaves JSON: {error}") from error
        for part in self.path.split("."):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                allowed = f"a path into the JSON of each run: there is no {part!r}"
                raise InputError("--metric", self.name, allowed) from None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise InputError("--metric", self.name, f"a path to a number; there is {found!r:.40}")
        return float(found)


@dataclass(frozen=True)
class Regex(Metric):
    """The first group of a pattern in stdout."""

    pattern: re.Pattern[str]
    better: ClassVar[Own] = "unsaid"

    def value(self, left: Left) -> float:
        """Return the number."""
        found = self.pattern.search(left.ran.stdout.decode(errors="replace"))
        text = found[1] if found else None
        try:
            return float(text or "")
        except ValueError:
            told = "nothing matches" if text is None else f"the group is {text!r:.40}"
            allowed = f"a pattern whose first group is a number in stdout; {told}"
            raise InputError("--metric", self.name, allowed) from None


def parse_metric(text: str) -> Metric:
    """Return what a --metric means; InputError for a word or a pattern that is none."""
    kind, colon, rest = text.partition(":")
    if kind == "json" and rest:
        return JsonPath(text, rest)
    if kind == "regex" and rest:
        try:
            pattern = re.compile(rest, re.MULTILINE)
        except re.error as error:
            raise InputError("--metric", text, f"a regular expression: {error}") from error
        if not pattern.groups:
            raise InputError("--metric", text, "a pattern with a group: regex:took (.*) ms")
        return Regex(text, pattern)
    if colon or text not in ("wall", "cpu", "instructions"):
        raise unknown("--metric", text, ["wall", "cpu", "instructions", "json:PATH", "regex:..."])
    if text == "instructions":
        return Instructions(text, counter())
    return Wall(text) if text == "wall" else CpuSeconds(text)


def counter() -> Counter:
    """Return what counts instructions here; InputError: nothing does."""
    perf, valgrind = shutil.which("perf"), shutil.which("valgrind")
    if perf is not None:
        words = [perf, "stat", "-x", ",", "-e", "instructions:u", "--", "true"]
        tried = subprocess.run(words, capture_output=True, text=True, timeout=TRY, check=False)  # noqa: S603
        if tried.returncode == 0 and PERF_COUNT.search(tried.stderr):
            return PERF
    if valgrind is not None:
        return CALLGRIND
    why = "is not installed" if perf is None else "counts nothing on this machine"
    allowed = f"perf, which {why}, or valgrind (callgrind), which is not installed"
    raise InputError("--metric", "instructions", allowed)


class RunReader:
    """All metrics of a run: those that were asked for, then those of the file that it leaves.

    Without --metric a command that leaves a file is measured by the file alone, any other by its
    wall time. A file that `json:` looks into is read for that alone.
    """

    def __init__(self, asked: Sequence[str], *, leaves_file: bool) -> None:
        self.metrics = [parse_metric(text) for text in dict.fromkeys(asked)]
        self.reads_file = leaves_file and not any(isinstance(m, JsonPath) for m in self.metrics)
        if not self.metrics and not leaves_file:
            self.metrics = [Wall("wall")]
        counters = [m.counter for m in self.metrics if isinstance(m, Instructions)]
        self.counter = counters[0] if counters else None
        timed = [m.name for m in self.metrics if isinstance(m, Wall | CpuSeconds)]
        if self.counter is CALLGRIND and timed:
            allowed = "not beside instructions: callgrind counts them, and runs 50 times slower"
            raise InputError("--metric", timed[0], allowed)

    def read(self, left: Left) -> list[tuple[AbMetric, float]]:
        """Return every metric of a run with its value.

        InputError: a number that is missing, negative or not finite, a file that is no result.
        """
        found = [
            (AbMetric(name=m.name, unit=m.unit, better=m.better), m.value(left))
            for m in self.metrics
        ]
        for about, value in found:
            samples_of([value], "--metric", about.name)
        return found + (_of_file(left.output) if self.reads_file and left.output else [])


def _of_file(path: Path) -> list[tuple[AbMetric, float]]:
    """Return the numbers in a result: of samples the median, exact ones as they are; no words."""
    found = []
    for name, one in load_variant(str(path)).series.items():
        if one.samples is not None:
            value = float(np.median(one.samples))
        elif isinstance(one.value, int | float):
            value = float(samples_of([one.value], str(path), name)[0])
        else:
            continue  # a run has numbers alone
        about = AbMetric(name=name, unit=one.unit, better=one.better, kind=one.kind)
        found.append((about, value))
    if not found:
        raise InputError(OUTPUT, str(path), "a result with numbers")
    return found
