# SPDX-License-Identifier: BSD-3-Clause
"""Summaries of ping and sockperf: latencies, a sample a run, and the share that was lost."""

from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.readers.content import Content, ResultReader
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.latency_text import LatencyRun, is_latency, latencies

HEAD = 4096  # bytes that tell the tool
NAMES = ("average", "least", "most", "deviation")


def recognises(content: Content) -> bool:
    """Return whether the text begins as one of the tools prints it."""
    return is_latency(content.head[:HEAD].decode("utf-8", "replace"))


def read(content: Content, label: str) -> Variant:
    """Return the variant of one text: times in seconds, less is better.

    Of several runs the metrics count that each of them has. InputError: no summary, or runs of
    several kinds.
    """
    where = content.where
    runs = latencies(content.data.decode("utf-8", "replace"), where)
    kinds = {(run.tool, run.what) for run in runs}
    if len(kinds) > 1:
        raise InputError(where, "runs of several kinds", "runs of one tool, alike")
    tool, what = kinds.pop()
    variant = Variant(label, tool, {}, {"latency": what})
    metrics = [_metrics(run) for run in runs]
    for metric in metrics[0]:
        values = [own[metric] for own in metrics if metric in own]
        if len(values) < len(runs):
            continue
        is_rate, is_share = metric == "throughput", metric == "lost_percent"
        variant.series[metric] = Series(
            metric=metric,
            kind="noisy",
            unit="bit/s" if is_rate else "%" if is_share else "s",
            better="higher" if is_rate else "lower",
            samples=samples_of(values, where, metric),
            cautions=(ONE_PROCESS,) if len(runs) == 1 else (),
        )
    if not variant.series:
        raise InputError(where, "no reply", "a summary with latencies")
    return variant


def _metrics(run: LatencyRun) -> dict[str, float]:
    found = {name: getattr(run, name) for name in NAMES}
    found |= {f"p{name}": seconds for name, seconds in run.percentiles.items()}
    found |= {"lost_percent": run.lost_percent, "throughput": run.bits_per_second}
    return {name: value for name, value in found.items() if value is not None}


READER = ResultReader(recognises, read)
