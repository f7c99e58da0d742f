# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios from TOML files, presets and `--set key=value`, and back to a TOML file."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.options import Kind, changed, kinds, sections, shown
from ntbbench.core.text_file import read_toml
from ntbbench.core.units import PS, duration_text
from ntbbench.datapath.sections import AXES, BOARDS, Scenario
from ntbbench.datapath.system import TIME_MAX_PS
from ntbbench.ntb.catalogue import hardware_names

ALL_KEYS = "ntbbench simulate --keys"
RECEIVERS = {"poll": "pci-epf-vntb", "embedded": "pci-epf-vntb", "deferred": "ntb_hw_epf"}
BITS_A_BYTE = 8
KEYS_SHOWN = 6  # of those that differ from a board: a note is a line or two
KEYS: Mapping[str, Kind] = {
    f"{section}.{key}": kind
    for section, found in sections(Scenario()).items()
    for key, kind in kinds(type(found)).items()
}
# Keys that only a scenario of `sweep` has, at the top.
OF_A_SWEEP = ("hardware", "doorbells", "vectors", "workload", "interrupts", "repeats", "drain")


def preset(name: str) -> Scenario:
    """Return the scenario of a board; InputError: an unknown name, with the nearest known one."""
    if name not in BOARDS:
        raise unknown("preset", name, BOARDS)
    return BOARDS[name]


def file_or_preset(file: str | None, board: str | None) -> Scenario:
    """Return the scenario of a file, a board or generic; InputError: both, or a bad one."""
    if file is None:
        return preset(board or "generic")
    if board is not None:
        raise InputError("--preset", board, "a SCENARIO.toml or a preset, not both")
    return load_scenario(file)


def load_scenario(path: str | Path) -> Scenario:
    """Return the scenario in a TOML file; InputError: no such file, or a bad key or value."""
    return scenario_from(read_toml("scenario", Path(path)), str(path))


def scenario_from(table: Mapping[str, Any], source: str) -> Scenario:
    """Return the scenario of a table; InputError: a bad key or value, and names `source`."""
    prefix = f"scenario {source!r}: "
    board = table.get("preset", "generic")
    if not isinstance(board, str):
        raise InputError(f"{prefix}preset", board, "the name of a board")
    base = preset(board)
    for key in (key for key in table if key in OF_A_SWEEP):
        raise InputError(f"{prefix}{key}", table[key], "no key of `simulate`: run `ntbbench sweep`")
    scenario = changed(prefix, base, table, also=("preset",))
    check_scenario(scenario, prefix)
    return scenario if "note" in table else with_true_note(scenario, base)


def with_true_note(scenario: Scenario, before: Scenario) -> Scenario:
    """Return `scenario`, made of `before`, with a note that does not claim what was changed.

    Axes and `[run]` may differ: they say what is asked of a board, not what it is.
    """
    if not _changed_keys(scenario, before):
        return scenario
    base = BOARDS.get(before.name, before)  # before may itself be a changed board
    found = _changed_keys(scenario, base)
    if not found:
        return msgspec.structs.replace(scenario, note=base.note)
    names = ", ".join(found[:KEYS_SHOWN])
    if len(found) > KEYS_SHOWN:
        names += f" and {len(found) - KEYS_SHOWN} more"
    note = f"based on {base.name}, changed: {names}: no longer as fitted or assumed there"
    return msgspec.structs.replace(scenario, note=note)


def _changed_keys(scenario: Scenario, base: Scenario) -> list[str]:
    """Return the keys outside `[run]` in which two scenarios differ."""
    at = [(name, attrgetter(name)) for name in KEYS if not name.startswith("run.")]
    return [name for name, value in at if value(scenario) != value(base)]


def with_settings(scenario: Scenario, settings: Iterable[str]) -> Scenario:
    """Return `scenario` with each "key=value" of `--set`; InputError: a bad key or value."""
    for text in settings:
        name, equals, value = (piece.strip() for piece in text.partition("="))
        if not equals or not value:
            raise InputError("--set", text, "section.key=value")
        section, _, key = key_of(name).partition(".")
        scenario = changed("--set ", scenario, {section: {key: value}})
    return scenario


