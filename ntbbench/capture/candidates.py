# SPDX-License-Identifier: BSD-3-Clause
"""The devices that a capture may be of: all presets, less those that what it says rules out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ntbbench.capture.evidence import Evidence
from ntbbench.capture.records import DeviceFacts
from ntbbench.capture.tool_records import Clue
from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import GENERIC, hardware_names, presets_of, resolve
from ntbbench.ntb.device import DbRead, Hardware, IrqLines, masked_map

DB_READS: dict[str, DbRead] = {"latched": "latched", "zero": "zero", "legacy": "legacy"}
REBUILT = "rebuilt from the capture"
RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})")
# What the number of lines makes of db_count: of the root complex one line is the link's.
LINK_LINES = {"ntb_epf": 1, "pci_epf_vntb_db": 0}
CROSSLINK, ERRATUM = "-crosslink", "-erratum"  # of names


@dataclass(frozen=True)
class Candidates:
    """The devices to hold a capture against; `ruled_out`: which it cannot be of, and why."""

    devices: list[Hardware]
    ruled_out: list[str] = field(default_factory=list)


def candidates(evidence: Evidence, names: Sequence[str], doorbells: int | None) -> Candidates:
    """Return the devices to hold a capture against: the named, the rebuilt, or those it may be.

    Where everything is ruled out, nothing is: the capture then fits no preset.

    InputError: none is named, and the capture does not say which it may be.
    """
    if names:
        return Candidates([_sized(name, evidence, doorbells) for name in names])
    if evidence.devices:
        return Candidates([_rebuilt(facts) for facts in evidence.devices])
    found = _by_lines(evidence) or _by_log(evidence)
    if not found:
        shown = ", ".join(sorted(evidence.actions)) or "none"
        raise InputError(
            "--hardware",
            None,
            f"{evidence.capture} does not tell its device (NTB interrupt lines: {shown}): "
            "name a preset, see `ntbbench hardware`",
        )
    devices = [_sized(name, evidence, doorbells) for name in found]
    reasons = [next(_reasons(device, evidence), None) for device in devices]
    left = [device for device, why in zip(devices, reasons, strict=True) if why is None]
    told = [f"{d.name}: {why}" for d, why in zip(devices, reasons, strict=True) if why]
    return Candidates(left or devices, told)


def _by_lines(evidence: Evidence) -> list[str]:
    """Return the presets whose lines the capture has; one of older kernels by their release."""
    found = [name for action in sorted(evidence.actions) for name in presets_of(action)]
    release = _release(evidence)
    return [name for name in dict.fromkeys(found) if _is_of_release(resolve(name), release)]


def _by_log(evidence: Evidence) -> list[str]:
    drivers = {clue.driver for clue in evidence.clues if clue.driver}
    release = _release(evidence)
    presets = map(resolve, hardware_names())
    return [p.name for p in presets if p.driver in drivers and _is_of_release(p, release)]


def _release(evidence: Evidence) -> tuple[int, int] | None:
    found = [RELEASE.match(clue.kernel) for clue in evidence.clues if clue.kernel]
    return next(((int(match[1]), int(match[2])) for match in found if match is not None), None)


def _is_of_release(device: Hardware, release: tuple[int, int] | None) -> bool:
    """Return whether a kernel may have these facts; those of old ones need a release that is."""

    def number(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(".")))

    if device.before:
        return release is not None and release < number(device.before)
    return release is None or not device.since or release >= number(device.since)


def _sized(name: str, evidence: Evidence, doorbells: int | None) -> Hardware:
    """Return a preset; a driver of the pair with the db_count that its lines tell."""
    device = resolve(name, doorbells)
    for action, link in LINK_LINES.items():
        lines = evidence.lines.get(action, 0)
        own = any(irqs.action == action for irqs in device.irqs)
        if doorbells is None and own and lines > 1 + link:
            sized = resolve(name, lines - link)
            return device if sized.refusal else sized
    return device


def _lines_of(device: Hardware, evidence: Evidence) -> Iterator[tuple[IrqLines, int]]:
    irqs = device.irqs or (resolve(device.alike).irqs if device.alike else ())
    for lines in irqs:
        if lines.action in evidence.lines:
            yield lines, evidence.lines[lines.action]


def _reasons(device: Hardware, evidence: Evidence) -> Iterator[str]:
    """Yield why a capture cannot be of a device."""
    valid = device.vector_map.db_valid_mask
    for lines, count in _lines_of(device, evidence):
        if lines.layout == "messages" and len(evidence.lines) == 1:
            yield "a line of messages alone"
        if count and lines.counts and count not in lines.counts:
            some = f"{lines.counts[0]} to {lines.counts[-1]}"
            has = some if len(lines.counts) > 1 else str(lines.counts[0])
            yield f"it has {has} lines of {lines.action}, here are {count}"
    if beyond := sum(1 << qp for qp in evidence.active_qps or ()) & ~valid:
        yield f"QP {beyond.bit_length() - 1} is active and has no doorbell bit there"
    for clue in evidence.clues:
        yield from (f"{why} ({clue.text})" for why in _against(device, clue))


def _against(device: Hardware, clue: Clue) -> Iterator[str]:
    """Yield what a line of the kernel's log says that a device is not."""
    valid = device.vector_map.db_valid_mask
    if clue.driver and clue.driver != device.driver:
        yield f"the driver is {clue.driver}"
    if clue.db_valid_mask is not None and int(clue.db_valid_mask, 16) != valid:
        yield f"its doorbells are {valid:#x}"
    if clue.is_crosslink and CROSSLINK not in device.name:
        yield "it is no crosslink"
    if clue.is_erratum and ERRATUM not in device.name:
        yield "it has no doorbell less"
    if clue.qp_count is not None and clue.qp_count > max(valid.bit_length() - 1, 0):
        yield f"its doorbells make at most {max(valid.bit_length() - 1, 0)} QPs"
    interrupts = len(device.vector_map.irq_masks)
    if clue.vectors is not None and (clue.vectors == 1) != (interrupts == 1):
        yield f"it has {interrupts} vectors"


def _rebuilt(facts: DeviceFacts) -> Hardware:
    try:
        valid, link = int(facts.db_valid_mask, 16), int(facts.link_mask, 16)
        masks = tuple(int(mask, 16) for mask in facts.vector_masks)
    except ValueError:
        raise InputError(facts.source, facts.db_valid_mask, "masks in hexadecimal") from None
    if facts.db_read not in DB_READS:
        raise InputError(facts.source, facts.db_read, f"db_read: {' or '.join(DB_READS)}")
    device = replace(
        resolve(GENERIC),
        name=REBUILT,
        source=facts.source,
        vector_map=masked_map(valid, masks or (valid,)),
        link_mask=link,
        db_read=DB_READS[facts.db_read],
        callbacks=bool(masks),
    )
    return replace(device, called=_called(device, facts))


def _called(device: Hardware, facts: DeviceFacts) -> str:
    """Return the preset that a rebuilt device is, in words; "": none that is known."""
    for name in presets_of(facts.action) if facts.action else hardware_names():
        preset = resolve(name)
        if facts.action:
            is_it = preset.callbacks == device.callbacks
        else:
            own, its = preset.vector_map, device.vector_map
            masks = [mask for mask in own.db_vector_masks if mask]
            known = (own.db_valid_mask, preset.link_mask, preset.callbacks)
            is_it = known == (its.db_valid_mask, device.link_mask, device.callbacks)
            is_it &= masks == [mask for mask in its.db_vector_masks if mask]
            is_it &= facts.driver in ("", preset.driver)
        if is_it and name != GENERIC:
            return preset.called or name
    return ""
