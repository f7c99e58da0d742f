# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's endpoint tests on one controller, in one boot."""

from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.ending import scratch_folder
from ntbbench.lab.ep.ep_features import NO, EpFeatures, module_parameters
from ntbbench.lab.ep.ep_files import (
    EP_TEST,
    HOST_TEST,
    SELFTEST,
    build_drivers,
    build_selftest,
    fetch_endpoint_tests,
    own_driver,
    sums,
)
from ntbbench.lab.ep.ep_parts import DMA, judged_parts, part_names
from ntbbench.lab.ep.records import EpPart
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.pair.boot.pair_task import machine
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.plan import PairSetup
from ntbbench.lab.pair.runner import PairLab
from ntbbench.lab.qemu import TCG
from ntbbench.lab.watch import Limits
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell

# Processor time that only a guest which hangs comes to: a boot with all parts takes 14 s.
BOOT_SECONDS, PART_SECONDS = 120.0, 20.0
GUEST_SECONDS = 40  # of the guest's clock, for one part: the harness ends a test after 30
DMA_SECONDS = 5  # where the test sleeps for ever, and the endpoint polls a thousand times a second


@dataclass(frozen=True)
class EpDrivers:
    """What is built for the guest, and what it is built of."""

    modules: Path
    selftest: Path
    names: tuple[str, ...]  # of the parts, in order
    sources: dict[str, str]


def build_tests_of(lab: PairLab, ep_driver: str, host_driver: str) -> EpDrivers:
    """Build both drivers and the selftest; InputError, FetchError, BuildError: as ep_files says."""
    tests = fetch_endpoint_tests(lab.cache, lab.kernel, lab.say)
    ep = own_driver(EP_TEST, ep_driver, tests)
    host = own_driver(HOST_TEST, host_driver, tests)
    return EpDrivers(
        build_drivers(lab.cache, lab.kernel, ep, host, lab.say),
        build_selftest(lab.cache, tests, lab.say),
        tuple(part_names((tests / SELFTEST).read_text())),
        {"kernel": lab.kernel.source.manifest.version, **sums(tests, ep, host)},
    )


def boot_controller(
    lab: PairLab,
    drivers: EpDrivers,
    controller: str,
    features: EpFeatures,
    bar_sizes: tuple[int, ...],
) -> list[EpPart]:
    """Run every part on a controller with these features.

    `controller`: how the user wrote them. `bar_sizes`: of the endpoint's driver, in bytes; 0: its
    own choice.
    GuestError: the guest ended before its first part.
    """
    doorbell = Doorbell.POLL if features.doorbell == NO else Doorbell(features.doorbell)
    with scratch_folder() as scratch:
        recordings = record(
            _task(drivers.names, features, bar_sizes),
            scratch / "recordings",
            image=lab.kernel.image,
            modules=drivers.modules,
            accel=TCG,
            machine=machine(PairSetup(doorbell=doorbell), deterministic=True),
            programs=(drivers.selftest,),
        )
        lab.releases.add(recordings.release)
        return [
            EpPart(controller=controller, name=name, **found)
            for name, found in zip(
                drivers.names, judged_parts(recordings, drivers.names), strict=True
            )
        ]


def seconds_of(part: str) -> int:
    """Return how long a part may take, by the guest's clock."""
    return DMA_SECONDS if DMA in part else GUEST_SECONDS


def _task(names: tuple[str, ...], features: EpFeatures, bar_sizes: tuple[int, ...]) -> Task:
    processor = BOOT_SECONDS + PART_SECONDS * len(names)
    return Task(
        script=GUEST / "ep",
        lines=tuple(f"{name} {seconds_of(name)}\n" for name in names),
        names=("setup", *names),
        limits=Limits(processor, GUEST_SECONDS * len(names)),
        settings={
            "FEATURES": module_parameters(features),
            "MSI": features.msi,
            "MSIX": features.msix,
            "BAR_SIZES": " ".join(f"{bar}:{size}" for bar, size in enumerate(bar_sizes) if size),
        },
        may_die=True,
    )
