# SPDX-License-Identifier: BSD-3-Clause
"""The virtual machine that the pair runs in."""

from ntbbench.lab.machine.qemu import KVM_OPTIONS, TCG, Machine
from ntbbench.lab.pair.plan import PairSetup

POOL = "144M$0x10000000"  # epc_loop_core.c: pool_size, pool_base
START = "2026-01-01"  # of the guest's clock
# No number may come from the host: neither its clock nor its random numbers. A flow's queue and the
# moment of a poll would differ from run to run.
CLOCK = ("-rtc", f"clock=vm,base={START}")
CPU = ("-cpu", "max,rdrand=off,rdseed=off")
ENTROPY = "random.trust_cpu=off random.trust_bootloader=off"
MULTI_CPU = ("-accel", "tcg,thread=multi")
BLOCKED = "panic_print=0x80"  # tasks in uninterruptible sleep
EDU = ("-device", "edu")


def machine(setup: PairSetup, deterministic: bool, debug: bool = False) -> Machine:
    """Return the machine of a boot: the pool set aside, and a doorbell register where needed.

    `debug`: one that dies shows its blocked tasks. Not the others: a word more for the kernel
    shifts the moments at which bursts coalesce.
    """
    words = [f"memmap={POOL}", "reboot=t", *([BLOCKED] if debug else [])]
    return Machine(
        devices=() if setup.doorbell == "poll" else EDU,
        command_line=" ".join([*words, ENTROPY] if deterministic else words),
        cpus=setup.cpus,
        options=(*CLOCK, *CPU) if deterministic else (),
    )


def accelerator_options(deterministic: bool, kvm: bool, cpus: int) -> tuple[str, ...]:
    """Return QEMU's accelerator: counting instructions, KVM, or plain emulation."""
    if deterministic:
        return TCG
    if kvm:
        return KVM_OPTIONS
    return MULTI_CPU if cpus > 1 else TCG
