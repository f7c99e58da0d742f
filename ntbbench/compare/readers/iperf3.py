# SPDX-License-Identifier: BSD-3-Clause
"""Runs of iperf3: throughput of one run's intervals, or one sample a run of several.

Of UDP what arrived counts, and the share that was lost: the intervals of a sender hold what it
sent, whatever became of it. With --bidir the way back is a metric of its own. A server does not
know what arrived at the client. A document that is there twice is one run.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import structs

from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.readers.content import Content, ResultReader, begins
from ntbbench.compare.readers.joining import numbered
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better
from ntbbench.core.iperf3 import BACK, REPEATED, Iperf3Document, doubts, loss
from ntbbench.core.iperf3 import read as read_document
from ntbbench.core.iperf3_forms import HEAD, documents, is_iperf3

SOURCE = "iperf3"
SETTINGS = (*("protocol", "num_streams", "blksize", "reverse", "bidir", "tos"), "target_bitrate")
ENDS = {"end": b"{", "intervals": b"[", "error": b'"'}  # one of them ends a run
Told = tuple[str, ...]  # cautions of a series


def recognises(content: Content) -> bool:
    """Return whether a run started and came to something; benchmarks and commands are others'.

    Events a line and the text for people are told by their beginning.
    """
    if is_iperf3(content.head[:HEAD].decode("utf-8", "replace")):
        return True
    keys = content.keys
    if content.first("benchmarks") or begins(content.first("results"), "times", b"["):
        return False
    ended = any(begins(keys, name, mark) for name, mark in ENDS.items())
    return ended and begins(keys, "start", b"{")


def read(content: Content, label: str) -> Variant:
    """Return the variant of a file, which may hold several runs one after another."""
    return read_together([content], label, content.where)


def read_together(contents: Sequence[Content], label: str, where: str) -> Variant:
    """Return the variant of all runs in some files; a run is a sample where there are several."""
    runs = [
        (content.where, run)
        for content in contents
        for run in documents(content.data.decode("utf-8", "replace"), content.where)
    ]
    found = load(runs, label, where)
    # The samples of one process or connection are no runs.
    return numbered(found, [s for s in found.series.values() if ONE_PROCESS not in s.cautions])


def load(texts: Sequence[tuple[str, str]], label: str, where: str) -> Variant:
    """Return the variant of one run or of several of the same kind, each once, with its file.

    InputError: a run that failed, and runs with different settings.
    """
    runs: dict[str, Iperf3Document] = {}
    repeated: Counter[str] = Counter()
    for file, text in texts:
        run = _complete_run(text, file)
        if run.identity in runs:
            repeated[run.where] += 1
        runs.setdefault(run.identity, run)
    variant = _variant_of([*runs.values()], label, where)
    if repeated:
        files = ", ".join(list(repeated)[:3]) + (" ..." if len(repeated) > 3 else "")
        told = f"{REPEATED}: {repeated.total()} of {len(texts)} in {label} ({files})"
        first = next(iter(variant.series))  # said once, not of every metric
        series = variant.series[first]
        variant.series[first] = structs.replace(series, cautions=(*series.cautions, told))
    return variant


def _complete_run(text: str, file: str) -> Iperf3Document:
    run = read_document(text, file)
    if run.error:
        raise InputError("input", file, f"this run of iperf3 failed: {run.error}")
    return run


def _variant_of(runs: list[Iperf3Document], label: str, where: str) -> Variant:
    tests = [run.find("start.test_start") for run in runs]
    settings = [
        {key: str(test[key]) for key in SETTINGS if key in test} if isinstance(test, dict) else {}
        for test in tests
    ]
    kinds = [(own, run.ways()) for own, run in zip(settings, runs, strict=True)]
    if any(other != kinds[0] for other in kinds[1:]):
        raise InputError(where, "runs with different settings", "runs of one kind")
    variant = Variant(label, SOURCE, {}, settings[0])
    for way in runs[0].ways():
        _add_throughput(variant, runs, way, where)
    if len(runs) > 1:
        _add_processors(variant, runs, where)
    version = runs[0].find("start.version")
    if isinstance(version, str):
        variant.context["version"] = version
    return variant


def _add_throughput(variant: Variant, runs: list[Iperf3Document], way: str, where: str) -> None:
    if any(run.only_sent(way) for run in runs):
        if way:
            return
        raise InputError(where, "a server that only sent", "the client's iperf3 -J")
    told = _cautions_of(runs, way)

    def add(metric: str, unit: str, better: Better, values: list[float]) -> None:
        variant.series[metric] = Series(
            metric=metric,
            kind="noisy",
            unit=unit,
            better=better,
            samples=samples_of(values, where, metric),
            cautions=told,
        )

    suffix = "_reverse" if way == BACK else ""
    add(f"throughput{suffix}", "bit/s", "higher", _rates_of(runs, way))
    if not runs[0].is_datagrams:
        return
    shares, found = zip(*(loss(run, way) for run in runs), strict=True)
    known = [share for share in shares if share is not None]
    if len(known) == len(runs):
        add(f"lost_percent{suffix}", "%", "lower", known)
    elif any(found):  # the throughput carries the warning; a missing metric would fail a gate
        variant.unknown[f"lost_percent{suffix}"] = "a loss that cannot be"


def _rates_of(runs: list[Iperf3Document], way: str) -> list[float]:
    """Return the intervals of a single run, where they are the receiver's; else one rate a run."""
    if len(runs) == 1 and not (runs[0].is_datagrams and runs[0].tells_sent(way)):
        totals = runs[0].intervals(way)  # iperf3 -i 0 reports none
        longest = max((total.seconds for total in totals), default=0.0)
        if totals:  # without the stub at the end
            return [total.rate or 0.0 for total in totals if total.seconds >= longest / 2]
    return [arrived(run, way) for run in runs]


def arrived(run: Iperf3Document, way: str) -> float:
    """Return the bits per second that a whole run brought to the receiver."""
    rate, as_sent = run.arrived(way)
    share = loss(run, way)[0] if as_sent else None
    return rate * (1 - (share or 0.0) / 100)


def _cautions_of(runs: list[Iperf3Document], way: str) -> Told:
    """Return the cautions of one way, each code once: of many runs the first is told."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for doubt in doubts(run, way):
            found.setdefault(doubt.code, []).append(f"{run.where}: {doubt.text}")
    told = [ONE_PROCESS] if len(runs) == 1 else []
    for code, texts in found.items():
        more = f", and so {len(texts) - 1} more" if len(texts) > 1 else ""
        told.append(f"{code}: {texts[0]}{more}")
    return tuple(told)


def _add_processors(variant: Variant, runs: list[Iperf3Document], where: str) -> None:
    """Add the CPU use of both ends where every run has it; a server has its own alone."""
    for metric, key in (("cpu_host", "host_total"), ("cpu_remote", "remote_total")):
        if metric == "cpu_remote" and any(run.is_server for run in runs):
            continue
        used = [run.number(f"end.cpu_utilization_percent.{key}") for run in runs]
        known = [share for share in used if share is not None]
        if len(known) == len(runs):
            samples = samples_of(known, where, metric)
            variant.series[metric] = Series(
                metric=metric, kind="noisy", unit="%", better="lower", samples=samples
            )


READER = ResultReader(recognises, read, read_together)
