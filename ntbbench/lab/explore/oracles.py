# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a run: packets that wait or are lost, complaints, a dead guest, bounds."""

from collections.abc import Iterator
from dataclasses import dataclass

from ntbbench.lab.explore.explore_guest import DEAD, ExploreBoot, ExploreLab, GuestRun
from ntbbench.lab.explore.records import (
    BOUNDS,
    HELD,
    HUNG,
    LOST,
    PANICKED,
    SIDES,
    STUCK,
    WARNED,
    Schedule,
)
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.predict import PairModel
from ntbbench.lab.qemu import HUNG as HUNG_WORDS
from ntbbench.pair.drivers.patches import driver
from ntbbench.pair.flow import RunBounds, ring_effects, run_bounds
from ntbbench.pair.setting import EP_TO_RC, RC_TO_EP, Direction

PEER = {"ep": "rc", "rc": "ep"}
DIRECTIONS_OF: dict[str, Direction] = {"ep": EP_TO_RC, "rc": RC_TO_EP}  # by the sender
# A tasklet serves at most its ring in one run; no smaller one is made (plan.py: ENTRIES).
RX_MAX_ENTRY = 16
UNDISTURBED = "packets are lost before any CPU is held"


@dataclass(frozen=True)
class Judgement:
    """What an oracle says of one run."""

    oracle: str
    words: str = ""


def judged(lab: ExploreLab, schedule: Schedule, name: str, boot: ExploreBoot) -> Judgement | None:
    """Return what a run came to; None: the guest had ended before it."""
    if boot.died and boot.died_in == name:
        oracle = HUNG if boot.died.startswith(HUNG_WORDS) else PANICKED
        return Judgement(oracle, boot.died)
    run = boot.runs.get(name)
    if run is None:
        return None
    if run.outcome == DEAD:  # after a run that lost packets that says nothing of this one
        return Judgement(LOST, UNDISTURBED) if name == next(iter(boot.runs)) else None
    if run.outcome in (STUCK, LOST) and not schedule.actions:
        return Judgement(run.outcome, waiting(run))
    if name in boot.warnings:
        return Judgement(WARNED, boot.warnings[name][0])
    beyond = [] if schedule.actions else list(beyond_bounds(lab, run))
    return Judgement(BOUNDS, beyond[0]) if beyond else Judgement(HELD)


def waiting(run: GuestRun) -> str:
    """Return which QPs wait for what, in words."""
    told = (
        f"QP {qp} {side.upper()} to {PEER[side].upper()}"
        for side, qps in run.stuck.items()
        for qp in qps
    )
    seen, waited = (int(run.words[name]) / 1e6 for name in ("ns", "waited"))
    until = "the next doorbell" if run.outcome == STUCK else "after the next doorbell, and on"
    lasted = f"{waited:.1f} ms" if waited else "for ever"
    return f"packets wait {lasted}, until {until}: {', '.join(told)}; seen at {seen:.1f} ms"


def beyond_bounds(lab: ExploreLab, run: GuestRun) -> Iterator[str]:
    """Yield each QP whose tasklet ran more or less often than the model allows."""
    for sender in SIDES:
        receiver = PEER[sender]
        bounds = model_bounds(lab, run, sender)
        runs = run.counts(f"runs.{receiver}")
        for qp, (least, most) in enumerate(zip(bounds.least, bounds.most, strict=True)):
            if not least <= runs[qp] <= most:
                name = f"QP {qp} {sender.upper()} to {receiver.upper()}"
                yield f"{name}: {runs[qp]} tasklet runs, the model allows {least} to {most}"


def model_bounds(lab: ExploreLab, run: GuestRun, sender: str) -> RunBounds:
    """Return the bounds of a run's tasklets at the receiver."""
    receiver = PEER[sender]
    queues = lab.setup.queues or 0
    model = model_of(lab.ep, lab.rc, lab)
    effects = ring_effects(DIRECTIONS_OF[sender], model.ep, model.rc, model.setting, queues)
    rung = run.counts(f"rings.{sender}")
    rings = [rung[qp] for qp in range(queues)]
    return run_bounds(effects, run.counts(f"vectors.{receiver}"), rings, RX_MAX_ENTRY)


def model_of(ep: DriverSource, rc: DriverSource, lab: ExploreLab) -> PairModel:
    """Return the model of the drivers, by the patches that their names or texts show."""
    return PairModel(
        ep=driver("ep", ep.patches),
        rc=driver("rc", rc.patches),
        setting=lab.setup,
        max_num_clients=lab.setup.queues or 0,
    )
