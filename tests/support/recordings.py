# SPDX-License-Identifier: BSD-3-Clause
"""Real recordings, and what other kernels, recorders and directions would make of them."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
# Those of the loopback device; what the driver pair recorded is read by its own tests.
RECORDINGS = sorted(path.parent for path in DATA.glob("linux-*/**/trace"))
SPACED = [path for path in RECORDINGS if "gap_us=0 " not in (path / "point").read_text()]
BURSTS = [path for path in RECORDINGS if path not in SPACED]
LOOP_612 = DATA / "linux-6.12-ntb-loop"
PER_VECTOR = LOOP_612 / "per-vector-four-qps"

EVENT = re.compile(r"^(\s*)(\S.*?)-(\d+)(\s+)\[(\d+)\] (\S+)(\s+)([\d.]+): (\w+): (.*)$")
ADDRESS = re.compile(r"0xff[0-9a-f]{14}")

Edit = Callable[[str], str]


def name_of(path: Path) -> str:
    return path.relative_to(DATA).as_posix()


def copy(source: Path, target: Path, trace: Edit = str, state: Edit = str) -> Path:
    """Copy a recording, its trace and state edited, and return its folder."""
    shutil.copytree(source, target)
    for name, edit in (("trace", trace), ("state", state)):
        (target / name).write_text(edit((target / name).read_text()))
    return target


def by_line(edit: Callable[[re.Match[str]], str | None]) -> Edit:
    """Return an edit of a trace that maps each event line; None drops it, the header follows."""

    def apply(text: str) -> str:
        lines = []
        for line in text.splitlines():
            match = EVENT.match(line)
            mapped = line if match is None else edit(match)
            if mapped is not None:
                lines.append(mapped)
        return recount("\n".join(lines) + "\n")

    return apply


def recount(text: str) -> str:
    """Make the header's counts those of the event lines."""
    events = sum(EVENT.match(line) is not None for line in text.splitlines())
    return re.sub(r"(entries-written: )\d+/\d+", rf"\g<1>{events}/{events}", text)


def without(*names: str) -> Edit:
    """Drop events, as on a kernel that lacks them."""
    return by_line(lambda match: None if match[9] in names else match[0])


def no_flags(match: re.Match[str]) -> str:
    """Print a line as with the option irq-info off."""
    return (
        f"{match[1]}{match[2]}-{match[3]}{match[4]}[{match[5]}] {match[8]}: {match[9]}: {match[10]}"
    )


def with_tgid(match: re.Match[str]) -> str:
    """Print a line as with the option record-tgid on."""
    tgid = "(-------)" if match[2] == "ksoftirqd/0" else f"({match[3]:>7})"
    return f"{match[1]}{match[2]}-{match[3]}{match[4]}{tgid} [{match[5]}] {match[6]}{match[7]}" + (
        f"{match[8]}: {match[9]}: {match[10]}"
    )


def odd_comm(match: re.Match[str]) -> str:
    """Give every task a name with blanks, dashes and digits in it."""
    return match[0].replace(f"{match[2]}-{match[3]}", f"k 0:1-8 -7-{match[3]}", 1)


def receiver_on_cpu1(match: re.Match[str]) -> str:
    """Deliver interrupts to another CPU than the sender's."""
    cpu = "000" if match[9] == "peer_db_set" else "001"
    return match[0].replace(f"[{match[5]}]", f"[{cpu}]", 1)


def other_symbols(match: re.Match[str]) -> str:
    """Print symbols as another build does."""
    return re.sub(r"\((\w+)\+0x\d/0x\w+( \[\w+\])?\)", r"(\1.isra.0+0x9/0x1c0)", match[0])


def moved_tasklets(offset: int) -> Edit:
    """Put each tasklet `offset` behind its QP instead of 0xf8."""
    pattern = re.compile(r"tasklet=0x(\w+)")

    def move(match: re.Match[str]) -> str:
        return f"tasklet={int(match[1], 16) - 0xF8 + offset:#x}"

    return by_line(lambda line: pattern.sub(move, line[0]))


def short_addresses(text: str) -> str:
    """Make the addresses those of a 32-bit kernel."""
    return ADDRESS.sub(lambda match: f"0x{int(match[0], 16) & 0xFFFFFFFF:08x}", text)


def swapped_ports(text: str) -> str:
    """Call port 1 port 0 and the other way round: the sender is then port 1."""
    return text.replace("port 0", "port X").replace("port 1", "port 0").replace("port X", "port 1")


def foreign_tasklets(text: str) -> str:
    """Put another driver's tasklet before every run, and once at an address without a name."""
    lines = []
    for line in text.splitlines():
        match = EVENT.match(line)
        if match is not None and match[9] == "tasklet_entry":
            head = line[: match.start(9)]
            lines += [
                f"{head}tasklet_schedule: (__tasklet_schedule+0x4/0x20) tasklet=0xffff888001234560",
                f"{head}tasklet_entry: tasklet=0xffff888001234560 function=ath_rx [ath9k]",
                f"{head}tasklet_exit: tasklet=0xffff888001234560 function=ath_rx [ath9k]",
                f"{head}tasklet_entry: tasklet=bh_tasklet function=bh_work [other]",
            ]
        lines.append(line)
    return recount("\n".join(lines) + "\n")


def one_qp_too_many(text: str) -> str:
    """Let each doorbell callback schedule QP 3 as well, but the one whose QP that is."""
    (state,) = re.findall(r"port 1 qp 3 .* ptr 0x(\w+)", (PER_VECTOR / "state").read_text())
    tasklet = f"tasklet={int(state, 16) + 0xF8:#x}"
    lines, due = [], False
    for line in text.splitlines():
        if due and "tasklet_exit" in line:  # it runs where its list is served: after the others
            lines += [line, *(line.replace("exit", part) for part in ("entry", "exit"))]
            lines[-2:] = [re.sub(r"tasklet=0x\w+", tasklet, run) for run in lines[-2:]]
            due = False
            continue
        lines.append(line)
        if "d.h" in line and ": tasklet_schedule: " in line and tasklet not in line:
            lines.append(re.sub(r"tasklet=0x\w+", tasklet, line))
            due = True
    return recount("\n".join(lines) + "\n")
