# SPDX-License-Identifier: BSD-3-Clause
"""A result without its samples, as `show --medians` writes it: small enough for git."""

from typing import Annotated, Any

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from ntbbench import __version__
from ntbbench.compare.readers.checked import exact_value, samples_of
from ntbbench.compare.readers.content import Content, ResultReader
from ntbbench.compare.readers.own_results import schema_of
from ntbbench.compare.records import Kind, Own
from ntbbench.compare.series import ExactValue, Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import axis, fact

SCHEMA = "ntbbench.baseline/1"


class BaselineMetric(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One metric: what `Series` says of it, with the median for the samples."""

    metric: Annotated[str, axis("metric", "its name in a comparison")]
    kind: Annotated[Kind, fact("kind", "exact: a count or a verdict; noisy: a median")]
    value: Annotated[
        ExactValue | None, fact("value", "of a noisy metric the median, in its unit; null: none")
    ]
    unit: Annotated[str, fact("unit", "SI; empty: none")] = ""
    n: Annotated[int, fact("samples", "that the median was made of; 0: of an exact metric")] = 0
    better: Own = "unsaid"
    quantity: str = ""
    bounds: tuple[float, float | None] | None = None
    is_load: bool = False
    rank: int | None = None
    served: int | None = None
    per_packet: bool = False
    simulated: bool = False
    cautions: tuple[str, ...] = ()


class Baseline(Struct, frozen=True, kw_only=True):
    """What is left of a result: `Variant`, less its samples and the axes of its points."""

    schema: str = SCHEMA
    ntbbench_version: str = __version__
    label: str
    source: Annotated[str, fact("format", "of the result: a base of it compares with that alone")]
    environment: dict[str, str]
    context: dict[str, str]
    cpu: str
    machine: dict[str, str]
    expects: tuple[str, ...]
    partial: list[str]
    unknown: dict[str, str]
    unread: dict[str, str]
    zero: list[str]
    cautions: tuple[str, ...]
    begun: float | None
    metrics: list[BaselineMetric]
    # of which only bounds are known; unset: none
    bounded: list[BaselineMetric] | UnsetType = UNSET


AS_THEY_ARE = (
    *("label", "source", "environment", "context", "cpu", "machine", "expects", "unknown"),
    *("unread", "cautions", "begun"),
)
SETS = ("partial", "zero")
OF_SERIES = tuple(
    name for name in BaselineMetric.__struct_fields__ if name in Series.__struct_fields__
)


def baseline_of(variant: Variant) -> Baseline:
    """Return the medians and counts of a result.

    Lost: the samples, and with them the spread, pairs and every test; the axes of points.
    """
    known: dict[str, Any] = {name: getattr(variant, name) for name in AS_THEY_ARE}
    known |= {name: sorted(getattr(variant, name)) for name in SETS}
    metrics = [_thinned(series) for series in variant.series.values()]
    bounded = [_thinned(series) for series in variant.bounded.values()]
    return Baseline(**known, metrics=metrics, bounded=bounded or UNSET)


def _thinned(series: Series) -> BaselineMetric:
    known = {name: getattr(series, name) for name in OF_SERIES}
    if series.samples is not None:
        known |= {"value": float(np.median(series.samples)), "n": len(series.samples)}
    return BaselineMetric(**known)


def variant_of(baseline: Baseline, label: str) -> Variant:
    """Return the side that a baseline is: each median is one sample."""
    known: dict[str, Any] = {name: getattr(baseline, name) for name in AS_THEY_ARE}
    known |= {name: set(getattr(baseline, name)) for name in SETS}
    series = {one.metric: _series(one) for one in baseline.metrics}
    bounded = {one.metric: _series(one) for one in baseline.bounded or ()}
    return Variant(**known | {"label": label}, series=series, bounded=bounded)


def _series(one: BaselineMetric) -> Series:
    known = {name: value for name, value in asdict(one).items() if name in OF_SERIES}
    if one.kind == "noisy":
        known |= {"value": None, "samples": np.array([one.value], dtype=np.float64)}
    return Series(**known)


def recognises(content: Content) -> bool:
    """Return whether the schema is a baseline's."""
    return schema_of(content.keys) == SCHEMA


def read(content: Content, label: str) -> Variant:
    """Return the side; InputError: a value that no result has."""
    baseline = content.decode(Baseline)
    for one in baseline.metrics:
        if isinstance(one.value, int | float):
            check = samples_of if one.kind == "noisy" else exact_value
            check(one.value, content.where, one.metric)
        elif one.kind == "noisy":
            raise InputError(f"{content.where}: {one.metric}", one.value, "a number")
    return variant_of(baseline, label)


READER = ResultReader(recognises, read)
