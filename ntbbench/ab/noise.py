# SPDX-License-Identifier: BSD-3-Clause
"""What on this machine disturbs times, as `pyperf system show` has it; nothing is changed."""

import os
from collections.abc import Iterator
from pathlib import Path

from ntbbench.ab.records import NoiseSource
from ntbbench.core.environment import governor, unreadable

ROOT = Path("/")
CPUS = "sys/devices/system/cpu"
BUSY = 0.1  # processes that run beside, for each CPU
STEADY = "performance"
ASLR = {"0": "off", "1": "on, but for the heap", "2": "on"}


def noise(root: Path = ROOT) -> list[NoiseSource]:
    """Return every source that is known, read below `root`."""
    return [
        NoiseSource(name=name, value=value, advice=advice) for name, value, advice in _found(root)
    ]


def line(found: list[NoiseSource]) -> str:
    """Return the sources in one line; those to be mended first."""
    ordered = sorted(found, key=lambda source: not source.advice)
    return ", ".join(f"{source.name} {_short(source.value)}" for source in ordered)


def _short(value: str) -> str:
    return "unknown" if value.startswith("not readable") else value


def _found(root: Path) -> Iterator[tuple[str, str, str]]:
    cpus = root / CPUS
    steering = governor(cpus)
    moves = steering != STEADY and not steering.startswith("not readable")
    yield "governor", steering, f"set the {STEADY} governor" if moves else ""
    turbo = _turbo(cpus)
    yield "turbo", turbo, "turn it off: its frequency depends on the heat" if turbo == "on" else ""
    smt = {"0": "off", "1": "on"}.get(value := _read(cpus / "smt/active"), value)
    yield "SMT", smt, "turn it off, or leave the sibling idle" if smt == "on" else ""
    yield _load(root)
    guest = _guest(root)
    yield (
        "virtual machine",
        guest,
        "the host's other guests take turns" if guest.startswith("yes") else "",
    )
    aslr = ASLR.get(value := _read(root / "proc/sys/kernel/randomize_va_space"), value)
    fixed = "one layout is measured, which may favour a side: turn it on"
    yield "ASLR", aslr, fixed if aslr == "off" else ""
    yield "isolated CPUs", _read(cpus / "isolated") or "none", ""


def _load(root: Path) -> tuple[str, str, str]:
    text = _read(root / "proc/loadavg")
    load = text.split(" ")[0]
    busy = load.replace(".", "", 1).isdigit() and float(load) > BUSY * (os.cpu_count() or 1)
    return "load", load if "." in load else text, "stop what else runs" if busy else ""


def _turbo(cpus: Path) -> str:
    """Return on or off; Intel's driver has a switch of its own, and it is the other way round."""
    if (own := cpus / "intel_pstate/no_turbo").exists():
        return {"0": "on", "1": "off"}.get(value := _read(own), value)
    return {"1": "on", "0": "off"}.get(value := _read(cpus / "cpufreq/boost"), value)


def _guest(root: Path) -> str:
    """Return what the machine is a guest of; `no` where no CPU flag says that it is one."""
    flags = _read(root / "proc/cpuinfo")
    if flags.startswith("not readable"):
        return flags
    product = _read(root / "sys/class/dmi/id/product_name")
    known = "" if product.startswith("not readable") else f" ({product})"
    return f"yes{known}" if "hypervisor" in flags.split() else "no"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        return unreadable(error)
