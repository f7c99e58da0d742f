# SPDX-License-Identifier: BSD-3-Clause
"""Which format a file is in, told by its structure: no key that stands elsewhere can mislead it."""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from ntbbench.compare.machines import machine_difference
from ntbbench.compare.readers import csv_runs, iperf3, pyperf, pytest_benchmark
from ntbbench.compare.readers.checked import encodable, read_bytes
from ntbbench.compare.readers.result_kinds import (
    CompatCells,
    Flows,
    LabRuns,
    Pairs,
    Simulations,
    Sweeps,
)
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

OURS = "ntbbench."  # what our own schemas begin with
IPERF3 = "iperf3"
PYTEST_BENCHMARK = "pytest-benchmark"
PYPERF = "pyperf"
GOOGLE_BENCHMARK = "Google Benchmark"
HYPERFINE = "hyperfine"


class Probe(Struct):
    """The keys that the formats have at the top; their values stay unread."""

    schema: Raw | UnsetType = UNSET
    benchmarks: Raw | UnsetType = UNSET
    results: Raw | UnsetType = UNSET  # of hyperfine
    context: Raw | UnsetType = UNSET  # of Google Benchmark
    machine_info: Raw | UnsetType = UNSET
    start: Raw | UnsetType = UNSET
    intervals: Raw | UnsetType = UNSET
    end: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET

    def text_of_schema(self) -> str:
        """Return the schema; "" where there is none that is a text."""
        if isinstance(self.schema, UnsetType) or not begins(self.schema, b'"'):
            return ""
        return msgspec.json.decode(self.schema, type=str)

    def tool(self) -> str | None:
        """Return which tool wrote the file; None: ntbbench itself, or none that is known.

        The benchmarks themselves tell, then what a run of iperf3 is made of: a file may have any
        key beside those.
        """
        if self.text_of_schema().startswith(OURS):
            return None
        one = first(self.benchmarks)
        told = (
            (PYTEST_BENCHMARK, begins(one.stats, b"{")),
            (PYPERF, begins(one.runs, b"[")),
            (GOOGLE_BENCHMARK, one.real_time is not UNSET or one.cpu_time is not UNSET),
            (IPERF3, self._is_iperf3()),
            (HYPERFINE, begins(first(self.results).command, b'"')),
        )
        found = next((tool for tool, is_its in told if is_its), None)
        return found if found or not begins(self.benchmarks, b"[") else self._without_benchmarks()

    def _is_iperf3(self) -> bool:
        """Return whether it says how a run started and what came of it."""
        ended = begins(self.intervals, b"[") or begins(self.error, b'"')
        return begins(self.start, b"{") and (begins(self.end, b"{") or ended)

    def _without_benchmarks(self) -> str:
        """Return the likeliest tool of a list without a benchmark that tells whose it is."""
        if self.machine_info is not UNSET:
            return PYTEST_BENCHMARK
        return GOOGLE_BENCHMARK if begins(self.context, b"{") else PYPERF


class Item(Struct):
    """One benchmark, by the keys that tell whose it is."""

    stats: Raw | UnsetType = UNSET
    runs: Raw | UnsetType = UNSET
    real_time: Raw | UnsetType = UNSET
    cpu_time: Raw | UnsetType = UNSET
    command: Raw | UnsetType = UNSET


def begins(value: Raw | UnsetType, mark: bytes) -> bool:
    """Return whether a value is there and begins with a bracket or a quote."""
    return not isinstance(value, UnsetType) and bytes(value)[:1] == mark


def first(values: Raw | UnsetType) -> Item:
    """Return the first object of a list; an empty one where there is none."""
    if isinstance(values, UnsetType) or not begins(values, b"["):
        return Item()
    objects = (item for item in msgspec.json.decode(values, type=list[Raw]) if begins(item, b"{"))
    return next((msgspec.json.decode(item, type=Item) for item in objects), Item())


def joined(variants: Sequence[Variant], paths: Sequence[Path]) -> Variant:
    """Return the results in several files as one variant: a noisy sample a file, counts once.

    InputError: the files differ in format, environment, metrics, or an exact value.
    """
    first = variants[0]
    for other, path in zip(variants[1:], paths[1:], strict=True):
        _check_alike(first, other, paths[0], path)
    series = {}
    for name, one in first.series.items():
        all_of = [variant.series[name] for variant in variants]
        if one.kind == "exact":
            odd = next((i for i, s in enumerate(all_of) if s.value != one.value), None)
            if odd is not None:
                allowed = f"the {name!r} of {paths[0]}, which is exact"
                raise InputError("input", str(paths[odd]), allowed)
            series[name] = one
            continue
        medians = np.array([np.median(s.samples) for s in all_of if s.samples is not None])
        series[name] = msgspec.structs.replace(one, samples=medians, cautions=(), runs=0)
    drawn = [variant.draws for variant in variants]
    cautions = {code: None for variant in variants for code in variant.cautions}
    whole = replace(first, series=series, draws="; ".join(drawn) if all(drawn) else "")
    return _numbered(replace(whole, cautions=tuple(cautions)), series.values())