def key_of(name: str) -> str:
    """Return the whole name of a key; InputError: no key has the name, or several have."""
    found = [full for full in KEYS if name in (full, full.partition(".")[2])]
    if not found:
        raise InputError("--set: key", name, f"unknown; {_hint(name)}all: {ALL_KEYS}")
    if len(found) > 1:
        raise InputError("--set: key", name, f"one of {', '.join(found)}")
    return found[0]


def _hint(name: str) -> str:
    """Return what may have been meant: an option, a key, or its key in any section."""
    bare = name.rpartition(".")[2]
    if bare in (*AXES, "preset"):
        return f"{bare} is an option: --{bare}; "
    by_key: dict[str, list[str]] = {}
    for full in KEYS:
        by_key.setdefault(full.partition(".")[2], []).append(full)
    near = get_close_matches(name, KEYS, n=1)
    if not near or bare in by_key:
        near = [full for key in get_close_matches(bare, by_key, n=1) for full in by_key[key]]
    near = near or [f"--{axis}" for axis in get_close_matches(bare, AXES, n=1)]
    return f"did you mean {' or '.join(near)}? " if near else ""


def check_scenario(scenario: Scenario, prefix: str = "") -> None:
    """Raise InputError where values do not go together; `prefix` goes before the key."""
    receiver, sender = scenario.receiver, scenario.sender
    if scenario.device.hardware not in hardware_names():
        raise unknown(f"{prefix}device.hardware", scenario.device.hardware, hardware_names())
    spread = [("spread_cpus", cpu) for cpu in receiver.spread_cpus]
    for key, cpu in [("single_cpu", receiver.single_cpu), *spread]:
        if cpu >= receiver.cpus:
            allowed = f"a CPU of the receiver, which has 0 to {receiver.cpus - 1}"
            raise InputError(f"{prefix}receiver.{key}", cpu, allowed)
    _check_times(scenario, prefix)
    # pci-epf-vntb alone polls slots or has the embedded doorbell; as the sender, opposite
    # ntb_hw_epf, it alone raises from a work item. `generic` may do anything.
    doorbell, hardware = scenario.link.doorbell, scenario.device.hardware
    driver = RECEIVERS.get(doorbell)
    if driver is not None and hardware != "generic" and not hardware.startswith(driver):
        allowed = f"with device.hardware {hardware} not {doorbell}: that takes {driver}"
        raise InputError(f"{prefix}link.doorbell", doorbell, f"{allowed} or generic")
    if not sender.packet and not sender.byte:
        allowed = "above 0 with sender.byte 0: a sender without any cost never ends"
        raise InputError(f"{prefix}sender.packet", 0, allowed)


def _check_times(scenario: Scenario, prefix: str) -> None:
    """Raise InputError where a run, or the gap between two packets, is longer than an hour."""
    run, traffic = scenario.run, scenario.traffic
    if run.warmup + run.duration > TIME_MAX_PS:
        allowed = "an hour at most, the warm-up included"
        raise InputError(f"{prefix}run.duration", duration_text(run.duration, PS), allowed)
    slowest = -(-traffic.length * BITS_A_BYTE * PS // TIME_MAX_PS)
    if 0 < traffic.rate < slowest:
        allowed = f"0, or at least {slowest} bit/s: a packet of {traffic.length} bytes an hour"
        raise InputError(f"{prefix}traffic.rate", traffic.rate, allowed)


def to_toml(scenario: Scenario, comments: Iterable[str] = ()) -> str:
    """Return a scenario as a TOML file that `load_scenario` reads back to the same one."""
    table = shown(scenario)
    lines = [f"# {comment}" for comment in comments]
    lines += _toml({key: value for key, value in table.items() if not isinstance(value, dict)})
    for section in sections(scenario):
        lines += ["", f"[{section}]", *_toml(table[section])]
    return "\n".join(lines) + "\n"


def _toml(table: Mapping[str, object]) -> list[str]:
    # What is printable needs only these escapes in a basic string of TOML; JSON has the same.
    return [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in table.items()]
