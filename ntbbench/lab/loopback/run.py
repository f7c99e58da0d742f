# SPDX-License-Identifier: BSD-3-Clause
"""A run of the lab: one boot, in which a client of ntb_transport uses the loopback device."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ntbbench.lab.commands import run
from ntbbench.lab.loopback.records import LabResult, NetdevResult
from ntbbench.lab.machine.console import complaints
from ntbbench.lab.machine.guest_task import Task, record
from ntbbench.lab.machine.qemu import KVM_OPTIONS, QEMU, accelerator, loopback_machine
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel, build, build_program

DOORBELLS = 16  # of the loopback device
# 16 bits give 15 QPs; max_num_clients must be below that, or the one memory window is the limit.
QUEUES_MAX = 14


class Plan(Protocol):
    """What one client is to do in a boot."""

    @abstractmethod
    def task(self) -> Task:
        """Return what the guest does; its programs are built, and its names say what it records."""

    @abstractmethod
    def result(self, folder: Path, facts: dict[str, Any]) -> LabResult | NetdevResult:
        """Return the result of what was recorded below `folder`.

        Parameters
        ----------
        facts : the fields that the results of all clients have: the kernel, how it ran, warnings.
        """


def run_client(
    cache: Cache,
    kernel: Kernel,
    plan: Plan,
    folder: Path,
    *,
    say: Callable[[str], None],
    accel: str = "auto",
) -> LabResult | NetdevResult:
    """Run `plan` on `kernel` and leave what was recorded below `folder`.

    Raises
    ------
    BuildError, GuestError : the modules did not build, the guest did not finish.
    """
    task = plan.task()
    modules = build(cache, kernel, say)
    programs = tuple(build_program(cache, name, say) for name in task.programs)
    options = accelerator(accel)
    name = "kvm" if options == KVM_OPTIONS else "tcg"
    say(f"booting {kernel.label} ({name}): {task.about}")
    recordings = record(
        task,
        folder,
        image=kernel.image,
        modules=modules,
        accel=options,
        machine=loopback_machine(),
        programs=programs,
    )
    warned = complaints(recordings.boot.console)
    facts = {
        "kernel": recordings.release,
        "kernel_source": kernel.label,
        "ntb_source": str(kernel.source),
        "source_tree": kernel.source_tree,
        "accelerator": name,
        "warnings": [f"the guest kernel warned: {line}" for line in warned],
    }
    return plan.result(folder, facts)


def environment() -> dict[str, str]:
    """Return the versions of the tools that made the guest."""
    asked = {"qemu": [QEMU, "--version"], "gcc": ["gcc", "--version"]}
    return {name: run(command).stdout.partition("\n")[0] for name, command in asked.items()}
