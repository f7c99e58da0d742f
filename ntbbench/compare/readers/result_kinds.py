# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of results of ntbbench: what is compared beyond what their records declare."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, ClassVar

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from ntbbench.compare.readers.checked import samples_of, split_environment
from ntbbench.compare.readers.results import Metrics, Results, add
from ntbbench.compare.records import Place
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import ONE_PROCESS
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Declared, declared
from ntbbench.datapath.records import QUANTILES, OkSimulation, Replication, SimulationResult
from ntbbench.dispatch.records import OkPoint, SweepResult, Timing
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
        how = msgspec.convert(result.scenario.get("run", {}), dict[str, Any])
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
