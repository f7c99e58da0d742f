# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of results of ntbbench: what is compared beyond what their records declare."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import PurePath
from typing import Any, ClassVar

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from ntbbench.compare.readers.checked import samples_of, split_environment
from ntbbench.compare.readers.results import OK, Metrics, Results, add
from ntbbench.compare.records import Place
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Declared, declared
from ntbbench.datapath.records import QUANTILES, OkSimulation, Replication, SimulationResult
from ntbbench.dispatch.records import OkPoint, SweepResult, Timing
from ntbbench.lab.pair.records import (
    CHECK,
    FAILED,
    HARMLESS,
    UNAVAILABLE,
    PairFinding,
    PairPoint,
    PairResult,
)
from ntbbench.lab.records import LabPoint, LabResult, NetdevPoint, NetdevResult
from ntbbench.pair.host_records import HOST_SETTING, HostCell, HostCompat
from ntbbench.pair.records import SETTING, CompatCell, CompatResult

CPU = "cpu.model"
EXPECTED = (CPU, "cpu.flags", "compiler.name", "compiler.flags")
MACHINE = ("cpu.cores",)
WASTE = ("hardirq", "empty_softirq", "spinning")  # CPU time that moves no packet


class Sweeps(Results):
    """Counts of each point and, where it was timed, nanoseconds per dispatch."""

    schema, result, point = "ntbbench.sweep/1", SweepResult, OkPoint
    name = (
        "{hardware}/{dispatch}/q{queues_requested}/d{doorbells}/v{vectors}/{workload}"
        "/drain{drain}/mw{mw_count}/clients{max_num_clients}"
    )
    later = ("drain", "mw_count", "max_num_clients")
    follows: ClassVar = {"hardware": ("vectors", "mw_count"), "doorbells": ("vectors",)}
    unlimited = ("max_num_clients",)
    also = ("environment", "scenario", "complete")
    statuses = ("unavailable", "ok")
    joined = (
        *("qp_schedule_calls", "qp_wakeups", "qp_spurious_wakeups", "qp_useful_wakeups"),
        *("vector_interrupts", "vector_schedule_calls", "vector_wakeups"),
    )
    repeats = True

    def side(self, result: Any, label: str) -> Variant:
        """Return the side; other streams have other counts."""
        strict, loose = split_environment(result.environment)
        for key in ("interrupts", "seed"):
            if key in result.scenario:
                strict[f"scenario.{key}"] = str(result.scenario[key])
        machine = {key: loose[key] for key in MACHINE if key in loose}
        return replace(
            super().side(result, label),
            environment=strict, context=loose, cpu=CPU, machine=machine, expects=EXPECTED,
        )  # fmt: skip

    def place(self, point: Any) -> Place:
        """Return the cell; a map holds fixed all but queues and doorbells."""
        drain = "" if point.drain is UNSET else f", drain {point.drain}"
        group = f"{point.hardware}, {point.dispatch}, v{point.vectors}, {point.workload}{drain}"
        return Place(group=group, queues=point.queues_requested, doorbells=point.doorbells)

    def metrics(self, about: Declared, value: Any, point: Any, where: str) -> Metrics:
        """Return the lists as one whole, and the samples of a timing."""
        if about.name == self.joined[0]:
            lists = [getattr(point, name) for name in self.joined]
            whole = b";".join([bytes(counts) for counts in lists if counts is not UNSET])
            text = whole.translate(None, b" \t\r\n").decode()  # other writers indent
            return [("distribution", {"value": text})]
        if not isinstance(value, Timing):
            return super().metrics(about, value, point, where)
        known = {"kind": "noisy", "unit": about.unit, "cautions": (ONE_PROCESS,)}
        samples = samples_of(value.samples, where, about.name)
        return [(about.name, {**known, "samples": samples})] if value.samples else []


