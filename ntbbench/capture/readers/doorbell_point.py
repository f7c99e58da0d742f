# SPDX-License-Identifier: BSD-3-Clause
"""The small files of a doorbell recording: `point`, of a device and its traffic, and `state`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.records import DeviceFacts, Measured
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines
from ntbbench.ntb.device import low_bits, shift_masks
from ntbbench.ntb.vectormap import DB_BITS_MAX
from ntbbench.pair.drivers.kernel_around import EP_MSIS, EPF_IRQ_DB_START

PARTS = ("point", "trace", "state")
KEYS = ("vectors", "db_read_latched", "gap_us", "packets_per_qp", "sending_qps")
SETTING = re.compile(r"(\w+)=([^=]*?)(?=\s+\w+=|\s*$)")
NUMBER = re.compile(r"\d{1,18}")
POINTER = re.compile(r"(?:0x)?([0-9a-fA-F]{1,16})")
# `direction` of a recording of the driver pair -> the side that receives.
RECEIVERS = {"ep-to-rc": "rc", "rc-to-ep": "ep"}
PATCHES_MAX = 99
SLOTS_MAX = 32  # pci-epf-vntb.c: MAX_DB_COUNT
LOOP_DOORBELLS = 16
NETDEV = "ntb_netdev"
# The interrupt lines of each side of the pair (request_irq's name).
ACTIONS = {"rc": "ntb_epf", "ep": "pci_epf_vntb_db"}
RC_VALID_PATCH, EP_VALID_PATCH = 9, 6  # these take the slots before bit 0 out of db_valid_mask
PORTS_MAX = 1 << 8  # ports of one NTB (include/linux/ntb.h has no limit; no device has more)


@dataclass(frozen=True)
class PairReceiver:
    """The side that receives in a recording of the driver pair.

    `side` is "ep" (pci-epf-vntb) or "rc" (ntb_hw_epf), `patches` those of the series in its driver,
    `ep_slots` the endpoint's db_count, `doorbell` how rings reach the endpoint.
    """

    side: str
    patches: frozenset[int]
    ep_slots: int
    doorbell: str


@dataclass(frozen=True)
class Point:
    """What was asked of the recording; see `docs/replay.md` for the file's keys.

    `gap` is the pause between two packets of one sender in seconds. `db_read_latched` False: the
    loopback device shows nothing of a rung bit, a driver of the pair (`receiver`) other bits.
    """

    vectors: int
    db_read_latched: bool
    gap: float
    packets_per_qp: int
    sending_qps: tuple[int, ...]
    receiver: PairReceiver | None = None


@dataclass(frozen=True)
class Qp:
    """One line of `state`: a QP of a port, whether its link is up, its address, packets so far."""

    port: int
    qp_num: int
    is_up: bool
    ptr: int
    tx: int
    rx: int


class _Settings:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, tuple[int, str]] = {}
        for number, line in _lines(path):
            pairs = SETTING.findall(line)
            if not pairs:
                raise bad_line(path, number, line, "key=value pairs")
            for key, value in pairs:
                if key in self.found:
                    raise bad_line(path, number, line, f"{key} is set twice")
                self.found[key] = (number, value)
        for key in KEYS:
            if key not in self.found:
                raise InputError(str(path), key, f"missing; the keys are {', '.join(KEYS)}")

    def whole(self, key: str, high: int) -> int:
        number, value = self.found[key]
        return _whole(self.path, number, key, value, high)

    def wholes(self, key: str, high: int) -> tuple[int, ...]:
        """Return the numbers of a key, which may be none."""
        number, value = self.found.get(key, (0, ""))
        return tuple(_whole(self.path, number, key, word, high) for word in value.split())

    def receiver(self) -> PairReceiver | None:
        """Return the receiving side of the pair; None: a recording of the loopback device."""
        if "direction" not in self.found:
            return None
        number, direction = self.found["direction"]
        if direction not in RECEIVERS:
            allowed = " or ".join(RECEIVERS)
            raise bad_line(self.path, number, f"direction={direction}", allowed)
        side = RECEIVERS[direction]
        slots = self.wholes("ep_slots", SLOTS_MAX)
        if len(slots) != 1:
            raise InputError(str(self.path), "ep_slots", f"one whole number from 0 to {SLOTS_MAX}")
        patches = frozenset(self.wholes(f"{side}_patches", PATCHES_MAX))
        return PairReceiver(side, patches, slots[0], self.found.get("doorbell", (0, ""))[1])


def read_point(path: Path) -> Point:
    """Read `point`: key=value pairs on one line or on several, in any order.

    InputError: a key is missing or appears twice, or its value is out of range.
    """
    settings = _Settings(path)
    receiver = settings.receiver()
    qps = settings.wholes("sending_qps", DB_BITS_MAX - 1)
    if not qps and receiver is None:  # the pair sends nothing where its link is down
        number, _ = settings.found["sending_qps"]
        raise bad_line(path, number, "sending_qps=", "at least one qp_num")
    return Point(
        vectors=settings.whole("vectors", DB_BITS_MAX),
        db_read_latched=settings.whole("db_read_latched", 1) == 1,
        gap=settings.whole("gap_us", 10**9) / 1e6,
        packets_per_qp=settings.whole("packets_per_qp", 10**9),
        sending_qps=qps,
        receiver=receiver,
    )


def read_state(path: Path) -> tuple[Qp, ...]:
    """Read `state`: one line per QP, `port P qp N up U tx T rx R bad B ptr 0xADDRESS`.

    A QP that the client has not created (up 0, ptr 0) is left out.

    InputError: a line is malformed, a QP or an address appears twice, or there is no QP.
    """
    qps: list[Qp] = []
    names: set[tuple[int, int]] = set()
    addresses: set[int] = set()
    for number, line in _lines(path):
        qp = _qp(path, number, line)
        if not qp.ptr and not qp.is_up:
            continue  # the client has not created it
        if (qp.port, qp.qp_num) in names:
            raise bad_line(path, number, line, f"port {qp.port} qp {qp.qp_num} is there twice")
        if qp.ptr in addresses:
            raise bad_line(path, number, line, f"ptr {qp.ptr:#x} is there twice")
        names.add((qp.port, qp.qp_num))
        addresses.add(qp.ptr)
        qps.append(qp)
    if not qps:
        raise bad_line(path, 1, "", "one line per QP: port P qp N up U ... ptr 0xADDRESS")
    return tuple(qps)


def _qp(path: Path, number: int, line: str) -> Qp:
    words = line.split()
    fields = dict(zip(words[::2], words[1::2], strict=False))
    missing = {"port", "qp", "up", "ptr"} - fields.keys()
    if len(words) % 2 or len(fields) != len(words) // 2 or missing:
        raise bad_line(path, number, line, "port P qp N up U tx T rx R bad B ptr 0xADDRESS")

    def whole(key: str, high: int) -> int:
        return _whole(path, number, key, fields.get(key, "0"), high)

    pointer = POINTER.fullmatch(fields["ptr"])
    is_up = whole("up", 1) == 1
    if pointer is None or (is_up and int(pointer[1], 16) == 0):
        raise bad_line(path, number, f"ptr {fields['ptr']}", "an address of 64 bits, not 0")
    return Qp(
        port=whole("port", PORTS_MAX),
        qp_num=whole("qp", DB_BITS_MAX - 1),
        is_up=is_up,
        ptr=int(pointer[1], 16),
        tx=whole("tx", 1 << 63),
        rx=whole("rx", 1 << 63),
    )


def read_kernel(folder: Path) -> str | None:
    """Return the release in `kernel` of the recording or of the folder around it, if any."""
    for path in (folder / "kernel", folder.parent / "kernel"):
        if path.is_file():
            return next((line for _, line in _lines(path)), None)
    return None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, text in read_lines(path):
        if line := text.strip():
            yield number, line


def _whole(path: Path, number: int, key: str, text: str, high: int) -> int:
    if NUMBER.fullmatch(text) is None or not text.isascii() or int(text) > high:
        raise bad_line(path, number, f"{key}={text}", f"a whole number from 0 to {high}")
    return int(text)


def is_setup(folder: Path) -> bool:
    """Return whether a folder is what `lab pair run --record` keeps of the binding: no point."""
    return folder.name == "setup" and (folder / "result").is_file()


def point_facts(point: Point, source: str) -> DeviceFacts:
    """Return the device that received in a recording.

    A driver of the pair without vector callbacks is one before the series: db_read() then shows
    other bits than the rung one, an int with a number on the root complex, the bit above it on the
    endpoint.
    """
    receiver = point.receiver
    if receiver is None:
        masks = [0] * point.vectors
        for bit in range(LOOP_DOORBELLS if masks else 0):
            masks[bit % point.vectors] |= 1 << bit
        return DeviceFacts(
            source=source,
            db_valid_mask=hex(low_bits(LOOP_DOORBELLS)),
            vector_masks=[hex(mask) for mask in masks],
            link_mask="0x0",
            db_read="latched" if point.db_read_latched else "zero",
        )
    return DeviceFacts(
        source=source,
        db_valid_mask=hex(low_bits(point.vectors or _valid_bits(receiver))),
        vector_masks=[hex(mask) for mask in shift_masks(point.vectors, 1)],
        link_mask="0x0",
        db_read="latched" if point.db_read_latched else "legacy",
        action=ACTIONS[receiver.side],
        is_embedded=receiver.side == "ep" and receiver.doorbell == "embedded",
        client=NETDEV,
    )


def _valid_bits(receiver: PairReceiver) -> int:
    if receiver.side == "rc":  # its db_count leaves the link out, of the slots before bit 0
        return EP_MSIS - 1 - (RC_VALID_PATCH in receiver.patches)
    reserved = EPF_IRQ_DB_START if EP_VALID_PATCH in receiver.patches else 0
    return max(receiver.ep_slots - reserved, 0)


def _point(path: Path, _known: Known) -> Measured:
    return Measured(devices=[point_facts(read_point(path), str(path))])


def _state(path: Path, known: Known) -> Measured:
    known.qps = read_state(path)
    return Measured()


POINT = Reader(
    "point of a recording", "vector map of the loopback device", "what happened", _point,
    file="point",
)  # fmt: skip
STATE = Reader("state of a recording", "", "", _state, file="state")
