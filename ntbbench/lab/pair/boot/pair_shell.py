# SPDX-License-Identifier: BSD-3-Clause
"""The guest of the pair as a shell: both interfaces up, traces ready, drivers of choice."""

from dataclasses import replace

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.guest_task import packed
from ntbbench.lab.packages.modules import build_program
from ntbbench.lab.pair.boot.pair_task import MULTI_CPU, machine, task
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.qemu import KVM_OPTIONS, interact, kvm_runs


def open_shell(lab: PairLab, setup: PairSetup) -> None:
    """Boot the pair with its console on this terminal, until the shell ends.

    The guest's clock is the host's: nothing is counted here.

    InputError, FetchError, BuildError: as `PairLab.boot`.
    HostError: QEMU failed.
    """
    modules = lab.modules(lab.drivers(setup))
    plan = PairPlan(setup, deterministic=False)
    usual = task(plan)
    wanted = replace(usual, settings={**usual.settings, "INSTEAD": "shell"})
    programs = (build_program(lab.cache, "ntb_flow", lab.say), GUEST / "shell")
    with scratch_folder() as scratch:
        initramfs = packed(wanted, scratch, modules, programs)
        accel = KVM_OPTIONS if kvm_runs() else MULTI_CPU  # neither counts instructions
        guest = machine(setup, deterministic=False)
        interact(lab.kernel.image, initramfs, accel, guest)
