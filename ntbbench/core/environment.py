# SPDX-License-Identifier: BSD-3-Clause
"""The machine, the build and the source behind a result; what cannot be read says so."""

import os
import platform
import resource
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

import ntbbench
from ntbbench.core import _build
from ntbbench.core.clock import NS, Timer

LIBRARIES = ("numpy", "scipy", "msgspec")
CPUINFO = Path("/proc/cpuinfo")
CPUS = Path("/sys/devices/system/cpu")
# x86 and Arm have their own words for the same facts.
MODEL_KEYS = ("model name", "Model", "CPU part", "cpu")
FLAG_KEYS = ("flags", "Features", "isa")
GIT_TIMEOUT = 10.0


class Cpu(Struct, frozen=True, kw_only=True):
    """The processor."""

    model: str
    flags: list[str] | str  # one text where they cannot be read
    architecture: str
    cores: int  # that this process may use
    governor: str


class Compiler(Struct, frozen=True, kw_only=True):
    """What the compiled kernels were built with."""

    name: str  # and version
    flags: str  # those of the command line that decide about code, in order
    checked: bool  # with bounds checks and sanitizers: never a build to time


BUILD = Compiler(name=_build.COMPILER, flags=_build.FLAGS, checked=_build.CHECKED)


class Git(Struct, frozen=True, kw_only=True):
    """The commit of ntbbench's own source, or else of the current directory's repository."""

    commit: str
    dirty: bool | str
    of: str


class ClockRecord(Struct, frozen=True, kw_only=True):
    """The clock of the timed samples: CPU time of a thread."""

    name: str
    implementation: str
    resolution: float  # the smallest step that it showed, in seconds


class Environment(Struct, frozen=True, kw_only=True):
    """Everything that a number of a result may depend on besides the scenario."""

    ntbbench: str
    cpu: Cpu
    kernel: str
    compiler: Compiler
    python: str
    libraries: dict[str, str]
    git: Git
    clock: ClockRecord
    started: str  # UTC, ISO 8601

    def record(self) -> dict[str, Any]:
        """Return what a result file holds."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def environment(timer: Timer) -> Environment:
    """Return the environment of this process, with `timer` as its clock."""
    return Environment(
        ntbbench=ntbbench.__version__,
        cpu=cpu(CPUINFO, CPUS),
        kernel=f"{platform.system()} {platform.release()} {platform.version()}",
        compiler=BUILD,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries={name: version(name) for name in LIBRARIES},
        git=git(Path(ntbbench.__file__).parent, Path.cwd()),
        clock=ClockRecord(
            name="thread_time",
            implementation=time.get_clock_info("thread_time").implementation,
            resolution=timer.resolution / NS,
        ),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a recorded environment under which timings can be mixed."""
    kept = ("ntbbench", "cpu", "kernel", "compiler", "python", "libraries")
    return {key: record.get(key) for key in kept}


def cpu(cpuinfo: Path, cpus: Path) -> Cpu:
    """Return the processor as the kernel's files describe it."""
    facts: dict[str, str] = {}
    reason = f"not readable: {cpuinfo} does not name it"
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    except OSError as error:
        reason = unreadable(error)
    model = next((facts[key] for key in MODEL_KEYS if facts.get(key)), reason)
    flags = next((facts[key].split() for key in FLAG_KEYS if facts.get(key)), reason)
    return Cpu(
        model=model,
        flags=flags,
        architecture=platform.machine(),
        cores=usable_cores(),
        governor=governor(cpus),
    )


def governor(cpus: Path) -> str:
    """Return the frequency governor of the cores, or all of them where they differ."""
    files = sorted(cpus.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    if not files:
        return f"not readable: no cpufreq/scaling_governor below {cpus}"
    try:
        return ", ".join(sorted({file.read_text(encoding="utf-8").strip() for file in files}))
    except OSError as error:
        return unreadable(error)


def free_memory() -> int:
    """Return the bytes of memory that this process may still take.

    Source: Documentation/filesystems/proc.rst of Linux 7.3 (MemAvailable, statm).
    """
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return free
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return min(free, max(0, limit - pages * resource.getpagesize()))


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def git(source: Path, current: Path) -> Git:
    """Return the commit of the repository that tracks `source`, else of that around `current`."""
    try:
        tracked = _git(source, "ls-files", "--error-unmatch", "__init__.py").returncode == 0
        folder, of = (source, "ntbbench's source") if tracked else (current, "current directory")
        head = _git(folder, "rev-parse", "HEAD")
        if head.returncode:
            reason = f"not readable: {' '.join(head.stderr.split())}"
            return Git(commit=reason, dirty=reason, of=of)
        status = _git(folder, "status", "--porcelain", "--untracked-files=no")
        return Git(commit=head.stdout.strip(), dirty=bool(status.stdout.strip()), of=of)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = unreadable(error)
        return Git(commit=reason, dirty=reason, of="no repository")


def unreadable(error: Exception) -> str:
    """Return the words that stand for an item that could not be read."""
    return f"not readable: {getattr(error, 'strerror', None) or error}"


def _git(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # fixed words, no shell
        ["git", "-C", str(folder), *command],  # noqa: S607  # the git of the user's PATH
        capture_output=True,
        text=True,
        timeout=GIT_TIMEOUT,
        check=False,
    )
