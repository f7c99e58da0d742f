# SPDX-License-Identifier: BSD-3-Clause
"""Several results as one variant: each is a run, and a quantile of it one sample."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from ntbbench.compare.pairing import machine_difference
from ntbbench.compare.policy import MEDIAN, check_quantile
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError


def joined(variants: Sequence[Variant], paths: Sequence[Path], quantile: float = MEDIAN) -> Variant:
    """Return the results in several files as one variant: a noisy sample a file, counts once.

    A metric that one of them has without a number is not read of any.
    InputError: the files differ in format, environment, metrics, or an exact value.
    """
    first = variants[0]
    unread = {
        name: f"{path}: {why}"
        for variant, path in zip(reversed(variants), reversed(paths), strict=True)
        for name, why in variant.unread.items()
    }
    for other, path in zip(variants[1:], paths[1:], strict=True):
        _check_alike(first, other, paths[0], path)
    begun = [variant.begun for variant in variants if variant.begun is not None]
    times = np.array(begun) if len(begun) == len(variants) else None
    series = {}
    for name in (name for name in first.series if name not in unread):
        runs = [variant.series[name] for variant in variants]
        is_exact = runs[0].kind == "exact"
        one = _same_of(runs, paths) if is_exact else _samples_of(runs, paths, quantile)
        series[name] = one if is_exact else msgspec.structs.replace(one, times=times)
    drawn = [variant.draws for variant in variants]
    whole = replace(
        first,
        series=series,
        unread=unread,
        notes=tuple(dict.fromkeys(note for variant in variants for note in variant.notes)),
        draws="; ".join(drawn) if all(drawn) else "",
        cautions=tuple(dict.fromkeys(code for variant in variants for code in variant.cautions)),
    )
    return numbered(whole, series.values())


def _same_of(runs: Sequence[Series], paths: Sequence[Path]) -> Series:
    """Return an exact metric; InputError: a run has another value."""
    for run, path in zip(runs, paths, strict=True):
        if run.value != runs[0].value:
            allowed = f"the {run.metric!r} of {paths[0]}, which is exact"
            raise InputError("input", str(path), allowed)
    return runs[0]


def _samples_of(runs: Sequence[Series], paths: Sequence[Path], quantile: float) -> Series:
    """Return a noisy metric with a sample for each run."""
    quantiles = []
    for run, path in zip(runs, paths, strict=True):
        if run.samples is not None:
            check_quantile(quantile, len(run.samples), f"{run.metric!r} of {path}")
            quantiles.append(np.quantile(run.samples, quantile))
    return msgspec.structs.replace(runs[0], samples=np.array(quantiles), cautions=(), runs=0)


def _check_alike(first: Variant, other: Variant, path: Path, its: Path) -> None:
    """Refuse a result that is no other run of the same thing."""
    same = (other.source, other.environment) == (first.source, first.environment)
    if not same or machine_difference(first, other, ()):
        allowed = f"the format and the environment of {path}, another run of the same"
        raise InputError("input", str(its), allowed)
    known = [side.series.keys() | side.unread.keys() for side in (first, other)]
    if known[0] != known[1]:
        name = sorted(known[0] ^ known[1])[0]
        raise InputError("input", str(its), f"the metrics of {path}; {name!r} differs")


def numbered(variant: Variant, several: Iterable[Series]) -> Variant:
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
