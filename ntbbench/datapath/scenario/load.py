# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios from TOML files, presets and `--set key=value`, and back to plain values."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from ntbbench.core import options as keys
from ntbbench.core.axes import parse_int_axis
from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.toml_file import read_toml
from ntbbench.core.units import PS, duration_text
from ntbbench.datapath.scenario.boards import BOARDS
from ntbbench.datapath.scenario.sections import AFFINITIES, PROTOCOLS, SECTIONS, Scenario
from ntbbench.datapath.system_checks import TIME_MAX_PS
from ntbbench.ntb.devices.catalogue import hardware_names
from ntbbench.ntb.devices.dispatch_modes import DISPATCHES
from ntbbench.ntb.netdev import NTB_NETDEV_MAX_QUEUES

WORD_AXES = {"dispatch": DISPATCHES, "affinity": AFFINITIES, "protocol": PROTOCOLS}
AXES = ("queues", *WORD_AXES)
TEXTS = ("name", "note")
ALL_KEYS = "ntbbench simulate --keys"
RECEIVERS = {"poll": "pci-epf-vntb", "embedded": "pci-epf-vntb", "deferred": "ntb_hw_epf"}
BITS_A_BYTE = 8
KEYS_SHOWN = 6  # of those that differ from a board: a note is a line or two
TOP = (*TEXTS, *AXES, *SECTIONS, "preset")


def preset(name: str) -> Scenario:
    """Return the scenario of a board.

    Raises
    ------
    InputError : an unknown name, with the nearest known one.
    """
    if name not in BOARDS:
        raise unknown("preset", name, BOARDS)
    return BOARDS[name]


def load_scenario(path: str | Path) -> Scenario:
    """Return the scenario in a TOML file, checked.

    Raises
    ------
    InputError : the file cannot be read, is not TOML, or has an unknown key or a bad value.
    """
    return scenario_from(read_toml("scenario", Path(path)), str(path))


def scenario_from(table: Mapping[str, Any], source: str) -> Scenario:
    """Return the scenario of a table of TOML or JSON; `preset` names what it starts from.

    Raises
    ------
    InputError : an unknown key (with the nearest known one), or a bad value; it names `source`.
    """
    prefix = f"scenario {source!r}: "
    base = BOARDS["generic"]
    if "preset" in table:
        if not isinstance(table["preset"], str):
            raise InputError(f"{prefix}preset", table["preset"], "the name of a board")
        base = preset(table["preset"])
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key not in TOP:
            raise unknown(f"{prefix}key", str(key), TOP)
        if key in SECTIONS:
            changes[key] = keys.changed(f"{prefix}{key}.", getattr(base, key), value)
        elif key in AXES:
            changes[key] = axis(f"{prefix}{key}", key, value)
        elif key in TEXTS:
            changes[key] = keys.Word((), "").parse(f"{prefix}{key}", value)
    scenario = msgspec.structs.replace(base, **changes)
    check_scenario(scenario, prefix)
    return scenario if "note" in table else with_true_note(scenario, base)


def with_true_note(scenario: Scenario, before: Scenario) -> Scenario:
    """Return `scenario`, made of `before`, with a note that does not claim what was changed.

    Axes and `[run]` may differ: they say what is asked of a board, not what it is.
    """
    if not changed_keys(scenario, before):
        return scenario
    base = BOARDS.get(before.name, before)  # before may itself be a changed board
    changed = changed_keys(scenario, base)
    if not changed:
        return msgspec.structs.replace(scenario, note=base.note)
    shown = ", ".join(changed[:KEYS_SHOWN])
    if len(changed) > KEYS_SHOWN:
        shown += f" and {len(changed) - KEYS_SHOWN} more"
    note = f"based on {base.name}, changed: {shown}: no longer as fitted or assumed there"
    return msgspec.structs.replace(scenario, note=note)


def changed_keys(scenario: Scenario, base: Scenario) -> list[str]:
    """Return the keys of the sections but `[run]` in which two scenarios differ."""
    return [
        f"{section}.{key}"
        for section in SECTIONS
        if section != "run"
        for key in getattr(base, section).__struct_fields__
        if getattr(getattr(scenario, section), key) != getattr(getattr(base, section), key)
    ]


def axis(field: str, key: str, value: object) -> tuple[Any, ...]:
    """Return the values of an axis: a list, one value, or text as on the command line.

    As in a sweep a number counts once however often it is said, for ranges may overlap.

    Raises
    ------
    InputError : no value, a word twice, or a value that is not allowed.
    """
    if key == "queues":
        parts = value if isinstance(value, list) else [value]
        for part in parts:
            if isinstance(part, bool) or not isinstance(part, int | str):
                raise InputError(field, part, f"a whole number from 1 to {NTB_NETDEV_MAX_QUEUES}")
        text = ",".join(map(str, parts))
        found: tuple[Any, ...] = tuple(parse_int_axis(text, field, 1, NTB_NETDEV_MAX_QUEUES))
    else:
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list):
            raise InputError(field, value, f"a list out of {', '.join(WORD_AXES[key])}")
        for word in words:
            if not isinstance(word, str) or word.strip() not in WORD_AXES[key]:
                raise unknown(field, str(word), WORD_AXES[key])
        found = tuple(word.strip() for word in words)
    if not found:
        raise InputError(field, value, "at least one value")
    for one in found:
        if found.count(one) > 1:
            raise InputError(field, one, "every value once")
    return found


