# SPDX-License-Identifier: BSD-3-Clause
"""Which format a file is in, by what it holds; and several files that are one variant."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from ntbbench.analyse.series import Series, Variant
from ntbbench.analyse.sources import (
    compat,
    csv_runs,
    iperf3,
    lab,
    lab_netdev,
    pair,
    pyperf,
    pytest_benchmark,
    simulation,
    sweep,
)
from ntbbench.analyse.sources.checked import printable, read_bytes
from ntbbench.errors import InputError

Input = TypeVar("Input")
Output = TypeVar("Output")
FORMATS = (
    "a result of `ntbbench sweep`, `simulate`, `compat`, `lab run`, `lab netdev` or `lab pair`, "
    "JSON of pytest-benchmark, pyperf or iperf3, or a CSV of runs"
)
# Our own results, by what their `schema` begins with.
OWN: dict[str, Callable[[bytes, str, str], Variant]] = {
    sweep.PREFIX: sweep.read,
    compat.PREFIX: compat.read,
    lab.PREFIX: lab.read,
    lab_netdev.PREFIX: lab_netdev.read,
    pair.PREFIX: pair.read,
    simulation.PREFIX: simulation.read,
}
KNOWN_SCHEMAS = (
    *(sweep.KNOWN, compat.KNOWN, lab.KNOWN, lab_netdev.KNOWN),
    *(pair.KNOWN, simulation.KNOWN),
)


class Probe(Struct):
    """The keys that tell the formats apart; their values stay unread."""

    schema: str | UnsetType = UNSET
    benchmarks: Raw | UnsetType = UNSET
    machine_info: Raw | UnsetType = UNSET
    end: Raw | UnsetType = UNSET
    start: Raw | UnsetType = UNSET


def load_variant(argument: str) -> Variant:
    """Return the variant of one argument: a file, files joined by commas, or a folder of them.

    Several files are several runs of one variant: the median of each is one sample.

    Raises
    ------
    InputError
        for what cannot be read, is damaged, or is in no known format.
    """
    paths = paths_of(argument)
    label = printable((Path(argument) if Path(argument).is_dir() else paths[0]).stem)
    if len(paths) > 1 or paths[0].suffix.lower() != ".csv":
        contents = [(path, read_bytes(path)) for path in paths]
        runs = [(str(path), run) for path, data in contents for run in iperf3_runs(path, data)]
        if runs:
            if any(not iperf3_runs(path, data) for path, data in contents):
                raise InputError("input", argument, "files of one format")
            return decoded(iperf3.load, runs, label, argument)
        variants = [load_one(path, data, label) for path, data in contents]
        return variants[0] if len(variants) == 1 else joined(variants, paths)
    return csv_runs.load_columns(paths[0], label)


def paths_of(argument: str) -> list[Path]:
    """Return the files that an argument names."""
    path = Path(argument)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix == ".json" and p.is_file())
        if not files:
            raise InputError("input", argument, "a folder with .json files")
        return files
    if path.exists() or "," not in argument:
        return [path]
    return [Path(part) for part in argument.split(",") if part]


def load_one(path: Path, data: bytes, label: str) -> Variant:
    """Return the variant of one file that is not iperf3's."""
    if data.lstrip()[:1] not in (b"{", b"["):
        if path.suffix.lower() in (".json", ".gz", ".xz", ".zip"):
            raise InputError("input", str(path), FORMATS)
        return csv_runs.decode_columns(data, path, label)
    probe = decoded(lambda raw, *_: msgspec.json.decode(raw, type=Probe), data, label, str(path))
    where = str(path)
    if isinstance(probe.schema, str):
        for prefix, read in OWN.items():
            if probe.schema.startswith(prefix):
                return decoded(read, data, label, where)
        raise InputError(f"{where}: schema", probe.schema, " or ".join(KNOWN_SCHEMAS))
    if probe.benchmarks is not UNSET:
        if probe.machine_info is not UNSET:
            return decoded(pytest_benchmark.read, data, label, where)
        return decoded(pyperf.read, data, label, where)
    raise InputError("input", where, FORMATS)


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


def iperf3_runs(path: Path, data: bytes) -> list[bytes]:
    """Return the runs in a file of iperf3, which may hold several one after another; else none."""
    head = data[:4096]
    if b'"start"' not in head or b'"schema"' in head:
        return []
    try:
        msgspec.json.decode(data, type=Probe)
        return [data]
    except msgspec.DecodeError:
        pass
    return iperf3.documents_in(data, str(path))


def joined(variants: Sequence[Variant], paths: Sequence[Path]) -> Variant:
    """Return the results in several files as one variant: a noisy sample a file, counts once.

    Raises
    ------
    InputError
        if the files differ in format, environment, metrics, or an exact value.
    """
    first = variants[0]
    for other, path in zip(variants[1:], paths[1:], strict=True):
        if (other.source, other.environment) != (first.source, first.environment):
            allowed = f"the format and the environment of {paths[0]}, another run of the same"
            raise InputError("input", str(path), allowed)
        if other.series.keys() != first.series.keys():
            name = sorted(other.series.keys() ^ first.series.keys())[0]
            raise InputError("input", str(path), f"the metrics of {paths[0]}; {name!r} differs")
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
        series[name] = Series(
            metric=name,
            kind="noisy",
            unit=one.unit,
            better=one.better,
            samples=medians,
        )
    return replace(first, series=series)


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
