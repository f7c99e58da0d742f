# SPDX-License-Identifier: BSD-3-Clause
"""`iperf3 -J`: throughput of one run's intervals, or one sample a run where there are several.

Of UDP what arrived counts, and the share that was lost: the intervals of a sender hold what it
sent, whatever became of it. With --bidir the way back is a metric of its own. A server does not
know what arrived at the client.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.analyse.series import Better, Series, Variant
from ntbbench.analyse.sources.checked import samples_of
from ntbbench.errors import InputError

SOURCE = "iperf3"
SETTINGS = (
    *("protocol", "num_streams", "blksize", "reverse", "bidir", "tos"),
    "target_bitrate",
)


class Rate(Struct, frozen=True):
    """A sum over the streams."""

    bits_per_second: float
    seconds: float = 0.0
    omitted: bool = False
    sender: bool = False
    lost_percent: float | UnsetType = UNSET


class Processor(Struct, frozen=True):
    """CPU use in per cent of one CPU."""

    host_total: float
    remote_total: float


class End(Struct, frozen=True):
    """The end of a run; old versions have of UDP `sum` alone: the rate sent, and what was lost."""

    sum_received: Rate | UnsetType = UNSET
    sum_received_bidir_reverse: Rate | UnsetType = UNSET
    sum: Rate | UnsetType = UNSET
    sum_bidir_reverse: Rate | UnsetType = UNSET
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

    def datagrams(self) -> bool:
        """Return whether this is a run of UDP."""
        test = self.start.get("test_start")
        return isinstance(test, dict) and test.get("protocol") == "UDP"

    def only_sent(self, way: str) -> bool:
        """Return whether the server wrote this and data went to the client, who alone counted it.

        What has no `way` behind its name went to the server, unless the test is --reverse.
        """
        test = self.start.get("test_start")
        is_reverse = isinstance(test, dict) and bool(test.get("reverse"))
        return "accepted_connection" in self.start and is_reverse != bool(way)

    def back(self) -> bool:
        """Return whether data went back too (--bidir)."""
        return self.end.sum_received_bidir_reverse is not UNSET or any(
            second.sum_bidir_reverse is not UNSET for second in self.intervals
        )


def read(documents: list[tuple[str, bytes]], label: str, where: str) -> Variant:
    """Return the variant of one run or of several of the same kind, each with the file it is in.

    Raises
    ------
    InputError
        for a run that failed, and for runs with different settings.
    """
    runs = [decoded_run(document, file) for file, document in documents]
    settings = [settings_of(run) for run in runs]
    if any(other != settings[0] for other in settings[1:]):
        raise InputError(where, "runs with different settings", "runs of one kind")
    variant = Variant(label, SOURCE, {}, settings[0])
    add_throughput(variant, runs, "", where)
    if runs[0].back():
        add_throughput(variant, runs, "_bidir_reverse", where)
    if len(runs) > 1:
        add_processors(variant, runs, where)
    version = runs[0].start.get("version")
    if isinstance(version, str):
        variant.context["version"] = version
    return variant


def decoded_run(document: bytes, file: str) -> Run:
    """Return one run that did not fail."""
    try:
        run = msgspec.json.decode(document, type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError("input", file, f"a complete run of iperf3: {error}") from error
    if run.error:
        raise InputError("input", file, f"this run of iperf3 failed: {run.error}")
    return run


def settings_of(run: Run) -> dict[str, str]:
    """Return the settings that decide a throughput."""
    test = run.start.get("test_start")
    if not isinstance(test, dict):
        return {}
    return {key: str(test[key]) for key in SETTINGS if key in test}


def add_throughput(variant: Variant, runs: list[Run], way: str, where: str) -> None:
    """Add what arrived one way, `way` being what iperf3 puts behind `sum`, and what was lost."""
    if any(run.only_sent(way) for run in runs):
        if way:
            return
        raise InputError(where, "a server that only sent", "the client's iperf3 -J")
    suffix = "_reverse" if way else ""
    of_intervals = len(runs) == 1 and not (runs[0].datagrams() and tells_sent(runs[0], way))
    caution = ("one-process",) if len(runs) == 1 else ()
    rates = (
        full_intervals(runs[0], way)
        if of_intervals
        else [arrived(run.end, way, where) for run in runs]
    )

    def add(metric: str, unit: str, better: Better, values: list[float]) -> None:
        variant.series[metric] = Series(
            metric=metric,
            kind="noisy",
            unit=unit,
            better=better,
            samples=samples_of(values, where, metric),
            cautions=caution,
        )

    if rates:
        add(f"throughput{suffix}", "bit/s", "higher", rates)
    lost = [loss(run.end, way) for run in runs] if runs[0].datagrams() else []
    known = [share for share in lost if share is not None]
    if known and len(known) == len(lost):
        add(f"lost_percent{suffix}", "%", "lower", known)


def seconds_of(run: Run, way: str) -> list[Rate]:
    """Return the reporting intervals of one way."""
    rates = [getattr(second, f"sum{way}") for second in run.intervals]
    return [rate for rate in rates if rate is not UNSET and not rate.omitted]


def tells_sent(run: Run, way: str) -> bool:
    """Return whether the intervals are the sender's; old versions, with `sum` alone, do not say."""
    is_old = run.end.sum_received is UNSET and run.end.sum is not UNSET
    return is_old or any(rate.sender for rate in seconds_of(run, way))


def full_intervals(run: Run, way: str) -> list[float]:
    """Return bits per second of the intervals, without the stub at the end."""
    rates = seconds_of(run, way)
    longest = max((rate.seconds for rate in rates), default=0.0)
    return [rate.bits_per_second for rate in rates if rate.seconds >= longest / 2]


def arrived(end: End, way: str, where: str) -> float:
    """Return the bits per second that a whole run brought to the receiver."""
    received, total = getattr(end, f"sum_received{way}"), getattr(end, f"sum{way}")
    if received is not UNSET:
        return float(received.bits_per_second)
    if total is UNSET:
        raise InputError(where, f"no end.sum_received{way}", "a complete run of iperf3")
    return float(total.bits_per_second * (1 - (loss(end, way) or 0.0) / 100))


def loss(end: End, way: str) -> float | None:
    """Return the share of the datagrams that did not arrive, in per cent."""
    for rate in (getattr(end, f"sum_received{way}"), getattr(end, f"sum{way}")):
        if rate is not UNSET and rate.lost_percent is not UNSET:
            return float(rate.lost_percent)
    return None


def add_processors(variant: Variant, runs: list[Run], where: str) -> None:
    """Add the CPU use of both ends where every run has it; a server has its own alone."""
    used = [run.end.cpu_utilization_percent for run in runs]
    known = [cpu for cpu in used if not isinstance(cpu, UnsetType)]
    if len(known) < len(runs):
        return
    for metric, values in (
        ("cpu_host", [cpu.host_total for cpu in known]),
        ("cpu_remote", [cpu.remote_total for cpu in known]),
    ):
        if metric == "cpu_remote" and any("accepted_connection" in run.start for run in runs):
            continue
        samples = samples_of(values, where, metric)
        variant.series[metric] = Series(
            metric=metric, kind="noisy", unit="%", better="lower", samples=samples
        )