def with_settings(scenario: Scenario, settings: Iterable[str]) -> Scenario:
    """Return `scenario` with each "section.key=value" of `--set`; a key alone if it is unique.

    Raises
    ------
    InputError : another form, an unknown or ambiguous key, or a bad value.
    """
    for text in settings:
        name, equals, value = (piece.strip() for piece in text.partition("="))
        if not equals or not value:
            raise InputError("--set", text, "section.key=value")
        section, key = place(name)
        changed = keys.changed(f"--set {section}.", getattr(scenario, section), {key: value})
        scenario = msgspec.structs.replace(scenario, **{section: changed})
    return scenario


def check_scenario(scenario: Scenario, prefix: str = "") -> None:
    """Raise InputError where values do not go together; `prefix` goes before the key."""
    receiver = scenario.receiver
    if scenario.device.hardware not in hardware_names():
        raise unknown(f"{prefix}device.hardware", scenario.device.hardware, hardware_names())
    used = [("single_cpu", receiver.single_cpu)]
    used += [("spread_cpus", cpu) for cpu in receiver.spread_cpus]
    for key, cpu in used:
        if cpu >= receiver.cpus:
            allowed = f"a CPU of the receiver, which has 0 to {receiver.cpus - 1}"
            raise InputError(f"{prefix}receiver.{key}", cpu, allowed)
    check_times(scenario, prefix)
    check_doorbell(scenario, prefix)
    if not scenario.sender.packet and not scenario.sender.byte:
        allowed = "above 0 with sender.byte 0: a sender without any cost never ends"
        raise InputError(f"{prefix}sender.packet", 0, allowed)


def check_doorbell(scenario: Scenario, prefix: str) -> None:
    """Raise InputError where a driver of the receiver cannot get its doorbells this way.

    pci-epf-vntb alone polls slots or has the embedded doorbell; as the sender, opposite
    ntb_hw_epf, it alone raises from a work item. `generic` may do anything.
    """
    doorbell, hardware = scenario.link.doorbell, scenario.device.hardware
    receiver = RECEIVERS.get(doorbell)
    if receiver is not None and hardware != "generic" and not hardware.startswith(receiver):
        allowed = f"with device.hardware {hardware} not {doorbell}: that takes {receiver}"
        raise InputError(f"{prefix}link.doorbell", doorbell, f"{allowed} or generic")


def check_times(scenario: Scenario, prefix: str) -> None:
    """Raise InputError where a run, or the gap between two packets, is longer than an hour."""
    run, traffic = scenario.run, scenario.traffic
    if run.warmup + run.duration > TIME_MAX_PS:
        allowed = "an hour at most, the warm-up included"
        raise InputError(f"{prefix}run.duration", duration_text(run.duration, PS), allowed)
    slowest = -(-traffic.length * BITS_A_BYTE * PS // TIME_MAX_PS)
    if 0 < traffic.rate < slowest:
        allowed = f"0, or at least {slowest} bit/s: a packet of {traffic.length} bytes an hour"
        raise InputError(f"{prefix}traffic.rate", traffic.rate, allowed)


def to_table(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as plain values that `scenario_from` reads back to the same one."""
    table: dict[str, Any] = {key: getattr(scenario, key) for key in TEXTS}
    table |= {key: list(getattr(scenario, key)) for key in AXES}
    return table | {key: keys.shown(getattr(scenario, key)) for key in SECTIONS}


def to_toml(scenario: Scenario, comments: Iterable[str] = ()) -> str:
    """Return a scenario as a TOML file that `load_scenario` reads back to the same one."""
    table = to_table(scenario)
    lines = [f"# {comment}" for comment in comments]
    lines += [f"{key} = {_toml(value)}" for key, value in table.items() if key not in SECTIONS]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in table[section].items()]
    return "\n".join(lines) + "\n"


def all_keys() -> dict[str, dict[str, keys.Kind]]:
    """Return every section with its keys and what each may be."""
    usual = Scenario()
    return {section: keys.kinds(type(getattr(usual, section))) for section in SECTIONS}


def place(name: str) -> tuple[str, str]:
    """Return section and key of a name with or without its section.

    Raises
    ------
    InputError : no key has the name, or several have.
    """
    known = [f"{section}.{key}" for section, found in all_keys().items() for key in found]
    found = [full for full in known if name in (full, full.partition(".")[2])]
    if not found:
        raise InputError("--set: key", name, f"unknown; {_hint(name, known)}all: {ALL_KEYS}")
    if len(found) > 1:
        raise InputError("--set: key", name, f"one of {', '.join(found)}")
    section, _, key = found[0].partition(".")
    return section, key


def _hint(name: str, known: Iterable[str]) -> str:
    """Return what may have been meant: an option, a key like it, or its key in any section."""
    bare = name.rpartition(".")[2]
    if bare in (*AXES, "preset"):
        return f"{bare} is an option: --{bare}; "
    by_key: dict[str, list[str]] = {}
    for full in known:
        by_key.setdefault(full.partition(".")[2], []).append(full)
    near = get_close_matches(name, [*known], n=1)
    if not near or bare in by_key:
        near = [full for key in get_close_matches(bare, by_key, n=1) for full in by_key[key]]
    return f"did you mean {' or '.join(near)}? " if near else ""


def _toml(value: object) -> str:
    # What is printable needs only these escapes in a basic string of TOML; JSON has the same.
    return msgspec.json.encode(value).decode()
