# SPDX-License-Identifier: BSD-3-Clause
"""What JMH writes with `-rf json`: the iterations of each fork, which is a process."""

from typing import Any

from msgspec import Struct

from ntbbench.compare.readers.checked import add_noisy, by_process, check_new
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.series import Variant

SOURCE = "JMH"
CPU = "cpu"  # which JMH does not name
STRICT = ("vmName", "jvmArgs", "measurementBatchSize")
CONTEXT = ("jmhVersion", "jdkVersion", "vmVersion", "measurementTime")
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "hr": 3600.0, "day": 86400.0}
BETTER = {"thrpt": "higher", "avgt": "lower", "sample": "lower", "ss": "lower"}
# Of the profilers: what follows the throughput is no cost of its own, and an operation's is.
FOLLOWS = ("gc.alloc.rate", "gc.churn")
COSTS = ("gc.alloc.rate.norm", "gc.count", "gc.time")
Value = float | str | None  # JMH writes "NaN"


class JmhMetric(Struct, frozen=True, rename="camel"):
    """The iterations of each fork, or of each iteration how often each time was met."""

    score_unit: str = ""
    raw_data: list[list[Value]] | None = None
    raw_data_histogram: list[list[list[tuple[float, int]]]] | None = None


class JmhBenchmark(Struct, frozen=True, rename="camel"):
    """One benchmark in one mode with one set of parameters."""

    benchmark: str
    mode: str
    primary_metric: JmhMetric
    threads: int = 1
    params: dict[str, Any] = {}
    secondary_metrics: dict[str, JmhMetric] = {}


def recognises(content: Content) -> bool:
    """Return whether this is a list of benchmarks with their modes."""
    one = content.first_item
    return begins(one, "benchmark", b'"') and begins(one, "primaryMetric", b"{")


def read(content: Content, label: str) -> Variant:
    """Return the variant that a file of JMH holds; InputError: a benchmark that is there twice."""
    variant = Variant(label, SOURCE, {}, cpu=CPU, expects=STRICT)
    for settings in content.decode(list[dict[str, Any]]):
        for keys, part in ((STRICT, variant.environment), (CONTEXT, variant.context)):
            for key in keys:
                if key in settings:
                    _add_setting(part, key, settings[key])
    for one in content.decode(list[JmhBenchmark]):
        name = _name_of(one)
        _add_metric(variant, name, one.primary_metric, BETTER.get(one.mode, "unsaid"), content)
        for key, metric in one.secondary_metrics.items():
            plain = key.removeprefix("\u00b7")  # older versions put a dot in front
            if not plain.startswith(FOLLOWS) or plain in COSTS:
                better = "lower" if plain in COSTS else "unsaid"
                _add_metric(variant, f"{name}:{plain}", metric, better, content)
    return variant


def _add_setting(known: dict[str, str], key: str, value: object) -> None:
    """Add a setting; of benchmarks that differ in it each value once."""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    values = known[key].split(" | ") if key in known else []
    known[key] = " | ".join(dict.fromkeys((*values, text)))


def _name_of(one: JmhBenchmark) -> str:
    params = [f"{key}={value}" for key, value in one.params.items()]
    threads = [f"threads={one.threads}"] if one.threads != 1 else []
    return "/".join([one.benchmark, *params, *threads, one.mode])


def _add_metric(
    variant: Variant, name: str, metric: JmhMetric, better: str, content: Content
) -> None:
    forks = _forks_of(metric)
    if forks is None:
        check_new(variant, name, content.where)
        variant.unread[name] = "no rawData; JMH writes it with -rf json"
        return
    size, unit = _in_seconds(metric.score_unit)
    scaled = [[None if value is None else value * size for value in fork] for fork in forks]
    samples, cautions = by_process(scaled)
    quantity = name.rpartition(":")[2].rpartition("/")[2]
    known = {"quantity": quantity, "unit": unit, "better": better, "cautions": cautions}
    add_noisy(variant, name, samples, content.where, **known)


def _forks_of(metric: JmhMetric) -> list[list[float | None]] | None:
    """Return the score of each iteration of each fork; of sampled times their mean."""
    if metric.raw_data is not None:
        return [
            [None if isinstance(value, str) else value for value in fork]
            for fork in metric.raw_data
        ]
    if metric.raw_data_histogram is None:
        return None
    return [[_mean(iteration) for iteration in fork] for fork in metric.raw_data_histogram]


def _mean(histogram: list[tuple[float, int]]) -> float | None:
    count = sum(times for _, times in histogram)
    return sum(value * times for value, times in histogram) / count if count else None


def _in_seconds(unit: str) -> tuple[float, str]:
    """Return the factor to SI, and the unit there: `ops/ms` are 1000 ops/s, `us/op` 1e-6 s."""
    amount, _, per = unit.partition("/")
    if per in SECONDS:
        return 1 / SECONDS[per], f"{amount}/s"
    if amount in SECONDS:
        return SECONDS[amount], "s" if per in ("op", "") else f"s/{per}"
    return 1.0, amount if per == "op" else unit


READER = ResultReader(recognises, read)
