# SPDX-License-Identifier: BSD-3-Clause
"""What asv keeps of a commit: results/MACHINE/COMMIT-ENVIRONMENT.json, version 2.

What is measured follows from the name of a benchmark, as asv has it. Times are the samples where
`--record-samples` kept them; without, the one result. A size or a tracked number is exact.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import msgspec
from msgspec import Struct

from ntbbench.compare.readers.checked import add_exact, add_noisy, check_new, flatten, only
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.series import Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError

SOURCE = "asv"
CPU = "cpu"
STRICT = (CPU, "arch")
MACHINE = ("machine", "num_cpu", "ram")
VERSION = 2
# asv_runner finds the kind of a benchmark by these names of functions or of methods.
TIMED = re.compile(r"time(raw)?_|Time(raw)?[A-Z_]")
PEAK = re.compile(r"peakmem_|PeakMem[A-Z_]")
SIZE = re.compile(r"mem_|Mem[A-Z_]")
FAILED = "it failed or was skipped"
UNSAMPLED = (
    "asv kept no samples, so each result is one sample: `asv run --record-samples` keeps them"
)


class AsvColumns(Struct, frozen=True):
    """What is read of the columns of one benchmark; a list of results has one per combination."""

    result: list[int | float | None] | None = None
    params: list[list[str]] = []
    version: str | None = None
    samples: list[list[float | None] | None] | None = None


class AsvFile(Struct, frozen=True):
    """A whole file of asv."""

    result_columns: list[str]
    results: dict[str, list[Any] | None]
    params: dict[str, Any] = {}
    python: str = ""
    requirements: dict[str, Any] = {}
    commit_hash: str = ""
    version: int = VERSION


def recognises(content: Content) -> bool:
    """Return whether results lie in columns, or (version 1) below the hash of a commit."""
    keys = content.keys
    old = begins(keys, "commit_hash", b'"') and begins(keys, "params", b"{")
    return begins(keys, "results", b"{") and (old or begins(keys, "result_columns", b"["))


def read(content: Content, label: str) -> Variant:
    """Return the variant that a file of asv holds.

    InputError: another version of the format, and columns that are no such table.
    """
    where = content.where
    if "result_columns" not in content.keys:
        raise InputError(where, "no result_columns", "results of version 2: `asv update` rewrites")
    saved = content.decode(AsvFile)
    if saved.version != VERSION:
        raise InputError(f"{where}: version", saved.version, f"{VERSION}: `asv update` rewrites")
    variant = _side(saved, label)
    sampled = True
    for name, row in saved.results.items():
        named = dict(zip(saved.result_columns, row or (), strict=False))
        try:
            columns = msgspec.convert(named, AsvColumns)
        except msgspec.ValidationError as error:
            raise InputError(f"{where}: results", name, f"columns of asv: {error}") from error
        if columns.version:
            variant.context[f"version of {name}"] = columns.version
        sampled &= _add_benchmark(variant, name, columns, where)
    return variant if sampled else replace(variant, notes=(UNSAMPLED,))


def _side(saved: AsvFile, label: str) -> Variant:
    """Return the variant without its metrics."""
    told = {key: text for key, text in flatten(saved.params) if text.strip()}
    context = {key: text for key, text in told.items() if key not in (*STRICT, *MACHINE)}
    context |= dict(flatten(saved.requirements, "requirements."))
    context |= {"python": saved.python} if saved.python else {}
    context |= {"commit": saved.commit_hash} if saved.commit_hash else {}
    return Variant(
        label, SOURCE, {}, only(told, STRICT), context,
        cpu=CPU, machine=only(told, MACHINE), expects=STRICT,
    )  # fmt: skip


def _add_benchmark(variant: Variant, name: str, columns: AsvColumns, where: str) -> bool:
    """Add the metrics of one benchmark; return whether those that are timed have samples."""
    function = name.rpartition(".")[2]
    sampled = True
    for metric, result, samples in _combinations(name, columns, where):
        if result is None:
            check_new(variant, metric, where)
            variant.unread[metric] = FAILED
        elif TIMED.match(function):
            sampled &= samples is not None
            # They are of one process or two, which asv does not tell apart.
            cautions = () if samples is None else (ONE_PROCESS,)
            add_noisy(
                variant, metric, samples or [result], where,
                unit="s", better="lower", cautions=cautions,
            )  # fmt: skip
        elif PEAK.match(function):
            add_noisy(variant, metric, [result], where, unit="B", better="lower")
        elif SIZE.match(function):
            add_exact(variant, metric, result, where, unit="B", better="lower")
        else:
            add_exact(variant, metric, result, where, quantity=function)
    return sampled


def _combinations(
    name: str, columns: AsvColumns, where: str
) -> Iterator[tuple[str, float | None, list[float | None] | None]]:
    """Yield the name, the result and the samples of each combination of parameters."""
    if columns.result is None:  # of none of them
        yield name, None, None
        return
    samples = columns.samples if columns.samples is not None else [None] * len(columns.result)
    count = math.prod(map(len, columns.params))
    if not count == len(columns.result) == len(samples):
        told = f"{len(columns.result)} results and {len(samples)} lists of samples"
        raise InputError(f"{where}: {name}", told, f"{count}, one per combination of params")
    for values, result, taken in zip(
        product(*columns.params), columns.result, samples, strict=True
    ):
        yield f"{name}({', '.join(values)})" if values else name, result, taken


READER = ResultReader(recognises, read)
