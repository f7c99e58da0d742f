# SPDX-License-Identifier: BSD-3-Clause
"""Fits the receiver's copy cost a byte to a measured single-queue throughput.

The simulated throughput never rises with the cost, so a bracket closes on the cost; every step
simulates the same replications, so steps differ in the cost alone.
"""

import math
from collections.abc import Callable, Sequence

import msgspec

from ntbbench.core.errors import InputError
from ntbbench.core.options import shown
from ntbbench.core.units import FS, PS
from ntbbench.datapath.grid_point import SimulationSpec
from ntbbench.datapath.records import FitResult, Target
from ntbbench.datapath.replicate import BITS_A_BYTE, replicate
from ntbbench.datapath.sections import BYTE_COST_MAX, TIME_MAX, Scenario
from ntbbench.datapath.summary import estimate

REPLICATIONS = 3
STEPS_MAX = 60
TOLERANCE = 2e-4  # relative, of the throughput
PACKETS_MIN = 2000  # of each replication: REPLICATIONS of them resolve TOLERANCE
BYTE_MAX = int(BYTE_COST_MAX * FS)  # femtoseconds: the largest cost that a scenario takes


def target_of(samples: Sequence[float], error: float) -> Target:
    """Return the target of one measured throughput or several.

    `samples` are bits a second, above 0; of several the mean's 95 % t interval is taken, which is
    one of measurements only where each is a run: ends of a published range are none. `error` is the
    relative half width that a single one is assumed to have.
    """
    found = estimate(samples)
    if found.low is None or found.high is None:
        low, high = found.mean * (1 - error), found.mean * (1 + error)
        how = f"one value, assumed to be within {error:.1%}"
        return Target(mean=found.mean, low=low, high=high, how=how)
    how = f"mean of {len(samples)} values with its t interval, 95 % if each is a run"
    return Target(mean=found.mean, low=found.low, high=found.high, how=how)


def _single_queue(scenario: Scenario, protocol: str) -> SimulationSpec:
    """Return the point that is fitted; InputError: the device cannot give it."""
    spec = SimulationSpec(scenario, 1, scenario.dispatch[0], "single", protocol)
    if spec.reason is not None:
        raise InputError("fit", f"one queue, {protocol}", spec.reason)
    return spec


def fit(scenario: Scenario, protocol: str, target: Target, engine: str) -> FitResult:
    """Return the copy cost that gives `target` with one queue, its range, and the scenario with it.

    InputError: no cost gives it: the other costs allow less, or it would be absurd.
    """
    middle = _solve(scenario, protocol, target.mean, engine)
    free = throughput(_long_enough(scenario, protocol, target.high), protocol, 0, engine)
    low = _solve(scenario, protocol, target.high, engine) if target.high <= free else 0
    reached = target.low > _slowest(scenario, protocol)
    high = _solve(scenario, protocol, target.low, engine) if reached else None
    longer = _long_enough(scenario, protocol, target.mean)
    return FitResult(
        protocol=protocol,
        target=target,
        byte_fs=middle,
        low_fs=low,
        high_fs=high,
        throughput_bps=throughput(longer, protocol, middle, engine),
        seconds=longer.run.duration / PS,
        asked_seconds=scenario.run.duration / PS,
        scenario=shown(with_byte(scenario, protocol, middle)),
    )


def _solve(scenario: Scenario, protocol: str, wanted: float, engine: str) -> int:
    """Return the cost a byte, femtoseconds, that gives a throughput."""
    scenario = _long_enough(scenario, protocol, wanted)
    spec = _single_queue(scenario, protocol)
    # What one CPU would need if nothing but the copy took time: no cost can be above it.
    ceiling = math.ceil(spec.payload * BITS_A_BYTE / wanted * FS / spec.size) + 1
    if ceiling > BYTE_MAX:
        allowed = f"at least {_slowest(scenario, protocol):.4g} bit/s"
        raise InputError("--throughput", f"{wanted:.6g} bit/s", allowed)
    free = throughput(scenario, protocol, 0, engine)
    if free < wanted:
        allowed = f"at most {free:.6g} bit/s, which the other costs allow with a copy for nothing; "
        allowed += "lower them with --set"
        raise InputError("--throughput", f"{wanted:.6g} bit/s", allowed)
    return crossing(
        lambda byte: throughput(scenario, protocol, byte, engine), wanted, free, ceiling
    )


def _slowest(scenario: Scenario, protocol: str) -> float:
    """Return the least throughput that is fitted: the copy alone, at the largest cost."""
    spec = _single_queue(scenario, protocol)
    least = spec.payload * BITS_A_BYTE / (BYTE_COST_MAX * spec.size)
    return least * (1 + TOLERANCE)  # `_solve` rounds the cost up


def crossing(rate: Callable[[int], float], wanted: float, free: float, ceiling: int) -> int:
    """Return where a rate that never rises is `wanted`, to TOLERANCE of it.

    The time of a packet is all but linear in the cost, so its line through the ends of the
    bracket is tried first, and its middle where that line does not lead inside.

    `free` is the rate of cost 0, at least `wanted`; `ceiling` a cost whose rate is below.
    """
    low, high = 0, ceiling
    low_rate, high_rate = free, rate(ceiling)
    for step in range(STEPS_MAX):
        if high - low <= 1 or abs(low_rate / wanted - 1) <= TOLERANCE:
            break
        guess = (low + high) // 2
        if step % 3 < 2 and 0 < high_rate < low_rate:
            share = (1 / wanted - 1 / low_rate) / (1 / high_rate - 1 / low_rate)
            guess = min(max(low + round((high - low) * share), low + 1), high - 1)
        found = rate(guess)
        if abs(found / wanted - 1) <= TOLERANCE:
            return guess
        if found > wanted:
            low, low_rate = guess, found
        else:
            high, high_rate = guess, found
    return low


def throughput(scenario: Scenario, protocol: str, byte: int, engine: str) -> float:
    """Return the simulated single-queue throughput, bits a second, with a cost a byte."""
    spec = _single_queue(with_byte(scenario, protocol, byte), protocol)
    runs = [replicate(spec, number, engine).throughput_bps for number in range(REPLICATIONS)]
    return math.fsum(runs) / len(runs)


def _long_enough(scenario: Scenario, protocol: str, wanted: float) -> Scenario:
    """Return the scenario, run so long that a packet more or less is below TOLERANCE."""
    packet = _single_queue(scenario, protocol).payload * BITS_A_BYTE / wanted
    duration = min(round(PACKETS_MIN * packet * PS), round(TIME_MAX * PS))
    run = msgspec.structs.replace(scenario.run, duration=max(scenario.run.duration, duration))
    return msgspec.structs.replace(scenario, run=run)


def with_byte(scenario: Scenario, protocol: str, byte: int) -> Scenario:
    """Return the scenario with another copy cost a byte, of the CPU or of the DMA channel."""
    key = "dma_byte" if _single_queue(scenario, protocol).dma else "byte"
    receiver = msgspec.structs.replace(scenario.receiver, **{key: byte})
    return msgspec.structs.replace(scenario, receiver=receiver)
