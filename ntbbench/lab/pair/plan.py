# SPDX-License-Identifier: BSD-3-Clause
"""What a run of the driver pair is asked, and what comes back; no file is touched here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.slots import EP_MSIS

DOORBELLS = ("poll", "msi", "embedded")
EP_TO_RC, RC_TO_EP = "ep-to-rc", "rc-to-ep"
DIRECTIONS = (EP_TO_RC, RC_TO_EP)
BEFORE, AFTER = "before", "after"
EP, RC = "ep", "rc"
# The guest's two NTB devices, by PCI address: vntb's virtual bus and the controller's host bus.
DEVICES = {EP: "0000:10:00.0", RC: "0010:00:00.0"}

MSIS = EP_MSIS
SLOTS_MAX = 32  # pci-epf-vntb.c: MAX_DB_COUNT
WINDOWS_MAX = 2  # ntb_hw_epf.c: mx8_map has BARs for two
QUEUES_MAX = 64  # ntb_netdev.c: NTB_NETDEV_MAX_QUEUES
FLOWS_MAX = 64
PACKETS_MAX = 100_000
GAP_MAX = 10_000_000
CPUS_MAX = 8  # of the guest's kernel: CONFIG_NR_CPUS


def _within(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(option, value, f"{low} .. {high}")


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(option, value, ", ".join(allowed))


@dataclass(frozen=True)
class PairSetup:
    """What one boot binds together: the two drivers and what configfs and modprobe are told.

    Parameters
    ----------
    ep_driver, rc_driver : `before`, `after`, a driver's C file, or a kernel tree.
    ep_slots : the endpoint's db_count, link and reserved slot included, 0 .. 32.
    mw_count : memory windows, 1 or 2.
    queues : max_num_clients of ntb_transport; None: unset, and the netdev takes all QPs.
    doorbell : how the endpoint takes its doorbells: `poll`, `msi`, `embedded`.
    cpus : the guest's; more than one only outside deterministic mode.
    ep_patches, rc_patches : what the user says that a driver carries; None: nothing.

    Raises
    ------
    InputError : a value that no guest can have.
    """

    ep_driver: str = AFTER
    rc_driver: str = AFTER
    ep_slots: int = 8
    mw_count: int = 2
    queues: int | None = None
    doorbell: str = "poll"
    cpus: int = 1
    ep_patches: tuple[int, ...] | None = None
    rc_patches: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        # Fewer than 3 slots is what patch 4 refuses and older drivers take: a result, no error.
        _within("--ep-slots", self.ep_slots, 0, SLOTS_MAX)
        _within("--mw-count", self.mw_count, 1, WINDOWS_MAX)
        if self.queues is not None:
            _within("--queues", self.queues, 1, QUEUES_MAX)
        _one_of("--doorbell", self.doorbell, DOORBELLS)
        _within("--cpus", self.cpus, 1, CPUS_MAX)

    @property
    def most_qps(self) -> int:
        """The most QPs that either transport can make, however many bits its driver has.

        Source: drivers/ntb/ntb_transport.c (ntb_transport_probe): max_num_clients, else the windows
        limit them; the root complex has a doorbell bit for each MSI but two.
        """
        return min(self.queues or self.mw_count, MSIS - 1)

    @property
    def label(self) -> str:
        """The setup in words, for findings and errors."""
        return (
            f"EP {self.ep_driver}, RC {self.rc_driver}, {self.ep_slots} slots, "
            f"{self.mw_count} windows, {self.doorbell}"
        )


@dataclass(frozen=True)
class Traffic:
    """One measured point of a boot: UDP flows in one direction.

    Parameters
    ----------
    flows : sockets that send in turn; the stack's hash gives each a QP.
    packets : of each flow.
    gap_us : microseconds between two packets, whichever flow they are of; 0: a burst.
    """

    direction: str = EP_TO_RC
    flows: int = 1
    packets: int = 200
    gap_us: int = 12_000  # two polls of a polled endpoint: no ring meets another

    def __post_init__(self) -> None:
        _one_of("--direction", self.direction, DIRECTIONS)
        _within("--flows", self.flows, 1, FLOWS_MAX)
        _within("--packets", self.packets, 1, PACKETS_MAX)
        _within("--gap", self.gap_us, 0, GAP_MAX)

    @property
    def name(self) -> str:
        """The point's name within its boot, and its recording's folder."""
        return f"{self.direction}-f{self.flows}-n{self.packets}-g{self.gap_us}"

    @property
    def sender(self) -> str:
        """Which side sends: `ep` or `rc`."""
        return EP if self.direction == EP_TO_RC else RC

    @property
    def receiver(self) -> str:
        """Which side receives: `ep` or `rc`."""
        return RC if self.direction == EP_TO_RC else EP


@dataclass(frozen=True)
class PairPlan:
    """One boot: a setup and the points measured on it, in order.

    Parameters
    ----------
    rounds : how often the endpoint is unbound and bound again after the points (`lab pair check`).
    may_die : a guest that panics, hangs or gives up is a result: with the points it finished.
    deterministic : QEMU counts instructions: two runs give the same counts.
    """

    setup: PairSetup
    traffic: tuple[Traffic, ...] = (Traffic(),)
    rounds: int = 0
    may_die: bool = False
    deterministic: bool = True

    def __post_init__(self) -> None:
        names = [point.name for point in self.traffic]
        for name in names:
            if names.count(name) > 1:
                raise InputError("traffic", name, "each point once")
        if self.deterministic and self.setup.cpus > 1:
            raise InputError("--cpus", self.setup.cpus, "1 in deterministic mode")


@dataclass(frozen=True)
class Behaviour:
    """What a driver was seen to do at its set-up, and the patches that explain it.

    Parameters
    ----------
    patches : what the model goes by: as said, or else as seen; the nearest where nothing fits.
    prerequisites : what the driver has of what the series stands on.
    words : what it behaves as.
    findings : why that is wrong, in words; empty: it is not.
    alike : other sets of patches that nothing observed tells from this one.
    inferred : nobody said which patches the driver carries.
    observations : what was seen, by question.
    """

    patches: tuple[int, ...]
    prerequisites: frozenset[str]
    words: str
    findings: tuple[str, ...] = ()
    alike: int = 0
    inferred: bool = True
    observations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DriverSource:
    """The source of one side's driver.

    Parameters
    ----------
    side : `ep` (pci-epf-vntb) or `rc` (ntb_hw_epf).
    spec : as asked: `before`, `after`, a path.
    origin : where it was found: `linux-source-6.12 6.12.95-1~bpo12+1`, or the file's path.
    path : the C file.
    patches : numbers of the series, sorted: 1 .. 7 on the endpoint, 8 .. 12 on the root complex.
        Until the driver was observed a hint: those of its name, or that its text shows.
    behaviour : what it was seen to do; None: it was not.
    """

    side: str
    spec: str
    origin: str
    path: Path
    patches: tuple[int, ...]
    behaviour: Behaviour | None = None

    @property
    def named_patches(self) -> tuple[int, ...] | None:
        """The patches that `before` and `after` stand for; None: of another driver."""
        half = tuple(range(1, 8)) if self.side == EP else tuple(range(8, 13))
        return {BEFORE: (), AFTER: half}.get(self.spec)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with what it was seen to do, each with its side."""
        told = self.behaviour.findings if self.behaviour else ()
        return tuple(f"{self.side.upper()} driver: {finding}" for finding in told)


