# SPDX-License-Identifier: BSD-3-Clause
"""Which format a file is in, told by its structure: no key that stands elsewhere can mislead it.

Several results may be one variant: each is a run, and its median one sample.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Raw

from ntbbench.compare.pairing import machine_difference
from ntbbench.compare.policy import MEDIAN, check_quantile
from ntbbench.compare.readers import benchmarks, capture_folder, csv_runs, iperf3, latency
from ntbbench.compare.readers.checked import encodable, read_bytes
from ntbbench.compare.readers.result_kinds import (
    CompatCells,
    Flows,
    HostCells,
    LabRuns,
    Pairs,
    Simulations,
    Sweeps,
)
from ntbbench.compare.readers.results import Results
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import reading
from ntbbench.core.iperf3_forms import HEAD, documents, is_iperf3
from ntbbench.core.latency_text import is_latency

FORMATS = (
    "a result of `ntbbench sweep`, `simulate`, `compat`, `lab run` or `lab pair`, "
    "JSON of pytest-benchmark, pyperf or iperf3, or a CSV of runs"
)
# Our own results.
OWN = (Sweeps(), CompatCells(), HostCells(), LabRuns(), Flows(), Pairs(), Simulations())
KNOWN_SCHEMAS = tuple(kind.schema for kind in OWN)
OURS = "ntbbench."  # what our own schemas begin with
# The tools that the structure tells; of those not in READERS nothing is read yet.
IPERF3 = iperf3.SOURCE
PYTEST_BENCHMARK, PYPERF = benchmarks.PYTEST_BENCHMARK, benchmarks.PYPERF
GOOGLE_BENCHMARK, HYPERFINE = "Google Benchmark", "hyperfine"
READERS: dict[str, Callable[[bytes, str, str], Variant]] = {
    PYTEST_BENCHMARK: benchmarks.read_pytest_benchmark,
    PYPERF: benchmarks.read_pyperf,
}
PACKED = (".gz", ".xz", ".zip")
JSON_BEGINS = re.compile(rb"\s*(?:\{|\[)")
# What no line of a CSV begins with.
JSON_ONLY = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
VISIBLE = re.compile(r"\S")
DECODER = json.JSONDecoder()
Keys = dict[str, Raw]  # of an object; its values stay unread


def load_variant(argument: str, quantile: float = MEDIAN) -> Variant:
    """Return the variant of one argument: a file, files joined by commas, or a folder of them.

    Of joined files a sample is the quantile, usually the median, of one of them. InputError: what
    cannot be read, is damaged, or is in no known format.
    """
    paths = paths_of(argument)
    folder = Path(argument)
    if capture_folder.is_capture(folder):
        return capture_folder.load(folder)
    names = [folder.stem] if folder.is_dir() else [path.stem for path in paths]
    label = encodable("+".join(names))  # of several files all of them
    if len(paths) == 1 and _is_csv_by_name(paths[0]):
        return csv_runs.load_columns(paths[0], label)
    contents = [(path, read_bytes(path).removeprefix(codecs.BOM_UTF8)) for path in paths]
    runs = [[(str(path), run) for run in _iperf3_runs(path, data)] for path, data in contents]
    if any(runs):
        if not all(runs):
            raise InputError("input", argument, "files of one format")
        with readable(argument):
            found = iperf3.load([run for file in runs for run in file], label, argument)
        # The samples of one process or connection are no runs.
        return _numbered(found, [s for s in found.series.values() if ONE_PROCESS not in s.cautions])
    variants = [_load_one(path, data, label) for path, data in contents]
    return variants[0] if len(variants) == 1 else joined(variants, paths, quantile)


def paths_of(argument: str) -> list[Path]:
    """Return the files that an argument names; those of a folder in the order of their numbers."""
    path = Path(argument)
    if capture_folder.is_capture(path):
        return capture_folder.files_of(path)
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

    Folders that share none are paired in their order. InputError: the first file without a partner.
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
    if is_latency(data[:HEAD].decode("utf-8", "replace")):
        return latency.read_latency(data, label, where)
    if not JSON_BEGINS.match(data):
        if path.suffix.lower() in (".json", *PACKED) and not csv_runs.is_table(data):
            raise InputError("input", where, FORMATS)
        return csv_runs.load_columns(path, label, data)
    with readable(where):
        if (kind := kind_of(data)) is not None:
            return kind.read(data, label, where)
        keys = msgspec.json.decode(data, type=Keys)
        schema = _schema_of(keys)
        tool = _tool_of(keys)
        if tool in READERS:
            return READERS[tool](data, label, where)
    if tool is not None:
        raise InputError("input", where, f"{FORMATS}; this is JSON of {tool}, which is not read")
    if schema:
        raise InputError(f"{where}: schema", schema, " or ".join(KNOWN_SCHEMAS))
    raise InputError("input", where, FORMATS)


def kind_of(data: bytes) -> Results | None:
    """Return the kind of our own results that a text is of; None: of none."""
    schema = _schema_of(msgspec.json.decode(data, type=Keys))
    alike = (kind for kind in OWN if schema.startswith(kind.schema.rstrip("0123456789")))
    return next(alike, None)


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Tell whatever is wrong with a text in one line."""
    with reading(where):
        try:
            yield
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError("input", where, f"a complete result: {error}") from error
        except MemoryError as error:
            raise InputError("input", where, "a file that fits in memory") from error


