# SPDX-License-Identifier: BSD-3-Clause
"""`iperf3 -J`: throughput of one run's intervals, or one sample a run where there are several.

What counts is what arrived: UDP's sender also counts datagrams that were lost, and a server does
not know what arrived at the client. The share of the datagrams that was lost is a metric too.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.analyse.series import Series, Variant
from ntbbench.analyse.sources.checked import samples_of
from ntbbench.errors import InputError

SOURCE = "iperf3"
SETTINGS = (
    *("protocol", "num_streams", "blksize", "reverse", "bidir", "tos"),
    "target_bitrate",
)
# By metric: whether it is the other direction of a run in both.
DIRECTIONS = {"throughput": False, "throughput_reverse": True}


class Rate(Struct, frozen=True):
    """A sum over the streams."""

    bits_per_second: float
    seconds: float = 0.0
    omitted: bool = False
    lost_percent: float = 0.0


class Processor(Struct, frozen=True):
    """CPU use in per cent of one CPU."""

    host_total: float
    remote_total: float


class End(Struct, frozen=True):
    """The end of a run; before iperf3 3.7 UDP has `sum` alone, which is what was sent."""

    sum_received: Rate | UnsetType = UNSET
    sum_received_bidir_reverse: Rate | UnsetType = UNSET
    sum: Rate | UnsetType = UNSET
    cpu_utilization_percent: Processor | UnsetType = UNSET


class Second(Struct, frozen=True):
    """One reporting interval."""

    sum: Rate
    sum_bidir_reverse: Rate | UnsetType = UNSET


class Run(Struct, frozen=True):
    """One run of the client."""

    end: End
    intervals: list[Second] = []
    start: dict[str, Any] = {}
    error: str | None = None

    def is_server(self) -> bool:
        """Return whether the server wrote this."""
        return "accepted_connection" in self.start

    def setting(self, key: str) -> object:
        """Return a setting of the test, None where it is not told."""
        test = self.start.get("test_start")
        return test.get(key) if isinstance(test, dict) else None

    def receives(self, other: bool) -> bool:
        """Return whether the writer of this file is the receiver of a direction."""
        return self.is_server() != (bool(self.setting("reverse")) != other)


def read(documents: list[bytes], label: str, where: str) -> Variant:
    """Return the variant of one run or of several of the same kind.

    Raises
    ------
    InputError
        for a run that failed, and for runs with different settings.
    """
    runs = [msgspec.json.decode(document, type=Run) for document in documents]
    for run in runs:
        if run.error:
            raise InputError(where, run.error, "a run of iperf3 that did not fail")
    settings = [settings_of(run) for run in runs]
    if any(other != settings[0] for other in settings[1:]):
        raise InputError(where, "runs with different settings", "runs of one kind")
    variant = Variant(label, SOURCE, {}, settings[0])
    for metric, other in DIRECTIONS.items():
        samples, caution = rates(runs, where, other)
        if samples:
            variant.series[metric] = Series(
                metric=metric,
                kind="noisy",
                unit="bit/s",
                better="higher",
                samples=samples_of(samples, where, metric),
                cautions=caution,
            )
        add_lost(variant, runs, where, metric.removeprefix("throughput"), other)
    if len(runs) > 1:
        add_processors(variant, runs, where)
    version = runs[0].start.get("version")
    if isinstance(version, str):
        variant.context["version"] = version
    return variant


def settings_of(run: Run) -> dict[str, str]:
    """Return the settings that decide a throughput."""
    test = run.start.get("test_start")
    if not isinstance(test, dict):
        return {}
    return {key: str(test[key]) for key in SETTINGS if key in test}


def rates(runs: list[Run], where: str, other: bool) -> tuple[list[float], tuple[str, ...]]:
    """Return bits per second that arrived: of each run, or of the full intervals of a single one.

    None for the `other` direction where a run has no such, or is a server's, which does not know.

    Raises
    ------
    InputError : nothing says what arrived.
    """
    found = [arrived(run, other) for run in runs]
    if len(runs) == 1 and (full := full_intervals(runs[0], other)):
        return full, ("one-process",)
    if other and not all(found):
        return [], ()
    if not all(found):
        if any(run.is_server() and not run.receives(other) for run in runs):
            raise InputError(where, "a server that only sent", "the client's iperf3 -J")
        raise InputError(where, "no end.sum_received", "a complete run of iperf3")
    return [rate.bits_per_second for rate in found if rate is not None], ()


def arrived(run: Run, other: bool) -> Rate | None:
    """Return what arrived in one direction of a run, None where its writer does not know."""
    if run.is_server() and not run.receives(other):
        return None
    rate = run.end.sum_received_bidir_reverse if other else run.end.sum_received
    if not isinstance(rate, UnsetType):
        return rate
    sent = run.end.sum
    if other or isinstance(sent, UnsetType) or run.is_server():
        return None
    arriving = sent.bits_per_second * (1 - sent.lost_percent / 100)
    return Rate(arriving, sent.seconds, lost_percent=sent.lost_percent)


def full_intervals(run: Run, other: bool) -> list[float]:
    """Return bits per second of a run's intervals, but for the stub at the end.

    None where they are a sender's and datagrams were lost, or a server's that sends.
    """
    if not run.receives(other):
        ends = (run.end.sum_received, run.end.sum_received_bidir_reverse, run.end.sum)
        lost = any(rate.lost_percent for rate in ends if not isinstance(rate, UnsetType))
        if run.is_server() or lost:
            return []
    sums = [second.sum_bidir_reverse if other else second.sum for second in run.intervals]
    kept = [rate for rate in sums if not isinstance(rate, UnsetType) and not rate.omitted]
    longest = max((rate.seconds for rate in kept), default=0.0)
    return [rate.bits_per_second for rate in kept if rate.seconds >= longest / 2]


def add_lost(variant: Variant, runs: list[Run], where: str, suffix: str, other: bool) -> None:
    """Add the share of the datagrams of one direction that did not arrive, a sample a run."""
    if any(run.setting("protocol") != "UDP" for run in runs):
        return
    found = [arrived(run, other) for run in runs]
    known = [rate.lost_percent for rate in found if rate is not None]
    if not known or len(known) < len(found):
        return
    metric = f"lost_percent{suffix}"
    variant.series[metric] = Series(
        metric=metric,
        kind="noisy",
        unit="%",
        better="lower",
        samples=samples_of(known, where, metric),
        cautions=("one-process",) if len(runs) == 1 else (),
    )


def add_processors(variant: Variant, runs: list[Run], where: str) -> None:
    """Add the CPU use of both ends where every run has it; a server does not know the client's."""
    used = [run.end.cpu_utilization_percent for run in runs]
    known = [cpu for cpu in used if not isinstance(cpu, UnsetType)]
    if len(known) < len(runs):
        return
    for metric, values in (
        ("cpu_host", [cpu.host_total for cpu in known]),
        ("cpu_remote", [cpu.remote_total for cpu in known]),
    ):
        if metric == "cpu_remote" and any(run.is_server() for run in runs):
            continue
        samples = samples_of(values, where, metric)
        variant.series[metric] = Series(
            metric=metric, kind="noisy", unit="%", better="lower", samples=samples
        )
