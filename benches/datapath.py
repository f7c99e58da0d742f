# SPDX-License-Identifier: BSD-3-Clause
"""Events per second of the datapath engines, in turn in one process, and the ratios.

python -m benches.datapath [--rounds N]

Round-robin, because a machine's speed drifts; a rate is the best of the rounds, in CPU time of the
thread. All engines simulate the same systems and give the same outcomes, or the run ends. heapq is
the plain-Python reference; SimPy is the same reference with SimPy's environment for its events, one
callback an event (its processes would cost more). ns-3, where Debian's libns3-dev is, is the
compiled engines' model with ns-3's Simulator for its events. Exit code 1: a target is missed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean

import simpy
from tabulate import tabulate

from benches import ns3
from benches.datapath_systems import SYSTEMS, system
from ntbbench.datapath.engine import COMPILED, buffers, reference, simulate
from ntbbench.datapath.engine.engine_plan import NONE, SLOT_BITS, outcome, plan
from ntbbench.datapath.engine.reference_machine import Machine
from ntbbench.datapath.outcome import SystemOutcome
from ntbbench.datapath.system import System

TARGETS = {"specialised": 60e6, "general": 20e6}
PYTHON_SHARE = 100  # the Python engines simulate a hundredth of the time


class SimpyMachine(Machine):
    """The reference's machine with its events in a SimPy environment."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.environment = simpy.Environment()
        self.fired = -1

    def set(self, slot: int, time: int) -> None:
        key = time << SLOT_BITS | slot
        self.keys[slot] = key
        event = simpy.Event(self.environment)
        event._ok, event._value = True, key
        event.callbacks.append(self.fire)
        self.environment.schedule(event, priority=slot, delay=time - self.environment.now)

    def fire(self, event: simpy.Event) -> None:
        slot = event.value & (1 << SLOT_BITS) - 1
        if self.keys[slot] == event.value:  # else it was cancelled or moved
            self.fired = slot

    def pop(self, until: int) -> int:
        while self.environment.peek() < until:
            self.fired = -1
            self.environment.step()
            if self.fired >= 0:
                self.keys[self.fired] = NONE
                self.now = self.environment.now
                return self.fired
        return -1


def on_simpy(point: System) -> SystemOutcome:
    resolved = plan(point)
    return outcome(resolved, reference.run(resolved, 1, 0, SimpyMachine)[0])


def compiled(engine: str) -> Callable[[System], SystemOutcome]:
    return lambda point: simulate(point, 1, engine)


Engines = dict[str, Callable[[System], SystemOutcome]]
ENGINES: Engines = {
    "specialised": compiled("specialised"),
    "general": compiled("general"),
    "heapq": compiled("reference"),
    "SimPy": on_simpy,
}
IN_PYTHON = ("heapq", "SimPy")


def rate(run: Callable[[System], SystemOutcome], point: System) -> float:
    """Return events per second of one run."""
    start = time.thread_time_ns()
    events = run(point).events
    return events / (time.thread_time_ns() - start) * 1e9


def points(name: str, engines: Engines) -> dict[str, System]:
    """Return what each engine simulates of a system: the same, for a shorter time in Python."""
    whole = system(*SYSTEMS[name])
    short = replace(whole, end_ps=whole.end_ps // PYTHON_SHARE)
    return {engine: short if engine in IN_PYTHON else whole for engine in engines}


def check(name: str, engines: Engines) -> None:
    """End the run unless all engines give one outcome."""
    short = points(name, engines)["heapq"]
    first, *others = [run(short) for run in engines.values()]
    if any(other != first for other in others):
        sys.exit(f"{name}: the engines differ")


def measure(rounds: int, engines: Engines) -> dict[str, dict[str, float]]:
    """Return the best rate by system and engine."""
    best: dict[str, dict[str, float]] = {name: dict.fromkeys(engines, 0.0) for name in SYSTEMS}
    for _ in range(rounds):
        for name in SYSTEMS:
            for engine, point in points(name, engines).items():
                best[name][engine] = max(best[name][engine], rate(engines[engine], point))
    return best


def installed(directory: Path) -> Engines:
    """Return all engines, and ns-3 where it is installed."""
    return ENGINES | ({"ns-3": ns3.on_ns3(directory)} if ns3.HEADER.is_file() else {})


def state_bytes(end_ps: int) -> int:
    """Return the size of all buffers of a run of the first system."""
    resolved = plan(replace(system(*next(iter(SYSTEMS.values()))), end_ps=end_ps))
    run = buffers.Buffers(resolved, 1, COMPILED["specialised"], 0)
    arrays = (run.system, run.latency, run.log_rows, *run.state, *run.events)
    return sum(array.nbytes for array in arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        engines = installed(Path(directory))
    for name in SYSTEMS:
        check(name, engines)
    best = measure(rounds, engines)
    mean = {e: geometric_mean([rates[e] for rates in best.values()]) for e in engines}
    print(table(best | {"geometric mean": mean}))
    if "ns-3" not in engines:
        print("ns-3: not installed: libns3-dev")
    print(
        f"bytes of a run's buffers: {state_bytes(10**9)} for 1 ms, {state_bytes(10**15)} for 1000 s"
    )
    missed = [engine for engine, target in TARGETS.items() if mean[engine] < target]
    for engine in missed:
        print(f"missed: {engine}: {mean[engine] / 1e6:.1f}, target {TARGETS[engine] / 1e6:.0f}")
    sys.exit(bool(missed))


def table(rates: dict[str, dict[str, float]]) -> str:
    """Return the rates, and how much faster the specialised engine is than those not of here."""
    engines = list(next(iter(rates.values())))
    others = [engine for engine in engines if engine not in COMPILED]
    rows = [
        [
            name,
            *(f"{row[engine] / 1e6:.2f}" for engine in engines),
            *(f"{row['specialised'] / row[other]:.3g}" for other in others),
        ]
        for name, row in rates.items()
    ]
    headers = ["system", *engines, *(f"/ {other}" for other in others)]
    title = "million events per second of CPU time; ratios of the specialised engine"
    return f"{title}\n{tabulate(rows, headers, disable_numparse=True)}"


if __name__ == "__main__":
    main()
