# SPDX-License-Identifier: BSD-3-Clause
"""The lab of the driver pair: modules built, a guest run, its recordings laid out."""

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ntbbench.lab.commands import GuestError
from ntbbench.lab.guest_task import Recordings, Task, record
from ntbbench.lab.lab_client import environment
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.packages.modules import build_program, ntb_sources
from ntbbench.lab.pair.observed_patches import observed_driver, read_observations
from ntbbench.lab.pair.pair_kernel import CHECK, GUEST, PairKernel, Say
from ntbbench.lab.pair.pair_modules import asks_for_doorbells, build_pair
from ntbbench.lab.pair.plan import (
    EP,
    RC,
    AnySetup,
    DriverSource,
    PairPlan,
    PairRecordings,
    PointRecording,
)
from ntbbench.lab.pair.point_files import read_sides, write_point, write_state
from ntbbench.lab.pair.records import OK, PairResult
from ntbbench.lab.pair.sources import driver_source
from ntbbench.lab.qemu import ENDED, KVM_OPTIONS, TCG, GuestMachine, complaints, kvm_runs
from ntbbench.lab.watch import ASLEEP_SECONDS, Limits
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.observations import Observations
from ntbbench.pair.setting import Traffic

# Processor time that only a guest which hangs comes to. Measured: a boot with its first packet
# 5.4 s; without a link 7.2 s, where doorbells interrupt 10.9 s; 1 ms to 4 ms a packet; 0.3 s a
# round. A debug kernel takes 13.5 s, 35 s and 71 s; 3.1 s a round.
BOOT_SECONDS = {"poll": 40.0, "msi": 80.0, "embedded": 80.0}  # as LINK_TRIES
POINT_SECONDS = 5.0
ROUND_SECONDS = 4.0
PACKET_SECONDS = 0.05
FIRST_WAIT = 10  # ntb_flow.c: how many times as long the receiver waits for its first packet
DEBUG_FACTOR = 4
# Tries, of 20 ms and more, until a link counts as down: a multiple of what one takes to come up.
# Where doorbells interrupt, the endpoint looks for commands every 500 ms only.
LINK_TRIES = {"poll": 150, "msi": 400, "embedded": 400}
TRACE_KB_MIN, TRACE_KB_MAX = 8192, 65536
EVENT_BYTES = 64  # of the trace buffer, at most; of one with the doorbell words:
WORDS_BYTES = 192
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
POLL_US = 5000  # pci-epf-vntb.c: epf_ntb_cmd_handler, rounded up to the next jiffy


def task(plan: PairPlan, debug: bool = False) -> Task:
    """Return what the guest does; `debug`: on the kernel of `lab pair check`, which is slower."""
    setup = plan.setup
    return Task(
        script=GUEST / "pair",
        lines=tuple(_line(point) for point in plan.traffic),
        names=(
            "setup",
            *(point.name for point in plan.traffic),
            *(("rounds",) if plan.rounds else ()),
        ),
        limits=limits(plan, DEBUG_FACTOR if debug else 1),
        settings={
            "EP_SLOTS": setup.ep_slots,
            "MW_COUNT": setup.mw_count,
            "MW_SIZE": setup.window_size,
            "QUEUES": "" if setup.queues is None else setup.queues,
            "DOORBELL": setup.doorbell,
            "ROUNDS": plan.rounds,
            "PROBE": int(plan.probe),
            "LINK_WAIT": LINK_TRIES[setup.doorbell],
            "IDLE": idle_seconds(plan),
            "INSTEAD": "",
            "TRACE_KB": trace_kb(plan),
        },
    )


def limits(plan: PairPlan, factor: int) -> Limits:
    """Return what a boot may take on a kernel that is `factor` times as slow as the plain one."""
    points = sum(POINT_SECONDS + PACKET_SECONDS * _sent(point) for point in plan.traffic)
    gaps = sum(1e-6 * point.gap_us * _sent(point) for point in plan.traffic)
    asleep = gaps + FIRST_WAIT * idle_seconds(plan) * len(plan.traffic)
    boot = BOOT_SECONDS[plan.setup.doorbell] + ROUND_SECONDS * plan.rounds
    return Limits(factor * (boot + points + ASLEEP_SECONDS * asleep), 2 * asleep)


