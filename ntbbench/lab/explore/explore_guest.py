# SPDX-License-Identifier: BSD-3-Clause
"""Boots of many schedules: the modules of a pair with ntb_explore, and what each run came to."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.commands import GuestError
from ntbbench.lab.explore.code_points import CodePoint
from ntbbench.lab.explore.records import LOST, SIDES, STUCK, Schedule
from ntbbench.lab.explore.schedules import guest_lines, names_of
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.packages.fetch import NTB_FILES
from ntbbench.lab.packages.modules import ModuleSet, build_modules, build_program
from ntbbench.lab.pair.boot.laid_out import warnings
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.boot.pair_task import DEBUG_FACTOR, machine, task
from ntbbench.lab.pair.pair_kernel import CHECK
from ntbbench.lab.pair.pair_modules import build_pair, build_stack, driver_sources, merged
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.qemu import TCG, Boot
from ntbbench.lab.watch import Limits

GUEST = Path(str(files("ntbbench.lab.explore") / "guest"))
DEBUG_LINES = ("KCFLAGS=-g",)  # the same code, and which line it is of
# Processor time that only a guest which hangs comes to. Measured: a boot 9 s, 2000 points 5 s, a
# schedule 0.15 s.
BOOT_SECONDS, POINT_SECONDS, RUN_SECONDS = 90.0, 0.05, 3.0
IDLE_SECONDS = 60.0
LOGS = 4  # of runs that ended badly, a boot
OK, DEAD = "ok", "dead"
ENDED_BADLY = {STUCK, LOST}
MARK = re.compile(r"ntb_explore: schedule (\S+)")
TOLD = re.compile(r"^schedule (\S+)\n(.*?)^told$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class GuestEvent:
    """One line of a run's log."""

    ns: int  # since the run began
    cpu: int
    context: int  # 0 a task, 1 a softirq, 2 a hard interrupt
    what: int  # number of a point; below 0 a mark of ntb_explore
    value: int  # physical address of an access, or what a mark says


@dataclass(frozen=True)
class GuestRun:
    """What one schedule came to."""

    outcome: str
    words: dict[str, str]  # every line of it, by its first word
    log: tuple[GuestEvent, ...] = ()

    def counts(self, name: str) -> Counter[int]:
        """Return a line of NUMBER:COUNT words."""
        pairs = (word.split(":") for word in self.words.get(name, "").split())
        return Counter({int(number): int(count) for number, count in pairs})

    @property
    def met(self) -> list[tuple[int, int]]:
        """The pairs of points whose accesses met in this order, and had not in this boot."""
        pairs = (word.split(">") for word in self.words["met"].split())
        return [(int(first), int(second)) for first, second in pairs]

    @property
    def delayed(self) -> list[int]:
        """How often each delay of the schedule came about."""
        return [int(word) for word in self.words["delayed"].split()]

    @property
    def stuck(self) -> dict[str, list[int]]:
        """The QPs that wait, by the side that sends."""
        masks = {side: int(self.words[f"stuck.{side}"], 16) for side in SIDES}
        return {side: [qp for qp in range(64) if mask >> qp & 1] for side, mask in masks.items()}


@dataclass(frozen=True)
class ExploreBoot:
    """What one boot of schedules came to."""

    runs: dict[str, GuestRun]  # by the schedule's name, in order; those that the guest lived to see
    warnings: dict[str, list[str]]  # what its kernel complained of, by the schedule
    died: str  # how it died, in one line; empty: it did not
    died_in: str  # and in which schedule; empty: in none
    cause: str = ""  # why the link is down
    unload: str = ""  # what would not unload at the end