def _iperf3_runs(path: Path, data: bytes) -> list[bytes]:
    """Return the runs in a file of iperf3, in whatever form, each as its JSON; else none."""
    head = data[:HEAD].decode("utf-8", "replace")
    if not is_iperf3(head):
        if not JSON_BEGINS.match(data):
            return []
        try:
            return [data] if _tool_of(msgspec.json.decode(data, type=Keys)) == IPERF3 else []
        except (msgspec.ValidationError, RecursionError):
            return []  # the reader of any other format tells
        except msgspec.DecodeError:  # several documents, or a damaged one
            if not _begins_with_run(data.decode("utf-8", "replace")):
                return []
    runs = [run.encode() for run in documents(data.decode("utf-8", "replace"), str(path))]
    for run in runs:
        if not _is_run(run):
            raise InputError("input", str(path), "complete runs of iperf3: nothing else")
    return runs


def _begins_with_run(text: str) -> bool:
    begin = VISIBLE.search(text)
    try:
        _, end = DECODER.raw_decode(text, begin.start() if begin else 0)
    except (ValueError, RecursionError):
        return False
    return _is_run(text[:end].encode())


def _is_run(run: bytes) -> bool:
    try:
        return _tool_of(msgspec.json.decode(run, type=Keys)) == IPERF3
    except (msgspec.DecodeError, RecursionError):
        return False


def _schema_of(keys: Keys) -> str:
    """Return the schema; "" where there is none that is a text."""
    return msgspec.json.decode(keys["schema"], type=str) if _begins(keys, "schema", b'"') else ""


def _tool_of(keys: Keys) -> str | None:
    """Return which tool wrote the file; None: ntbbench itself, or none that is known.

    The benchmarks themselves tell, then what a run of iperf3 is made of, how it started and what
    came of it: a file may have any key beside those.
    """
    if _schema_of(keys).startswith(OURS):
        return None
    one, ends = _first(keys, "benchmarks"), {"end": b"{", "intervals": b"[", "error": b'"'}
    ended = any(_begins(keys, name, mark) for name, mark in ends.items())
    told = {
        PYTEST_BENCHMARK: _begins(one, "stats", b"{"),
        PYPERF: _begins(one, "runs", b"["),
        GOOGLE_BENCHMARK: "real_time" in one or "cpu_time" in one,
        IPERF3: ended and _begins(keys, "start", b"{"),
        HYPERFINE: _begins(_first(keys, "results"), "command", b'"'),
    }
    found = next((tool for tool, is_its in told.items() if is_its), None)
    if found or not _begins(keys, "benchmarks", b"["):
        return found
    if "machine_info" in keys:  # a list without a benchmark that tells: the likeliest
        return PYTEST_BENCHMARK
    return GOOGLE_BENCHMARK if _begins(keys, "context", b"{") else PYPERF


def _begins(keys: Keys, name: str, mark: bytes) -> bool:
    """Return whether a value is there and begins with a bracket or a quote."""
    return name in keys and bytes(keys[name])[:1] == mark


def _first(keys: Keys, name: str) -> Keys:
    """Return the first object of a list; an empty one where there is none."""
    if not _begins(keys, name, b"["):
        return {}
    items = msgspec.json.decode(keys[name], type=list[Raw])
    one = next((item for item in items if bytes(item)[:1] == b"{"), None)
    return {} if one is None else msgspec.json.decode(one, type=Keys)


def joined(variants: Sequence[Variant], paths: Sequence[Path], quantile: float = MEDIAN) -> Variant:
    """Return the results in several files as one variant: a noisy sample a file, counts once.

    InputError: the files differ in format, environment, metrics, or an exact value.
    """
    first = variants[0]
    for other, path in zip(variants[1:], paths[1:], strict=True):
        _check_alike(first, other, paths[0], path)
    series = {}
    begun = [variant.begun for variant in variants if variant.begun is not None]
    times = np.array(begun) if len(begun) == len(variants) else None
    for name, one in first.series.items():
        all_of = [variant.series[name] for variant in variants]
        if one.kind == "exact":
            odd = next((i for i, s in enumerate(all_of) if s.value != one.value), None)
            if odd is not None:
                allowed = f"the {name!r} of {paths[0]}, which is exact"
                raise InputError("input", str(paths[odd]), allowed)
            series[name] = one
            continue
        for one_of, path in zip(all_of, paths, strict=True):
            if one_of.samples is not None:
                check_quantile(quantile, len(one_of.samples), f"{name!r} of {path}")
        quantiles = [np.quantile(s.samples, quantile) for s in all_of if s.samples is not None]
        series[name] = msgspec.structs.replace(
            one, samples=np.array(quantiles), times=times, cautions=(), runs=0
        )
    drawn = [variant.draws for variant in variants]
    whole = replace(
        first,
        series=series,
        draws="; ".join(drawn) if all(drawn) else "",
        cautions=tuple(dict.fromkeys(code for variant in variants for code in variant.cautions)),
    )
    return _numbered(whole, series.values())


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