class Simulations(Results):
    """A sample per replication of what a user would feel.

    Counts and times that follow the throughput (rings, interrupts, hardirq time) have no better
    direction of their own: they are compared per interrupt or packet. A latency or a ratio is
    compared over the replications that have one; a side where none has one lacks the metric.
    """

    schema, result, point = "ntbbench.simulation/1", SimulationResult, OkSimulation
    name = "{protocol}/{dispatch}/{affinity}/q{queues}/{placement}"
    later = ("placement",)
    also = ("environment", "scenario", "complete")
    needed = ("replications",)
    statuses = ("unavailable", "ok")
    kinds = ("count",)
    common: ClassVar = {"simulated": True}

    def side(self, result: Any, label: str) -> Variant:
        """Return the side; the machine that simulated is told, and has no part in the result."""
        how = result.scenario.get("run", {})
        # Runs of another length spread differently.
        keys = ("duration", "warmup")
        strict = {f"scenario.run.{key}": str(how[key]) for key in keys if key in how}
        context = {"ntbbench": str(result.environment.get("ntbbench", "?"))}
        draws = f"seed {how['seed']}" if "seed" in how else ""
        side = super().side(result, label)
        return replace(side, environment=strict, context=context, draws=draws)

    def more(self, variant: Variant, point: Any, name: str, where: str) -> None:
        """Add what has a sample per replication."""
        runs = point.replications
        numbers = [run.replication for run in runs]
        if len(set(numbers)) < len(numbers):
            raise InputError(f"{where}: replications of {name}", str(numbers), "each of them once")
        if any(kind not in run.cpu_seconds for run in runs for kind in WASTE):
            raise InputError(f"{where}: cpu_seconds of {name}", "a kind missing", ", ".join(WASTE))
        for quantity, about, sample in SAMPLES:
            metric, found = f"{name}:{quantity}", [sample(run) for run in runs]
            known = [pair for pair in zip(numbers, found, strict=True) if pair[1] is not None]
            if not known:
                continue
            rows, values = zip(*known, strict=True)
            variant.row_numbers[metric] = np.array(rows, dtype=np.int64)
            variant.series[metric] = Series(
                metric=metric, kind="noisy", unit=about.unit, better=about.better, simulated=True,
                samples=samples_of(values, where, metric),
                runs=len(found) if len(known) < len(found) else 0,
            )  # fmt: skip


def _spent(kind: str) -> Any:
    return lambda run: run.cpu_seconds[kind] / max(run.counts.packets, 1)


def _per(over: str, under: str) -> Any:
    """Return the ratio of two counts of a run; None where nothing was counted, which is no 0."""

    def ratio(run: Replication) -> float | None:
        count = getattr(run.counts, under)
        return getattr(run.counts, over) / count if count else None

    return ratio


# What is noisy in a simulation: its name, whose unit and direction it has, and a run's sample.
RUN, SUM = declared(Replication), declared(OkSimulation)
CPU_TIME = msgspec.structs.replace(RUN["cpu_seconds"], better="lower")
SAMPLES: tuple[tuple[str, Declared, Any], ...] = (
    ("throughput", RUN["throughput_bps"], attrgetter("throughput_bps")),
    *((f"latency_{name}", RUN[name], attrgetter(name)) for name in QUANTILES),
    *((f"cpu_{kind}_per_packet", CPU_TIME, _spent(kind)) for kind in WASTE),
    ("amplification", SUM["amplification"], _per("schedule_calls", "interrupts")),
    ("effective_amplification", SUM["effective_amplification"], _per("wakeups", "interrupts")),
    ("spurious_ratio", SUM["spurious_ratio"], _per("spurious_wakeups", "wakeups")),
    ("drops", SUM["drops"], lambda run: float(run.counts.drops)),
)


class LabRuns(Results):
    """What a real kernel did for each point's doorbells; another kernel is what one compares."""

    schema, result, point = "ntbbench.lab/1", LabResult, LabPoint
    name = (
        "vectors {vectors}/db_read {db_read}/queues {queues}/senders {sending_qps}"
        "/{order} {gap_us} us/{packets} packets"
    )
    context = ("kernel", "ntb_source")
    each = ("runs_per_qp",)
    served = "packets_received"


class Flows(Results):
    """Flows over ntb_netdev: exact counts of spaced ones, throughput of those as fast as it goes.

    The stack hashes the flows to queues with a secret of the boot, so that a queue's own doorbells
    and runs differ from run to run; those of all queues together do not.
    """

    schema, result, point = "ntbbench.lab-netdev/1", NetdevResult, NetdevPoint
    name = "vectors {vectors}/queues {queues}/{flows} flows/{gap_us}/{packets_sent} packets"
    context = ("kernel", "ntb_source")
    strict = ("accelerator",)  # an emulated throughput compares with no other
    needed = ("predicted_runs_per_qp",)
    later = ("flows",)
    order = ("agrees", "packets_received", "doorbells_per_qp", "bits_per_second", "events")
    sums = ("doorbells_per_qp", "runs_per_qp")
    called: ClassVar = {"bits_per_second": "throughput"}

    def written(self, axis: str, value: Any) -> object:
        """Return the pace in words."""
        if axis == "gap_us":
            return f"{value} us" if value else "fast"
        return 0 if value is UNSET else value

    def lacks(self, point: Any, name: str) -> bool:
        """Tell what depends on how fast a machine is, or on how it hashed the flows."""
        fast = not point.gap_us
        if name == "runs_per_qp" and not fast and point.vectors:
            # Unless every vector covers as many QPs the runs depend on the flows' hash.
            covered = Counter(qp_num % point.vectors for qp_num in range(len(point.runs_per_qp)))
            return len(set(covered.values())) != 1
        if name == "runs_per_qp":
            return fast
        return fast if name == "events" else name == "bits_per_second" and not fast

    def more(self, variant: Variant, point: Any, name: str, where: str) -> None:
        """Add how many runs there are beyond the predicted ones."""
        if point.gap_us and point.predicted_runs_per_qp:
            beyond = sum(point.runs_per_qp) - sum(point.predicted_runs_per_qp)
            add(variant, f"{name}:runs beyond prediction", {"better": "lower"}, {"value": beyond})


