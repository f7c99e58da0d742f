# SPDX-License-Identifier: BSD-3-Clause
"""A host that is a table: what a run sets it remembers, and it can refuse, vanish or reboot."""

import re
from collections.abc import Callable, Sequence

from ntbbench.board.hosts import Done, Host, HostLost, Running, Stop

LINES = ("pci-vntb:0", "pci-vntb:1")
SETTING = re.compile(
    r"ethtool -L eth1 (?P<kind>\w+) (?P<count>\d+)|"
    r"echo (?P<cpu>[\d,-]+) > /proc/irq/(?P<irq>\d+)/smp_affinity_list|"
    r"echo (?P<governor>\w+) > /sys/devices/system/cpu/(?P<of>\w+)/cpufreq/scaling_governor|"
    r"systemctl (?P<verb>start|stop) irqbalance|"
    r"rmmod (?P<gone>\w+)|insmod (?P<path>\S+)|modprobe (?P<again>\w+)|"
    r"\[ ! -d /sys/module/(?P<there>\w+) \] \|\| rmmod \w+|"
    r"(?P<lock>ln -s .*)|(?P<unlock>case .*)|(?P<boot>reboot \S+)"
)


class FakeHost(Host):
    """A board of two CPUs with a driver of two doorbell lines.

    Parameters
    ----------
    refuses : a part of a line that exits 1.
    lost_at : the number of the line, from 1, at which it is lost for good; 0: never.
    """

    def __init__(self, name: str, *, irqbalance: bool = False) -> None:
        super().__init__(name)
        self.channels = 4
        self.affinity = {"40": "0-1", "41": "0-1"}
        self.governor = {"cpu0": "schedutil", "cpu1": "schedutil"}
        self.irqbalance = irqbalance
        self.modules = {"ntb_netdev": "AAA"}
        self.kernel, self.boot, self.clock, self.locked = "6.19.0", f"{name}-1", 10**9, False
        self.refuses, self.lost_at, self.count = "", 0, 0
        self.lines: list[str] = []

    def launch(self, words: Sequence[str], first: bytes = b"") -> Running:
        """Nothing is launched: `run` answers."""
        raise AssertionError(f"nothing is launched, `run` answers: {words}")

    def run(self, line: str, limit: float = 1.0, stop: Stop = lambda: False) -> Done:
        """Return what the board would tell."""
        self.count += 1
        if self.lost_at and self.count >= self.lost_at:
            raise HostLost(f"{self.name}: the connection was lost")
        if " survey " in line:
            return Done(0, self._told().encode(), "")
        self.lines.append(line)
        found = SETTING.fullmatch(line)
        assert found is not None, line
        if self.refuses and self.refuses in line:
            return Done(1, b"", "refused")
        self._set({key: value for key, value in found.groupdict().items() if value})
        return Done(0, b"", "")

    def _set(self, to: dict[str, str]) -> None:
        acts: dict[str, Callable[[str], object]] = {
            "count": lambda v: setattr(self, "channels", int(v)),
            "cpu": lambda v: self.affinity.update({to["irq"]: v}),
            "governor": lambda v: self.governor.update({to["of"]: v}),
            "verb": lambda v: setattr(self, "irqbalance", v == "start"),
            "gone": self.modules.pop,
            "there": lambda v: self.modules.pop(v, None),
            "path": lambda v: self._fresh("NEW"),
            "again": lambda v: self._fresh("AAA"),
            "lock": lambda v: setattr(self, "locked", True),
            "unlock": lambda v: setattr(self, "locked", False),
            "boot": lambda v: self._rebooted(v.split()[1]),
        }
        for key, value in to.items():
            acts.get(key, lambda v: None)(value)

    def _fresh(self, version: str) -> None:
        """Load the driver: its channels and lines are new ones."""
        self.modules["ntb_netdev"] = version
        self.channels, self.affinity = 4, {"50": "0-1", "51": "0-1"}

    def _rebooted(self, kernel: str) -> None:
        self.kernel, self.boot, self.locked = kernel, f"{self.boot}+", False
        self._fresh("AAA")
        raise HostLost(f"{self.name}: the connection was lost")

    def state(self) -> tuple[object, ...]:
        """Return all that a run may change; the lines by their order, for a reload renumbers."""
        return (self.channels, [*self.affinity.values()], dict(self.governor), self.irqbalance,
                dict(self.modules), self.kernel, self.locked)  # fmt: skip

    def _told(self) -> str:
        told = {"kernel": self.kernel, "boot": self.boot, "uid": "0", "cpus": "0-1",
                "clock": str(self.clock), "channels combined": str(self.channels),
                "irqbalance": "running" if self.irqbalance else "",
                "tool systemctl": "yes"}  # fmt: skip
        for name, version in self.modules.items():
            told |= {f"module {name}": version, f"loaded {name}": "yes", f"modprobe {name}": "AAA"}
        told |= {f"governor {cpu}": value for cpu, value in self.governor.items()}
        told |= {f"irq {irq}": value for irq, value in self.affinity.items()}
        lines = [f" {irq}: 0 0 GIC 1 Edge {n}" for irq, n in zip(self.affinity, LINES, strict=True)]
        return "\n".join([f"{k}\t{v}" for k, v in told.items()] + [f"line\t{one}" for one in lines])