def _check_alike(first: Variant, other: Variant, path: Path, its: Path) -> None:
    """Refuse a result that is no other run of the same thing."""
    same = (other.source, other.environment) == (first.source, first.environment)
    if not same or machine_difference(first, other, ()):
        allowed = f"the format and the environment of {path}, another run of the same"
        raise InputError("input", str(its), allowed)
    if other.series.keys() != first.series.keys():
        name = sorted(other.series.keys() ^ first.series.keys())[0]
        raise InputError("input", str(its), f"the metrics of {path}; {name!r} differs")


def _numbered(variant: Variant, several: Iterable[Series]) -> Variant:
    """Return a variant of several runs, with the number of the run that each sample is of.

    Of a metric that some runs lack it is not known.
    """
    counts = {s.metric: len(s.samples) for s in several if s.samples is not None}
    runs = max(counts.values(), default=0)
    rows = np.arange(1, runs + 1, dtype=np.int64)
    numbers = {name: rows for name, count in counts.items() if count == runs}
    return replace(variant, row_numbers=numbers, runs=runs)


def in_several_runs(variant: Variant) -> Variant:
    """Return a variant whose format holds several runs, numbered as above; one run stays as it is.

    The samples of one process or connection are no runs.
    """
    return _numbered(variant, [s for s in variant.series.values() if ONE_PROCESS not in s.cautions])


Input = TypeVar("Input")
Output = TypeVar("Output")
Reader = Callable[[bytes, str, str], Variant]
FORMATS = (
    "a result of `ntbbench sweep`, `simulate`, `compat`, `lab run` or `lab pair`, "
    "JSON of pytest-benchmark, pyperf or iperf3, or a CSV of runs"
)
# Our own results.
OWN = (Sweeps(), CompatCells(), LabRuns(), Flows(), Pairs(), Simulations())
KNOWN_SCHEMAS = tuple(kind.schema for kind in OWN)
# By the tool that wrote them; of any other tool that the structure tells nothing reads them yet.
BENCHMARKS: dict[str, Reader] = {PYTEST_BENCHMARK: pytest_benchmark.read, PYPERF: pyperf.read}
PACKED = (".gz", ".xz", ".zip")
JSON_BEGINS = re.compile(rb"\s*(?:\{|\[)")
# What no line of a CSV begins with.
JSON_ONLY = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
BLANKS = re.compile(r"\s*")
DECODER = json.JSONDecoder()


def load_variant(argument: str) -> Variant:
    """Return the variant of one argument: a file, files joined by commas, or a folder of them.

    Several files are several runs of one variant: the median of each is one sample.

    InputError: what cannot be read, is damaged, or is in no known format.
    """
    paths = paths_of(argument)
    label = encodable((Path(argument) if Path(argument).is_dir() else paths[0]).stem)
    if len(paths) == 1 and _is_csv_by_name(paths[0]):
        return csv_runs.load_columns(paths[0], label)
    contents = [(path, read_bytes(path).removeprefix(codecs.BOM_UTF8)) for path in paths]
    runs = [[(str(path), run) for run in _iperf3_runs(path, data)] for path, data in contents]
    if any(runs):
        if not all(runs):
            raise InputError("input", argument, "files of one format")
        found = _decoded(iperf3.load, [run for file in runs for run in file], label, argument)
        return in_several_runs(found)
    variants = [_load_one(path, data, label) for path, data in contents]
    return variants[0] if len(variants) == 1 else joined(variants, paths)


def paths_of(argument: str) -> list[Path]:
    """Return the files that an argument names; those of a folder in the order of their numbers."""
    path = Path(argument)
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix == ".json" and p.is_file()]
        if not files:
            raise InputError("input", argument, "a folder with .json files")
        return sorted(files, key=_by_numbers)
    if path.exists() or "," not in argument:
        return [path]
    return [Path(part) for part in argument.split(",") if part]