def idle_seconds(plan: PairPlan) -> int:
    """Return the guest's seconds without a packet after which its receiver takes none for lost."""
    longest = max((point.gap_us for point in plan.traffic), default=0)
    return max(1, -(-2 * longest // 1_000_000))


def trace_kb(plan: PairPlan) -> int:
    """Return the size of the guest's trace buffer, a CPU, for its longest point."""
    longest = max((_trace_bytes(plan.setup, point) for point in plan.traffic), default=0)
    return min(max(longest // 1024, TRACE_KB_MIN), TRACE_KB_MAX) // plan.setup.cpus


def _trace_bytes(setup: AnySetup, traffic: Traffic) -> int:
    # A packet: a ring, an MSI, and for each event and QP a schedule, a run, an entry and an exit.
    packet = EVENT_BYTES * (4 + 8 * (setup.most_qps + 2))
    if setup.doorbell == "poll":
        polls = traffic.gap_us / POLL_US
        packet += round(WORDS_BYTES + polls * (WORDS_BYTES + EVENT_BYTES))
    return packet * _sent(traffic)


def _line(traffic: Traffic) -> str:
    numbers = f"{traffic.flows} {traffic.packets} {traffic.gap_us}"
    return f"{traffic.name} {traffic.sender} {numbers}\n"


def _sent(traffic: Traffic) -> int:
    return traffic.flows * traffic.packets


def machine(setup: AnySetup, deterministic: bool, debug: bool = False) -> GuestMachine:
    """Return the machine of a boot: the pool set aside, and a doorbell register where needed.

    `debug`: one that dies shows its blocked tasks. Not the others: a word more for the kernel
    shifts the moments at which bursts coalesce.
    """
    words = [f"memmap={POOL}", "reboot=t", *([BLOCKED] if debug else [])]
    return GuestMachine(
        devices=EDU if setup.interrupts_endpoint else (),
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


RESULT_KEYS = ("ep_qp_count", "rc_qp_count", "ep_queues", "rc_queues", "link", "cause")
# A remark of the endpoint core on x86, once a boot, whichever drivers run.
EXPECTED = re.compile(r"WARNING: drivers/pci/endpoint/pci-epc-core\.c:\d+ at __pci_epc_create\+")
# Options of a check kernel that a finding can come from, as they are shown.
CHECKS = ("DEBUG_ATOMIC_SLEEP", "PROVE_LOCKING", "KASAN", "UBSAN", "DEBUG_OBJECTS", "DEBUG_LIST")
RELEASES = ", "  # between the kernels of several guests


@dataclass
class PairLab:
    """What boots plans, and what a result says of it."""

    cache: Cache
    kernel: PairKernel  # the kernel to boot
    # a kernel tree whose NTB core, transport and network device run; None: the kernel's
    tree: Path | None
    say: Say  # gets a line for each thing that takes long
    releases: set[str] = field(default_factory=set)  # fills with the guests' uname -r
    sources: dict[str, str] = field(default_factory=dict)  # what `read_sources` found
    scripts: ClassVar[tuple[Path, ...]] = ()  # that the guest's script `pair` reads

    def boot(self, plan: PairPlan, folder: Path) -> PairRecordings:
        """Carry out `plan` in one boot and leave its recordings in `folder`.

        A link that does not come up, and a doorbell mode that the driver lacks, are results. May be
        called from several threads.

        InputError, FetchError: a driver could not be had.
        BuildError, GuestError: the modules did not build, the guest did not finish.
        """
        recordings = boot_pair(self, plan, folder)
        if recordings.release:
            self.releases.add(recordings.release)
        return recordings

    def drivers(self, setup: AnySetup) -> tuple[DriverSource, DriverSource]:
        """Return the drivers that a setup names, endpoint first; InputError, FetchError: one could
        not be had, or does not fit its name."""
        source = self.kernel.source
        ep = driver_source(self.cache, EP, setup.ep_driver, source, self.say)
        return ep, driver_source(self.cache, RC, setup.rc_driver, source, self.say)

    def modules(self, ep: DriverSource, rc: DriverSource) -> Path:
        """Return the folder with the modules that a boot of two drivers loads; InputError,
        BuildError: as `build_pair`."""
        return build_pair(self.cache, self.kernel, ep, rc, tree=self.tree, say=self.say)

    def go_on(self, previous: PairResult) -> None:
        """Keep the kernels that an earlier result's guests ran: this one may boot none."""
        if any(point.status == OK for point in previous.points):
            self.releases.update(previous.kernel.split(RELEASES))

    def read_sources(self, ep_drivers: Iterable[str], rc_drivers: Iterable[str]) -> dict[str, str]:
        """Return what the boots of these drivers run, as `PairResult.sources`, and keep it;
        InputError, FetchError: a driver could not be had."""
        kernel, self.sources = self.kernel.source, self.stack_sources()
        for side, specs in ((EP, ep_drivers), (RC, rc_drivers)):
            for spec in specs:
                path = driver_source(self.cache, side, spec, kernel, self.say).path
                self.sources[f"{side.upper()} driver {spec}"] = sha256(path)
        return self.sources

    def stack_sources(self) -> dict[str, str]:
        """Return what runs beside the drivers, as `PairResult.sources`."""
        found = {"kernel": self.kernel.source.manifest.version}
        if self.tree is not None:
            files = sorted(ntb_sources(self.tree).values())
            lines = "".join(f"{sha256(path)}\n" for path in files)
            found[f"NTB files of {self.tree}"] = hashlib.sha256(lines.encode()).hexdigest()
        return found

    @property
    def checks(self) -> list[str]:
        """The debugging options of the kernel."""
        config = (self.kernel.folder / "config").read_text()
        return [name for name in CHECKS if re.search(rf"^CONFIG_{name}=y$", config, re.MULTILINE)]

    def facts(self) -> dict[str, Any]:
        """Return the fields of a `PairResult` that tell where it is from."""
        label = self.kernel.label
        return {
            "kernel": RELEASES.join(sorted(self.releases)) or self.kernel.source.manifest.version,
            "kernel_source": label if self.tree is None else f"{label}, drivers of {self.tree}",
            "accelerator": "tcg",
            "deterministic": True,
            "sources": self.sources,
            "environment": {"source": self.kernel.source.origin, **environment()},
        }


def boot_pair(lab: PairLab, plan: PairPlan, folder: Path) -> PairRecordings:
    """Carry out `plan`, as `PairLab.boot` says."""
    ep, rc = lab.drivers(plan.setup)
    modules = lab.modules(ep, rc)
    if plan.setup.interrupts_endpoint and not asks_for_doorbells(modules):
        cause = f"{ep.origin} has no {plan.setup.doorbell} doorbells, only {Doorbell.POLL}"
        shutil.rmtree(folder, ignore_errors=True)
        return PairRecordings(plan, folder, "", ep, rc, "down", cause, available=False)
    recordings = recorded(lab, plan, folder, modules)
    try:
        return lay_out(plan, ep, rc, recordings)
    except GuestError:
        shutil.rmtree(folder, ignore_errors=True)  # of use to nobody
        raise


def recorded(lab: PairLab, plan: PairPlan, folder: Path, modules: Path) -> Recordings:
    """Boot `plan` with these modules and leave in `folder` what the guest recorded.

    GuestError: it left no whole recording.
    """
    debug = lab.kernel.variant == CHECK
    return record(
        # whether what it left is a result is told by what was observed of the drivers
        replace(task(plan, debug), may_die=True),
        folder,
        image=lab.kernel.image,
        modules=modules,
        accel=accelerator_options(
            plan.deterministic, not plan.deterministic and kvm_runs(), plan.setup.cpus
        ),
        machine=machine(plan.setup, plan.deterministic, debug),
        programs=(build_program(lab.cache, "ntb_flow", lab.say), *lab.scripts),
    )


def lay_out(
    plan: PairPlan, ep: DriverSource, rc: DriverSource, recordings: Recordings
) -> PairRecordings:
    """Complete the recordings of a boot: `state` and `point`, and what the set-up came to.

    A guest that died has recorded the first of its points, or not even its set-up. It is a result
    where the plan says so, and where its set-up showed what is wrong with a driver.

    GuestError: the guest died and may not, or a recording is not whole.
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
        available=not (
            plan.setup.doorbell == Doorbell.EMBEDDED and result.get("doorbell_irqs") == "0"
        ),
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
    devices = plan.setup.devices
    sides = read_sides(folder / "setup" / "trace", devices)
    points: list[PointRecording] = []
    for traffic in plan.traffic:
        place = folder / traffic.name
        if not place.is_dir():
            break
        if link == "up":
            write_state(place, sides, devices)
            if lost := _lost_counts(place):
                return tuple(points), lost
        write_point(place, plan.setup, traffic, {EP: ep, RC: rc})
        points.append(PointRecording(traffic, place, link))
    return tuple(points), ""


def warnings(console: str) -> list[str]:
    """Return the kernel's complaints, but for the one that every boot has."""
    return [line for line in complaints(console) if not EXPECTED.match(line)]


def read_result(path: Path) -> dict[str, str]:
    """Return the key=value lines of `setup/result`; GuestError: a key is missing."""
    lines = path.read_text().splitlines() if path.is_file() else []
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    missing = [key for key in RESULT_KEYS if key not in found]
    if missing:
        raise GuestError(f"the guest reported no {missing[0]}")
    return found


def _observed(path: Path) -> Mapping[str, Observations]:
    """Return what the guest observed of either side; of one that did not bind it is little.

    GuestError: the file is damaged.
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
