# SPDX-License-Identifier: BSD-3-Clause
"""A lab run: points through the guest, each recording beside its prediction."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import run
from ntbbench.lab.loopback.evaluate import evaluate
from ntbbench.lab.loopback.records import LabResult
from ntbbench.lab.machine.console import complaints
from ntbbench.lab.machine.guest_task import PointPlan, points_task, record
from ntbbench.lab.machine.qemu import KVM_OPTIONS, QEMU, accelerator, loopback_machine
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel
from ntbbench.lab.packages.tree import build_tree

ORDERS = ("turn", "together")
DOORBELLS = 16  # of the loopback device
# 16 bits give 15 QPs; max_num_clients must be below that, or the one memory window is the limit.
QUEUES_MAX = 14
TRACE_EVENTS_MAX = 500_000  # what the guest's trace buffer and memory hold with room to spare


@dataclass(frozen=True)
class LabPlan:
    """What to run: a point for each combination of `vectors` and `db_reads`.

    Parameters
    ----------
    vectors : 0 .. 16 each; 0 means no vector callbacks.
    queues : QPs of each port, 1 .. 14.
    db_reads : `latched`, `zero`.
    senders : numbers of the QPs that send.
    order : `turn` or `together`.
    gap_us : microseconds between two packets of a sender.
    packets : of each sending QP, at least 1.

    Raises
    ------
    InputError : a sender that is no queue, or more doorbells than a trace holds.
    """

    vectors: tuple[int, ...] = (0, 1, 2, 4, 16)
    queues: int = 4
    db_reads: tuple[str, ...] = ("latched",)
    senders: tuple[int, ...] = (0, 1, 2, 3)
    order: str = "turn"
    gap_us: int = 1000
    packets: int = 50

    def __post_init__(self) -> None:
        for sender in self.senders:
            if sender >= self.queues:
                allowed = f"a QP of 0 .. {self.queues - 1} (--queues {self.queues})"
                raise InputError("--senders", sender, allowed)
        # a doorbell: the ring, the event, and schedule, run, entry and exit of each woken tasklet
        events = self.packets * len(self.senders) * (2 + 4 * (self.queues + 1))
        if events > TRACE_EVENTS_MAX:
            most = self.packets * TRACE_EVENTS_MAX // events
            raise InputError("--packets", self.packets, f"at most {most} with these QPs")

    def points(self) -> list[PointPlan]:
        """Return the points in the order of the axes."""
        return [
            PointPlan(
                name=f"vectors-{vectors}-{db_read}",
                vectors=vectors,
                latched=db_read == "latched",
                gap_us=self.gap_us,
                packets=self.packets,
                order=self.order,
                sending_qps=self.senders,
            )
            for vectors in self.vectors
            for db_read in self.db_reads
        ]


def run_lab(
    cache: Cache,
    kernel: Kernel,
    plan: LabPlan,
    folder: Path,
    *,
    say: Callable[[str], None],
    accel: str = "auto",
) -> LabResult:
    """Run `plan` on `kernel` and leave the raw recordings below `folder`.

    Raises
    ------
    BuildError, GuestError : the modules did not build, the guest did not finish.
    """
    modules = build_tree(cache, kernel, say)
    options = accelerator(accel)
    name = "kvm" if options == KVM_OPTIONS else "tcg"
    points = plan.points()
    say(f"booting {kernel.label} ({name}): {len(points)} points")
    recordings = record(
        points_task(points, plan.queues),
        folder,
        image=kernel.image,
        modules=modules,
        accel=options,
        machine=loopback_machine(),
    )
    warned = complaints(recordings.boot.console)
    version = (folder / "kernel").read_text().splitlines()[1]
    return LabResult(
        kernel=recordings.release,
        kernel_version=version,
        kernel_source=kernel.label,
        ntb_source=str(kernel.source),
        source_tree=kernel.source_tree,
        accelerator=name,
        environment=environment(),
        points=[evaluate(folder / point.name, point, plan.queues) for point in points],
        warnings=[f"the guest kernel warned: {line}" for line in warned],
    )


def environment() -> dict[str, str]:
    """Return the versions of the tools that made the guest."""
    asked = {"qemu": [QEMU, "--version"], "gcc": ["gcc", "--version"]}
    return {name: run(command).stdout.partition("\n")[0] for name, command in asked.items()}