@dataclass
class ExploreLab:
    """A pair of drivers on several CPUs, its modules built."""

    lab: PairLab
    setup: PairSetup
    ep: DriverSource = field(init=False)
    rc: DriverSource = field(init=False)
    modules: Path = field(init=False)

    def __post_init__(self) -> None:
        self.ep, self.rc = self.lab.drivers(self.setup)
        lab = self.lab
        pair = build_pair(
            lab.cache, lab.kernel, self.ep, self.rc, tree=lab.tree, say=lab.say, flags=DEBUG_LINES
        )
        self.modules = merged(lab.cache, [pair, self._own()], lab.say)

    def _own(self) -> Path:
        lab = self.lab
        stack = build_stack(lab.cache, lab.kernel, lab.tree, lab.say)
        sources = driver_sources(lab.kernel, lab.tree, stack)
        sources |= {path.name: path for path in sorted(GUEST.glob("*.[ch]"))}
        sources["Kbuild"] = GUEST / "Kbuild"
        wanted = ModuleSet("ntb_explore", lab.kernel.kbuild, sources, ("ntb_explore.ko",))
        return build_modules(lab.cache, wanted, lab.say)

    @property
    def sources(self) -> dict[str, Path]:
        """The C files of the modules, by their name."""
        tree = self.lab.tree or self.lab.kernel.source.folder
        found = {Path(name).name: tree / name for name in NTB_FILES if name.endswith(".c")}
        drivers = {"pci-epf-vntb.c": self.ep.path, "ntb_hw_epf.c": self.rc.path}
        return found | drivers

    def boot(
        self, schedules: dict[str, Schedule], points: Sequence[CodePoint], logs: int = LOGS
    ) -> ExploreBoot:
        """Run schedules one after another in one boot; a name that ends in + keeps its log.

        GuestError: the guest did not get as far as its link. HostError: QEMU or the disk failed.
        """
        numbers = names_of(points)
        lines = [point.guest_line(number) for number, point in enumerate(points)]
        for name, schedule in schedules.items():
            lines += guest_lines(schedule, name, numbers)
        with scratch_folder() as scratch:
            recordings = record(
                self._task(lines, len(schedules), len(points), logs),
                scratch / "recordings",
                image=self.lab.kernel.image,
                modules=self.modules,
                accel=TCG,
                machine=machine(self.setup, deterministic=True),
                programs=(
                    build_program(self.lab.cache, "ntb_flow", self.lab.say),
                    GUEST / "explore",
                ),
            )
            self.lab.releases.add(recordings.release)
            return read_boot(recordings.boot, recordings.folder)

    def _task(self, lines: Sequence[str], runs: int, points: int, logs: int) -> Task:
        usual = task(PairPlan(self.setup, (), deterministic=False))
        factor = DEBUG_FACTOR if self.lab.kernel.variant == CHECK else 1
        busy = BOOT_SECONDS + POINT_SECONDS * points + RUN_SECONDS * runs
        return replace(
            usual,
            lines=tuple(f"{line}\n" for line in lines),
            names=("setup",),
            limits=Limits(busy * factor, IDLE_SECONDS),
            settings={**usual.settings, "INSTEAD": "explore", "LOGS": logs},
            may_die=True,
        )


def read_boot(booted: Boot, folder: Path) -> ExploreBoot:
    """Return what a boot told; GuestError: it had no link to explore on."""
    result = folder / "setup" / "result"
    if not result.is_file():
        raise booted.error if booted.died else GuestError("the guest reported no set-up")
    runs = {name: read_run(text) for name, text in TOLD.findall(booted.data)}
    _, *spoken = MARK.split(booted.own_console)
    names = spoken[::2]
    told = {name: warnings(text) for name, text in zip(names, spoken[1::2], strict=True)}
    last = names[-1] if names else ""
    unload = re.search(r"^unload cause=(.*)$", booted.data, re.MULTILINE)
    return ExploreBoot(
        runs=runs,
        warnings={name: lines for name, lines in told.items() if lines},
        died=booted.died,
        died_in=last if booted.died and last not in runs else "",
        cause=result.read_text().partition("cause=")[2].strip(),
        unload=unload[1] if unload else "",
    )


def read_run(text: str) -> GuestRun:
    """Return what the guest told of one schedule."""
    words: dict[str, str] = {}
    log: list[GuestEvent] = []
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "event":
            ns, cpu, context, what, value = rest.split()
            log.append(GuestEvent(int(ns), int(cpu), int(context), int(what), int(value, 16)))
        else:
            words[name] = rest
    return GuestRun(words.get("outcome", DEAD), words, tuple(log))
