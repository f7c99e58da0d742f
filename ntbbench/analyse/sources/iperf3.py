# SPDX-License-Identifier: BSD-3-Clause
"""`iperf3 -J`: throughput of one run's intervals, or one sample a run where there are several."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.analyse.series import Series, Variant
from ntbbench.analyse.sources.checked import samples_of
from ntbbench.errors import InputError

SOURCE = "iperf3"
SETTINGS = ("protocol", "num_streams", "blksize", "reverse", "bidir", "tos")


class Rate(Struct, frozen=True):
    """A sum over the streams."""

    bits_per_second: float
    seconds: float = 0.0
    omitted: bool = False


class Processor(Struct, frozen=True):
    """CPU use in per cent of one CPU."""

    host_total: float
    remote_total: float


class End(Struct, frozen=True):
    """The end of a run: of TCP sum_received, of UDP sum."""

    sum_received: Rate | UnsetType = UNSET
    sum: Rate | UnsetType = UNSET
    cpu_utilization_percent: Processor | UnsetType = UNSET


class Second(Struct, frozen=True):
    """One reporting interval."""

    sum: Rate


class Run(Struct, frozen=True):
    """One run of the client."""

    end: End
    intervals: list[Second] = []
    start: dict[str, Any] = {}
    error: str | None = None


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
    samples, caution = rates(runs, where)
    if samples:
        variant.series["throughput"] = Series(
            metric="throughput",
            kind="noisy",
            unit="bit/s",
            better="higher",
            samples=samples_of(samples, where, "throughput"),
            cautions=caution,
        )
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


def rates(runs: list[Run], where: str) -> tuple[list[float], tuple[str, ...]]:
    """Return bits per second: of each run, or of the full intervals of a single one."""
    if len(runs) == 1:
        intervals = [second.sum for second in runs[0].intervals if not second.sum.omitted]
        longest = max((rate.seconds for rate in intervals), default=0.0)
        full = [
            rate for rate in intervals if rate.seconds >= longest / 2
        ]  # not the stub at the end
        return [rate.bits_per_second for rate in full], ("one-process",)
    found = []
    for run in runs:
        rate = run.end.sum_received if run.end.sum_received is not UNSET else run.end.sum
        if isinstance(rate, UnsetType):
            raise InputError(where, "no end.sum_received", "a complete run of iperf3")
        found.append(rate.bits_per_second)
    return found, ()


def add_processors(variant: Variant, runs: list[Run], where: str) -> None:
    """Add the CPU use of both ends where every run has it."""
    used = [run.end.cpu_utilization_percent for run in runs]
    known = [cpu for cpu in used if not isinstance(cpu, UnsetType)]
    if len(known) < len(runs):
        return
    for metric, values in (
        ("cpu_host", [cpu.host_total for cpu in known]),
        ("cpu_remote", [cpu.remote_total for cpu in known]),
    ):
        samples = samples_of(values, where, metric)
        variant.series[metric] = Series(metric=metric, kind="noisy", unit="%", samples=samples)
