# SPDX-License-Identifier: BSD-3-Clause
"""What one boot was of and what came back: drivers as they behave, points as they were recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ntbbench.lab.pair.plan import PairPlan
from ntbbench.pair.drivers.patches import Side
from ntbbench.pair.setting import Traffic

HOST1, HOST2, SOC = "host1", "host2", "soc"
TITLES = {HOST1: "host 1 driver", HOST2: "host 2 driver", SOC: "pci-epf-ntb"}


@dataclass(frozen=True)
class Behaviour:
    """What a driver was seen to do at its set-up, and the patches that explain it."""

    # what the model goes by: as said, or else as seen; the nearest where nothing fits
    patches: tuple[int, ...]
    prerequisites: frozenset[str]  # what the driver has of what the series stands on
    words: str  # what it behaves as
    findings: tuple[str, ...] = ()  # why that is wrong, in words; empty: it is not
    alike: int = 0  # other sets of patches that nothing observed tells from this one
    inferred: bool = True  # nobody said which patches the driver carries
    observations: Mapping[str, str] = field(default_factory=dict)  # what was seen, by question


@dataclass(frozen=True)
class DriverSource:
    """The source of one side's driver."""

    side: Side  # `ep` (an endpoint function) or `rc` (ntb_hw_epf)
    spec: str  # as asked: `before`, `after`, a path
    origin: str  # where it was found: `linux-source-6.12 6.12.95-1~bpo12+1`, or the file's path
    path: Path  # the C file
    # numbers of the series, sorted: 1 .. 7 on the endpoint, 8 .. 12 on the root complex. Until the
    # driver was observed a hint: those of its name, or that its text shows
    patches: tuple[int, ...]
    behaviour: Behaviour | None = None  # what it was seen to do; None: it was not
    place: str = ""  # whose driver it is, where that is not `side`: `host1`, `host2`, `soc`

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with what it was seen to do, each with its side."""
        told = self.behaviour.findings if self.behaviour else ()
        return tuple(f"{self.title}: {finding}" for finding in told)

    @property
    def source_name(self) -> str:
        """What its source is called in `PairResult.sources`."""
        if self.place == SOC:
            return TITLES[SOC]
        return f"{self.place or self.side.upper()} driver {self.spec}"

    @property
    def title(self) -> str:
        """Whose driver it is, in words."""
        return TITLES.get(self.place, f"{self.side.upper()} driver")


@dataclass(frozen=True)
class PointRecording:
    """One point that came back."""

    traffic: Traffic
    folder: Path  # holds `point`, `state`, `trace`, `before-*`, `after-*`, `sent`, `received`
    link: str  # `up` or `down`; down: there is no `trace` and nothing was sent


@dataclass(frozen=True)
class PairRecordings:
    """What one boot recorded."""

    plan: PairPlan  # that was carried out
    folder: Path  # holds `kernel`, `setup` (key=value lines), `dmesg`, and a folder a point
    release: str  # the guest's uname -r
    # ep, rc: the drivers
    ep: DriverSource
    rc: DriverSource
    link: str  # `up` or `down`
    cause: str  # why the link is down, or why the mode is not to be had; empty if it is up
    available: bool = True  # False: the driver has not this doorbell mode; nothing was measured
    # ep_qp_count, rc_qp_count: QPs that each side's ntb_transport computed; None: it has no device
    ep_qp_count: int | None = None
    rc_qp_count: int | None = None
    points: tuple[PointRecording, ...] = ()
    warnings: tuple[str, ...] = ()  # the guest kernel's complaints, one line each
    died: str = ""  # how the guest panicked, hung or gave up, in one line; empty: it did not
    joint: DriverSource | None = None  # what joins two hosts

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with what the drivers were seen to do: first with what joins two hosts."""
        return tuple(finding for driver in self.drivers for finding in driver.findings)

    @property
    def drivers(self) -> tuple[DriverSource, ...]:
        """All that the boot was of."""
        return (*filter(None, [self.joint]), self.ep, self.rc)


def without_points(
    plan: PairPlan, folder: Path, drivers: Sequence[DriverSource], cause: str, **told: Any
) -> PairRecordings:
    """Return the recordings of a boot that left none: its link is down, `cause` says why."""
    ep, rc, *more = drivers
    joint = more[0] if more else None
    return PairRecordings(
        plan=plan, folder=folder, ep=ep, rc=rc, joint=joint, link="down", cause=cause,
        **{"release": "", **told},
    )  # fmt: skip