@dataclass(frozen=True)
class PointRecording:
    """One point that came back.

    Parameters
    ----------
    folder : holds `point`, `state`, `trace`, `before-*`, `after-*`, `sent`, `received`.
    link : `up` or `down`; down: there is no `trace` and nothing was sent.
    """

    traffic: Traffic
    folder: Path
    link: str


@dataclass(frozen=True)
class PairRecordings:
    """What one boot recorded.

    Parameters
    ----------
    plan : that was carried out.
    folder : holds `kernel`, `setup` (key=value lines), `dmesg`, and a folder a point.
    release : the guest's uname -r.
    ep, rc : the drivers.
    link : `up` or `down`.
    cause : why the link is down, or why the mode is not to be had; empty if it is up.
    available : False: the driver has not this doorbell mode; nothing was measured.
    ep_qp_count, rc_qp_count : QPs that each side's ntb_transport computed; None: it has no device.
    warnings : the guest kernel's complaints, one line each.
    died : how the guest panicked, hung or gave up, in one line; empty: it did not.
    """

    plan: PairPlan
    folder: Path
    release: str
    ep: DriverSource
    rc: DriverSource
    link: str
    cause: str
    available: bool = True
    ep_qp_count: int | None = None
    rc_qp_count: int | None = None
    points: tuple[PointRecording, ...] = ()
    warnings: tuple[str, ...] = ()
    died: str = ""
