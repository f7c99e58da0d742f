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
    series = {}
    begun = [variant.begun for variant in variants if variant.begun is not None]
    times = np.array(begun) if len(begun) == len(variants) else None
    for name, one in first.series.items():
        if name in unread:
            continue
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
        unread=unread,
        notes=tuple(dict.fromkeys(note for variant in variants for note in variant.notes)),
        draws="; ".join(drawn) if all(drawn) else "",
        cautions=tuple(dict.fromkeys(code for variant in variants for code in variant.cautions)),
    )
    return numbered(whole, series.values())


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
