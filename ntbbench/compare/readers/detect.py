# SPDX-License-Identifier: BSD-3-Clause
"""Which format a file is in, told by its structure: no key that stands elsewhere can mislead it."""

import codecs
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from ntbbench.compare.readers import csv_runs, iperf3, pyperf, pytest_benchmark
from ntbbench.compare.readers.checked import encodable, read_bytes
from ntbbench.compare.readers.pair_results import Pairs
from ntbbench.compare.readers.result_kinds import CompatCells, Flows, LabRuns, Simulations, Sweeps
from ntbbench.compare.readers.results import Results
from ntbbench.compare.readers.several_runs import in_several_runs, joined
from ntbbench.compare.readers.structure import IPERF3, PYPERF, PYTEST_BENCHMARK, Probe
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError

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
BENCHMARKS: dict[str, Reader] = {
    PYTEST_BENCHMARK: pytest_benchmark.read,
    PYPERF: pyperf.read,
}
PACKED = (".gz", ".xz", ".zip")
JSON_BEGINS = re.compile(rb"\s*(?:\{|\[)")
# What no line of a CSV begins with.
JSON_ONLY = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
BLANKS = re.compile(r"\s*")
DECODER = json.JSONDecoder()


def load_variant(argument: str) -> Variant:
    """Return the variant of one argument: a file, files joined by commas, or a folder of them.

    Several files are several runs of one variant: the median of each is one sample.

    Raises
    ------
    InputError : what cannot be read, is damaged, or is in no known format.
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
        found = decoded(iperf3.load, [run for file in runs for run in file], label, argument)
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

    Raises
    ------
    InputError : naming the first file that has no partner.
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
    kind = kind_of(data, where)
    if kind is not None:
        return decoded(kind.read, data, label, where)
    probe = _probe(data, where)
    schema = probe.text_of_schema()
    tool = decoded(lambda *_: probe.tool(), data, label, where)
    if tool in BENCHMARKS:
        return decoded(BENCHMARKS[tool], data, label, where)
    if tool is not None:
        raise InputError("input", where, f"{FORMATS}; this is JSON of {tool}, which is not read")
    if schema:
        raise InputError(f"{where}: schema", schema, " or ".join(KNOWN_SCHEMAS))
    raise InputError("input", where, FORMATS)


def kind_of(data: bytes, where: str) -> Results | None:
    """Return the kind of our own results that a file is of; None: of none."""
    probe = _probe(data, where)
    schema = decoded(lambda *_: probe.text_of_schema(), data, "", where)
    alike = (kind for kind in OWN if schema.startswith(kind.schema.rstrip("0123456789")))
    return next(alike, None)


def _probe(data: bytes, where: str) -> Probe:
    return decoded(lambda raw, *_: msgspec.json.decode(raw, type=Probe), data, "", where)


def decoded(
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
