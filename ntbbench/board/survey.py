# SPDX-License-Identifier: BSD-3-Clause
"""What there is on a host, read without changing it, and its settings: what a run may change."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from ntbbench.board.hosts import Host
from ntbbench.board.settings import Board, BoardSide
from ntbbench.core.errors import InputError

# Drivers of NTB, as /proc/interrupts names their lines.
NTB_LINES = re.compile(
    r"\b(?:ntb|pci-vntb|pci_epf_vntb|ndev_vec|amd-ntb|switchtec)[\w.:-]*", re.IGNORECASE
)
IRQ_LINE = re.compile(r"\s*(\d+):\s+((?:\d+\s+)+)(\S.*)")
CLIENTS = ("ntb_transport", "ntb_netdev", "ntb_perf", "ntb_pingpong")
KNOWN_MODULES = ("ntb", *CLIENTS, "ntb_hw_epf", "pci_epf_vntb")
CHANNELS = ("combined", "rx", "tx")


@dataclass(frozen=True)
class Survey:
    """What a host told.

    Parameters
    ----------
    told : by key, as survey.sh prints it.
    lines : doorbell interrupts: a name of each and Linux's number, in the order of the numbers.
    """

    told: Mapping[str, str]
    lines: Mapping[str, int]

    def get(self, key: str) -> str:
        """Return what was told; "": nothing."""
        return self.told.get(key, "")

    def has(self, tool: str) -> bool:
        """Return whether a program is installed."""
        return f"tool {tool}" in self.told

    @property
    def cpus(self) -> list[int]:
        """Return the CPUs that are online."""
        return list(_ranges(self.get("cpus")))

    def group(self, kind: str) -> dict[str, str]:
        """Return what was told of several things of a kind, by their names."""
        return {
            key.partition(" ")[2]: value
            for key, value in self.told.items()
            if key.startswith(f"{kind} ")
        }

    def settings(self) -> dict[str, str]:
        """Return what a run may change, by names that outlive a reload of the driver."""
        found = {f"channels {name}": self.get(f"channels {name}") for name in CHANNELS}
        found |= {f"affinity {name}": self.get(f"irq {irq}") for name, irq in self.lines.items()}
        found |= {f"governor {cpu}": value for cpu, value in self.group("governor").items()}
        found["irqbalance"] = self.get("irqbalance") or "stopped"
        return {key: value for key, value in found.items() if value}

    def drivers(self) -> dict[str, str]:
        """Return the kernel and the modules: what a result is of."""
        loaded = self.group("loaded")
        return {"kernel": self.get("kernel")} | {
            name: self.get(f"module {name}") or "loaded" for name in loaded
        }


def survey(host: Host, board: Board) -> Survey:
    """Return what a host tells; exceptions as of `Host.run`."""
    side = board.side(host.name)
    script = files("ntbbench.board").joinpath("survey.sh").read_text(encoding="utf-8")
    words = ["/bin/sh", "-c", script, "survey", side.netdev, *module_names(board)]
    text = host.checked(shlex.join(words)).text
    lines: list[str] = []
    told: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t")
        if key == "line":
            lines.append(value)
        else:
            told[key] = value
    return Survey(told, dict(_doorbell_lines(lines, side)))


def module_names(board: Board) -> list[str]:
    """Return the modules that variants load, and those of NTB."""
    paths = [path for variant in board.variants for path in variant.modules]
    return list(dict.fromkeys([*KNOWN_MODULES, *map(module_name, paths)]))


def module_name(path: str) -> str:
    """Return ntb_netdev of /lib/v4/ntb-netdev.ko."""
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def _doorbell_lines(lines: Iterable[str], side: BoardSide) -> Iterable[tuple[str, int]]:
    """Yield each line by its action; of several with one action, the second is called NAME#2."""
    wanted = re.compile(side.irqs) if side.irqs else NTB_LINES
    seen: dict[str, int] = {}
    for line in lines:
        found = IRQ_LINE.fullmatch(line)
        if found is None or not wanted.search(found[3]):
            continue
        name = found[3].split()[-1]
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}#{seen[name]}"), int(found[1])


def setting_line(side: BoardSide, now: Survey, key: str, value: str) -> str:
    """Return the shell line that gives a setting a value; InputError: it is not there any more."""
    kind, _, name = key.partition(" ")
    if kind == "channels":
        return f"ethtool -L {shlex.quote(side.netdev)} {name} {value}"
    if kind == "affinity":
        if name not in now.lines:
            raise InputError(f"{key}", value, "an interrupt line that is there")
        return f"echo {value} > /proc/irq/{now.lines[name]}/smp_affinity_list"
    if kind == "governor":
        return f"echo {value} > /sys/devices/system/cpu/{name}/cpufreq/scaling_governor"
    assert kind == "irqbalance"
    return f"systemctl {'start' if value == 'running' else 'stop'} irqbalance"


def _ranges(text: str) -> Iterable[int]:
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        yield from range(int(low), int(high or low) + 1)