def _by_numbers(path: Path) -> list[str | int]:
    """Return a key that sorts run9.json before run10.json."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if part.isdecimal() else part for part in parts]


def check_folders(arguments: Sequence[str]) -> None:
    """Refuse to pair the files of folders that share some of their names: which pair is not known.

    Folders that share none are paired in their order.

    InputError: naming the first file that has no partner.
    """
    folders = [argument for argument in arguments if Path(argument).is_dir()]
    names = [{path.name for path in paths_of(folder)} for folder in folders]
    for folder, other in zip(folders[1:], names[1:], strict=True):
        odd = sorted(names[0] ^ other)
        if odd and names[0] & other:
            held = folders[0] if odd[0] in names[0] else folder
            allowed = f"files of the same names in {folders[0]} and {folder}"
            raise InputError("--paired", str(Path(held) / odd[0]), allowed)


def _is_csv_by_name(path: Path) -> bool:
    """Return whether a file is a CSV by its name, and no JSON; it may be too large to hold."""
    if path.suffix.lower() != ".csv":
        return False
    if not path.is_file():
        return True  # a pipe is read once, and what cannot be read is told by the reader
    try:
        with path.open("rb") as file:
            return not JSON_ONLY.match(file.read(64).removeprefix(codecs.BOM_UTF8))
    except OSError:
        return True  # as above


def _load_one(path: Path, data: bytes, label: str) -> Variant:
    """Return the variant of one file that is not iperf3's."""
    where = str(path)
    if not JSON_BEGINS.match(data):
        if path.suffix.lower() in (".json", *PACKED) and not csv_runs.is_table(data):
            raise InputError("input", where, FORMATS)
        return csv_runs.decode_columns(data, path, label)
    probe = _decoded(lambda raw, *_: msgspec.json.decode(raw, type=Probe), data, label, where)
    schema = _decoded(lambda *_: probe.text_of_schema(), data, label, where)
    for kind in OWN:
        if schema.startswith(kind.schema.rstrip("0123456789")):
            return _decoded(kind.read, data, label, where)
    tool = _decoded(lambda *_: probe.tool(), data, label, where)
    if tool in BENCHMARKS:
        return _decoded(BENCHMARKS[tool], data, label, where)
    if tool is not None:
        raise InputError("input", where, f"{FORMATS}; this is JSON of {tool}, which is not read")
    if schema:
        raise InputError(f"{where}: schema", schema, " or ".join(KNOWN_SCHEMAS))
    raise InputError("input", where, FORMATS)


def _decoded(
    read: Callable[[Input, str, str], Output], data: Input, label: str, where: str
) -> Output:
    """Return what `read` gives; whatever is wrong with the text becomes one line."""
    try:
        return read(data, label, where)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("input", where, f"a complete result: {error}") from error
    except MemoryError as error:
        raise InputError("input", where, "a file that fits in memory") from error


def _iperf3_runs(path: Path, data: bytes) -> list[bytes]:
    """Return the runs in a file of iperf3, which may hold several one after another; else none."""
    if not JSON_BEGINS.match(data):
        return []
    try:
        return [data] if msgspec.json.decode(data, type=Probe).tool() == IPERF3 else []
    except (msgspec.ValidationError, RecursionError):
        return []  # the reader of any other format tells
    except msgspec.DecodeError:  # several documents, or a damaged one
        return _runs_in_a_row(path, data.decode("utf-8", "replace"))


def _runs_in_a_row(path: Path, text: str) -> list[bytes]:
    """Return the documents of a text that begins with a run of iperf3; of any other text none."""
    runs: list[bytes] = []
    place = 0
    while (begin := _after_blanks(text, place)) < len(text):
        try:
            _, place = DECODER.raw_decode(text, begin)
            run = text[begin:place].encode()
            is_one = msgspec.json.decode(run, type=Probe).tool() == IPERF3
            problem = "nothing else"
        except (ValueError, RecursionError) as error:
            is_one, problem = False, str(error)
        if not is_one:
            if not runs:
                return []
            raise InputError("input", str(path), f"complete runs of iperf3: {problem}")
        runs.append(run)
    return runs


def _after_blanks(text: str, place: int) -> int:
    blanks = BLANKS.match(text, place)
    assert blanks is not None  # it matches nothing, too
    return blanks.end()


def unique_labels(variants: Sequence[Variant]) -> list[Variant]:
    """Return the variants with labels that differ: a number is added to the later ones."""
    seen: set[str] = set()
    result = []
    for variant in variants:
        label, number = variant.label, 2
        while label in seen:
            label, number = f"{variant.label} ({number})", number + 1
        seen.add(label)
        result.append(replace(variant, label=label))
    return result
