# SPDX-License-Identifier: BSD-3-Clause
"""One boot of the driver pair: modules built, guest run, recordings laid out."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from ntbbench.lab.lab_errors import BuildError, GuestError
from ntbbench.lab.machine.console import complaints
from ntbbench.lab.machine.guest_task import Recordings, record
from ntbbench.lab.machine.qemu import ENDED, kvm_runs
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import ModuleSet, build_modules, build_program, ntb_sources
from ntbbench.lab.pair.drivers.imports import asks_for_doorbells, check_driver
from ntbbench.lab.pair.drivers.observed_patches import observed_driver, read_observations
from ntbbench.lab.pair.drivers.pair_kernel import CHECK, PairKernel
from ntbbench.lab.pair.drivers.sources import driver_source
from ntbbench.lab.pair.drivers.text_patches import DRIVERS
from ntbbench.lab.pair.pair_machine import accelerator_options, machine
from ntbbench.lab.pair.pair_task import task
from ntbbench.lab.pair.plan import (
    EP,
    RC,
    DriverSource,
    PairPlan,
    PairRecordings,
    PairSetup,
    PointRecording,
)
from ntbbench.lab.pair.recording.layout import read_sides, write_point, write_state
from ntbbench.pair.set_up import Observations

MODULES = (
    "ntb.ko",
    "ntb_transport.ko",
    "ntb_netdev.ko",
    "pci-epf-vntb.ko",
    "ntb_hw_epf.ko",
    "epc_loop.ko",
    "ntb_observe.ko",
)
POLL, EMBEDDED = "poll", "embedded"  # doorbell modes
RESULT_KEYS = ("ep_qp_count", "rc_qp_count", "ep_queues", "rc_queues", "link", "cause")
OTHER_STACK = (
    "--source takes the tree's whole NTB stack, for a kernel of {}; --ep-driver and --rc-driver "
    "take the two drivers of an older tree alone"
)
# A remark of the endpoint core on x86, once a boot, whichever drivers run.
EXPECTED = re.compile(r"WARNING: drivers/pci/endpoint/pci-epc-core\.c:\d+ at __pci_epc_create\+")


@dataclass(frozen=True)
class PairStack:
    """What every boot of a run has in common.

    Parameters
    ----------
    kernel : the kernel to boot.
    tree : a kernel tree whose NTB core, transport and network device run; None: the kernel's.
    """

    kernel: PairKernel
    tree: Path | None = None

    @property
    def source(self) -> Path:
        """The tree whose NTB files are built."""
        return self.kernel.source.folder if self.tree is None else self.tree


def find_drivers(
    cache: Cache, stack: PairStack, setup: PairSetup, say: Callable[[str], None]
) -> tuple[DriverSource, DriverSource]:
    """Return the drivers that a setup names, endpoint first.

    Raises
    ------
    InputError, FetchError : one could not be had, or does not fit its name.
    """
    source = stack.kernel.source
    ep = driver_source(cache, EP, setup.ep_driver, source, say)
    return ep, driver_source(cache, RC, setup.rc_driver, source, say)


def boot_pair(
    cache: Cache,
    stack: PairStack,
    plan: PairPlan,
    folder: Path,
    *,
    say: Callable[[str], None],
) -> PairRecordings:
    """Carry out `plan` in one boot and leave its recordings below `folder`.

    A link that does not come up, and a doorbell mode that the driver lacks, are results.

    Raises
    ------
    InputError, FetchError : a driver could not be had.
    BuildError, GuestError : the modules did not build, the guest did not finish.
    """
    ep, rc = find_drivers(cache, stack, plan.setup, say)
    debug = stack.kernel.variant == CHECK
    modules = build_pair(cache, stack, ep, rc, say)
    for source in (ep, rc):
        check_driver(source, modules)
    if plan.setup.doorbell != POLL and not asks_for_doorbells(modules):
        cause = f"{ep.origin} has no {plan.setup.doorbell} doorbells, only {POLL}"
        shutil.rmtree(folder, ignore_errors=True)
        return PairRecordings(plan, folder, "", ep, rc, "down", cause, available=False)
    programs = (build_program(cache, "ntb_flow", say),)
    # whether what it left is a result is told by what was observed of the drivers
    may_die = replace(task(plan, debug), may_die=True)
    recordings = record(
        may_die,
        folder,
        image=stack.kernel.image,
        modules=modules,
        accel=accelerator_options(
            plan.deterministic, not plan.deterministic and kvm_runs(), plan.setup.cpus
        ),
        machine=machine(plan.setup, plan.deterministic, debug),
        programs=programs,
    )
    try:
        return lay_out(plan, ep, rc, recordings)
    except GuestError:
        shutil.rmtree(folder, ignore_errors=True)  # of use to nobody
        raise


def build_pair(
    cache: Cache, stack: PairStack, ep: DriverSource, rc: DriverSource, say: Callable[[str], None]
) -> Path:
    """Return the folder with the modules of a setup: built in seconds, once.

    Raises
    ------
    BuildError : with the compiler's first error.
    """
    guest = Path(str(files("ntbbench.lab.pair") / "guest"))
    own = {path.name: path for path in sorted(guest.glob("*.[ch]"))}
    sources = {
        **ntb_sources(stack.source),
        **own,
        "Kbuild": guest / "Kbuild",
        "pci-epf-vntb.c": ep.path,
        "ntb_hw_epf.c": rc.path,
    }
    label = f"{ep.spec} on the endpoint, {rc.spec} on the root complex"
    try:
        return build_modules(cache, ModuleSet(label, stack.kernel.kbuild, sources, MODULES), say)
    except BuildError as error:
        if stack.tree is None or any(Path(name).name in str(error) for name in DRIVERS.values()):
            raise
        raise BuildError(f"{error}; {OTHER_STACK.format(stack.kernel.source.origin)}") from error


def lay_out(
    plan: PairPlan, ep: DriverSource, rc: DriverSource, recordings: Recordings
) -> PairRecordings:
    """Complete the recordings of a boot: `state` and `point`, and what the set-up came to.

    A guest that died has recorded the first of its points, or not even its set-up. It is a result
    where the plan says so, and where its set-up showed what is wrong with a driver.

    Raises
    ------
    GuestError : the guest died and may not, or a recording is not whole.
    """
    folder, died = recordings.folder, recordings.boot.died
    (folder / "console").write_text(recordings.boot.console)
    told = tuple(warnings(recordings.boot.own_console))
    if died and not (folder / "setup").is_dir():
        if not plan.may_die:
            raise recordings.boot.error
        link = "down"
        return PairRecordings(
            plan, folder, recordings.release, ep, rc, link, died, warnings=told, died=died
        )
    result = read_result(folder / "setup" / "result")
    observed = _observed(folder / "setup" / "observed")
    ep, rc = (observed_driver(driver, plan.setup, observed) for driver in (ep, rc))
    points, lost = _lay_out_points(plan, ep, rc, folder, result["link"])
    if (died or lost) and not (plan.may_die or ep.findings or rc.findings):
        raise GuestError(lost) if lost else recordings.boot.error
    return PairRecordings(
        plan=plan,
        folder=folder,
        release=recordings.release,
        ep=ep,
        rc=rc,
        link=result["link"],
        cause=result["cause"],
        # an older driver has interrupts for its doorbells and none that slots share
        available=not (plan.setup.doorbell == EMBEDDED and result.get("doorbell_irqs") == "0"),
        ep_qp_count=_count(result["ep_qp_count"]),
        rc_qp_count=_count(result["rc_qp_count"]),
        points=points,
        warnings=told,
        died=died or (f"{ENDED}: {lost}" if lost else ""),
    )


def _lay_out_points(
    plan: PairPlan, ep: DriverSource, rc: DriverSource, folder: Path, link: str
) -> tuple[tuple[PointRecording, ...], str]:
    """Complete the points that are there; return them, and why the next one is of no use, if so.

    A guest that did not die has recorded all of them.
    """
    sides = read_sides(folder / "setup" / "trace")
    points: list[PointRecording] = []
    for traffic in plan.traffic:
        place = folder / traffic.name
        if not place.is_dir():
            break
        if link == "up":
            write_state(place, sides)
            if lost := _lost_counts(place):
                return tuple(points), lost
        write_point(place, plan.setup, traffic, {EP: ep, RC: rc})
        points.append(PointRecording(traffic, place, link))
    return tuple(points), ""


def warnings(console: str) -> list[str]:
    """Return the kernel's complaints, but for the one that every boot has."""
    return [line for line in complaints(console) if not EXPECTED.match(line)]


def read_result(path: Path) -> dict[str, str]:
    """Return the key=value lines of `setup/result`.

    Raises
    ------
    GuestError : a key is missing.
    """
    lines = path.read_text().splitlines() if path.is_file() else []
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    missing = [key for key in RESULT_KEYS if key not in found]
    if missing:
        raise GuestError(f"the guest reported no {missing[0]}")
    return found


def _observed(path: Path) -> Mapping[str, Observations]:
    """Return what the guest observed of either side; of one that did not bind it is little.

    Raises
    ------
    GuestError : the file is damaged.
    """
    try:
        return read_observations(path.read_text().splitlines())
    except (OSError, ValueError) as error:
        raise GuestError(f"{path.parent.name}/{path.name}: {error}") from error


def _lost_counts(folder: Path) -> str:
    """Return what the traffic program said where it left not both of its counts; else nothing."""
    for name in ("sent", "received"):
        words = (folder / name).read_text().split() if (folder / name).is_file() else []
        if not words or not words[0].isdigit():
            return f"{folder.name}: {name}: {' '.join(words) or 'nothing'}"
    return ""


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None
