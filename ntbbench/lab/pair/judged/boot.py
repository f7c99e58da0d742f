# SPDX-License-Identifier: BSD-3-Clause
"""One boot of the pair and its model: what all of its points have in common."""

from dataclasses import dataclass
from typing import Any

from ntbbench.lab.pair.judged.predict import SPACED_GAP, PairModel, pair_model
from ntbbench.lab.pair.plan import EP, MSIS, DriverSource, PairRecordings, Traffic
from ntbbench.lab.pair.records import PairObserved
from ntbbench.pair.link import PairLink


@dataclass(frozen=True)
class Boot:
    """One boot and its model.

    Parameters
    ----------
    shared : values that all of its points have, by their record's field.
    """

    recordings: PairRecordings
    model: PairModel
    link: PairLink
    shared: dict[str, Any]

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with what the two drivers were seen to do."""
        return (*self.recordings.ep.findings, *self.recordings.rc.findings)

    def is_inferred(self, side: str) -> bool:
        """Whether nobody said which patches the driver of `side` carries."""
        driver = self.recordings.ep if side == EP else self.recordings.rc
        return driver.behaviour is not None and driver.behaviour.inferred


def booted(recordings: PairRecordings) -> Boot:
    """Return a boot with its model."""
    setup = recordings.plan.setup
    model = pair_model(setup, recordings.ep, recordings.rc)
    link = model.link
    shared = {
        "ep_driver": setup.ep_driver,
        "rc_driver": setup.rc_driver,
        "ep_patches": sorted(recordings.ep.patches),
        "rc_patches": sorted(recordings.rc.patches),
        "ep_behaves": _behaves(recordings.ep),
        "rc_behaves": _behaves(recordings.rc),
        "ep_slots": setup.ep_slots,
        "rc_vectors": MSIS,
        "mw_count": setup.mw_count,
        "queues": setup.queues,
        "doorbell": setup.doorbell,
        "ep_qp_count": recordings.ep_qp_count,
        "rc_qp_count": recordings.rc_qp_count,
        "predicted_ep_qp_count": link.counts[0],
        "predicted_rc_qp_count": link.counts[1],
        "predicted_link": link.link,
        "warnings": list(recordings.warnings),
    }
    return Boot(recordings, model, link, shared)


def _behaves(source: DriverSource) -> str:
    return source.behaviour.words if source.behaviour else ""


def asked(boot: Boot, traffic: Traffic) -> dict[str, Any]:
    """Return what a point was asked, by its record's field."""
    return {
        **boot.shared,
        "name": traffic.name,
        "direction": traffic.direction,
        "flows": traffic.flows,
        "packets": traffic.packets,
        "gap_us": traffic.gap_us,
        "spaced": is_spaced(traffic),
    }


def is_spaced(traffic: Traffic) -> bool:
    """Return whether each doorbell was served before the next, on one CPU."""
    return traffic.gap_us * 1e-6 >= SPACED_GAP


def observed(recordings: PairRecordings) -> list[PairObserved]:
    """Return what either driver was observed to do; a driver that was not observed is left out."""
    return [
        PairObserved(
            side=driver.side,
            driver=driver.spec,
            behaves=driver.behaviour.words,
            alike=driver.behaviour.alike,
            findings=list(driver.behaviour.findings),
            observations=dict(driver.behaviour.observations),
        )
        for driver in (recordings.ep, recordings.rc)
        if driver.behaviour is not None
    ]