class CompatCells(Results):
    """The verdict, the counts and the hazards of each pair of patch prefixes."""

    schema, points = "ntbbench.compat/1", "cells"
    result: type[Struct] = CompatResult
    point: type[Struct] = CompatCell
    name = "{direction}/ep {ep}/rc {rc}"
    strict: Sequence[str] = SETTING

    def metrics(self, about: Declared, value: Any, point: Any, where: str) -> Metrics:
        """Yield the hazards as one metric: the fewer the better."""
        if isinstance(value, list):
            yield about.name, {"value": "; ".join(sorted(value)), "rank": -len(value)}
        else:
            yield from super().metrics(about, value, point, where)


class HostCells(CompatCells):
    """The same of two hosts that pci-epf-ntb joins."""

    schema, result, point = "ntbbench.compat-ntb/1", HostCompat, HostCell
    name = "{direction}/host 1 {host1}/host 2 {host2}"
    strict = HOST_SETTING


AFTER = "after"  # the driver that carries the series, or what is to replace it
OF_A_BOOT = ("link", "agrees", "warnings", "ep_qp_count", "rc_qp_count")
HIGHER = {"better": "higher"}
BITS = 64  # doorbell bits; ntb_transport's qp_bitmap is a u64
FIRST_SLOT = 2  # of doorbell bit 0, of any version: EPF_IRQ_DB_START
# Kinds of findings of `lab pair check`: each is counted, so that none and one can be compared.
FINDINGS = ("sleep", "locking", "memory", "other", "panic", "hang")
# In the line that shows a finding: a function, as `f+0x1/0x2` or `f()`; the file of `file.c:1`.
FUNCTION = re.compile(r"([A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+|\(\))")
FILE = re.compile(r"([\w./-]+\.[ch]):\d+")
NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,}|\d+)\b")  # %px has no 0x


def _harmless(warning: str) -> bool:
    return HARMLESS.match(warning) is not None


class Pairs(Results):
    """A run, a matrix or a check; another kernel or driver is what one compares."""

    schema, result, point = "ntbbench.pair/1", PairResult, PairPoint
    name = (
        "{direction}/{ep_slots} slots/{mw_count} windows/{doorbell}/queues {queues}"
        "/{flows} flows of {packets}, {gap_us} us"
    )
    context = ("kernel",)
    also = ("kind", "scenario", "complete", "findings", "rounds", "checks")
    needed = ("ep_driver", "rc_driver", "ep_patches", "rc_patches")
    later = ("queues",)
    statuses = (FAILED, UNAVAILABLE, OK)
    order = (
        *OF_A_BOOT,
        *("doorbells_rung", "msis_raised", "events", "packets_sent", "packets_received"),
        *("slots_per_bit", "runs_per_qp"),
    )
    zeros = ("ep_qp_count", "rc_qp_count")
    sums = each = ("runs_per_qp",)
    served = "packets_received"

    def side(self, result: Any, label: str) -> Variant:
        """Return the side with the drivers that ran; `result:complete` tells what is unfinished."""
        variant = replace(super().side(result, label), cautions=())
        for name in ("ep_driver", "ep_patches", "rc_driver", "rc_patches"):
            told = {_told(getattr(point, name)) for point in result.points}
            variant.context[name] = "; ".join(sorted(told))
        harmless = {NUMBER.sub("N", w) for p in result.points for w in p.warnings if _harmless(w)}
        variant.context["harmless kernel warnings"] = "; ".join(sorted(harmless)) or "none"
        return variant

    def names(self, result: Any) -> Iterator[str]:
        """Yield a name for each point that does not tell which drivers ran, where it can.

        Two results of one driver pair each are compared point by point: that is what a patch
        changes. A matrix has points that differ in their drivers alone; the drivers of `source` are
        its `after`, wherever that tree lies, so that it meets a matrix without one.
        """
        pairs = {(point.ep_driver, point.rc_driver) for point in result.points}
        source = result.scenario.get("source")
        short = {driver: _short(driver, source) for pair in pairs for driver in pair}
        counts = Counter(short.values())
        # A name that two files share tells neither from the other: then it is their paths that do.
        told = {driver: name if counts[name] == 1 else driver for driver, name in short.items()}
        for point in result.points:
            drivers = f"EP {told[point.ep_driver]}/RC {told[point.rc_driver]}/"
            yield (drivers if len(pairs) > 1 else "") + self.name_of(point)

    def status(self, value: str, where: str) -> dict[str, Any]:
        """Return the status; of two points that failed nothing is known, which is to be told."""
        cautions = ("unfinished",) if value == FAILED else ()
        return {**super().status(value, where), "cautions": cautions}

    def lacks(self, point: Any, name: str) -> bool:
        """Tell the counts of a point whose link is down: its cause tells why."""
        return point.link == "down" and name not in OF_A_BOOT

    def metrics(self, about: Declared, value: Any, point: Any, where: str) -> Metrics:
        """Yield how often the kernel complained, and the slot that each doorbell bit rang."""
        if about.name == "warnings":
            count = sum(not _harmless(line) for line in value)
            yield "kernel warnings", {"value": count, "per_packet": False}
        elif about.name == "slots_per_bit":
            for bit in sorted(value, key=int):  # the right one is better than any other
                right = value[bit] == [FIRST_SLOT + int(bit)]
                yield f"slot of bit {bit}", {
                    "value": "+".join(map(str, value[bit])), "rank": int(right), "better": "higher"
                }  # fmt: skip
        else:
            yield from super().metrics(about, value, point, where)

    def end(self, variant: Variant, result: Any) -> None:
        """Add whether the result is whole and, of a check, what it found and how hard it looked."""
        for name, point in zip(self.names(result), result.points, strict=True):
            if point.status == OK and point.link == "up":
                metrics = (f"{name}:slot of bit {bit}" for bit in range(BITS))
                unseen = (metric for metric in metrics if metric not in variant.series)
                variant.unknown.update(dict.fromkeys(unseen, "no slot of it was seen"))
        whole = {"value": str(result.complete).lower(), "rank": int(result.complete)}
        cautions = () if result.complete else ("unfinished",)
        add(variant, "result:complete", HIGHER, {**whole, "cautions": cautions})
        if result.kind != CHECK:
            return
        # One finding, not nine, where a side is no check.
        add(variant, f"{CHECK}:status", HIGHER, {"value": OK, "rank": 1})
        add(variant, f"{CHECK}:rounds", HIGHER, {"value": result.rounds})
        add(variant, f"{CHECK}:debug options", HIGHER, {"value": len(result.checks)})
        found = Counter(finding.kind for finding in result.findings)
        # One gone and another one come are as many of their kind, but not the same. A check that
        # does not tell of a place found nothing there.
        variant.zero.add(CHECK)
        places = Counter(f"{finding.kind} in {place(finding)}" for finding in result.findings)
        counts = {f"{kind} findings": found[kind] for kind in dict.fromkeys((*FINDINGS, *found))}
        for told, count in (counts | places).items():
            add(variant, f"{CHECK}:{told}", {"better": "lower"}, {"value": count})


def place(finding: PairFinding) -> str:
    """Return where a finding is: what another build, boot or line of code does not change.

    The driver's function, else the first one that the line names, else its file, else the line
    without its numbers.
    """
    if finding.function:
        return _named(finding.function)
    if function := FUNCTION.search(finding.line):
        return _named(function[1])
    if file := FILE.search(finding.line):
        return file[1]
    return NUMBER.sub("N", finding.line).replace(":", "") or "no place"


def _named(function: str) -> str:
    """Return a function's name in the source: gcc calls parts of it `f.cold`, `f.isra.0`."""
    return f"{function.partition('.')[0]}()"


def _told(value: str | list[int]) -> str:
    return value if isinstance(value, str) else " ".join(map(str, value)) or "none"


def _short(driver: str, source: str | None) -> str:
    if driver == source:
        return AFTER
    return PurePath(driver).name if "/" in driver else driver
