# SPDX-License-Identifier: BSD-3-Clause
"""Commands in strange environments, ended by signals, on full disks, and several at once."""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from golden_cases import DATA, INPUTS
from stress_inputs import contents
from stress_runs import CODES, Ran, ended, forked, left_over, started

QUICK = (
    f"show {INPUTS}/sweep-base.json",
    f"compare {INPUTS}/bench-base.json {INPUTS}/bench-new.json",
    f"gate {INPUTS}/sweep-base.json {INPUTS}/sweep-new.json --format ktap",
    f"history check --store {INPUTS}/history.sqlite",
    f"ingest {DATA}/linux-6.12-ntb-loop/fallback-four-qps",
    f"replay {DATA}/linux-6.12-ntb-loop/fallback-four-qps",
    f"explain {INPUTS}/measured.json",
    "hardware ntb_hw_epf-v4 --doorbells 8",
    "doorbell --ep 0 --rc 6.12.117 --bits 0,2",
    "patches --format md",
    "schema sweep",
)
SETTINGS: tuple[Mapping[str, str], ...] = (
    *({"LC_ALL": name} for name in ("C", "POSIX", "xx_XX.ISO-8859-1", "C.UTF-8")),
    *({"COLUMNS": text} for text in ("0", "1", "-5", "x", "99999")),
    *({"TERM": text} for text in ("", "dumb", "xterm-256color", "\x1b[31m")),
    *({"HOME": text} for text in ("", "/nonexistent", "relative")),
    *({"PYTHONUNBUFFERED": "1"}, {"PYTHONOPTIMIZE": "2"}, {"TMPDIR": "/nonexistent"}),
    *({"TZ": "Nowhere/Nothing"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"NO_COLOR": "1"}),
    *({"GITHUB_STEP_SUMMARY": "/nonexistent/x"}, {"XDG_CACHE_HOME": "/dev/null"}),
)
LONG = (
    "sweep --queues 1,2,4,8 --repeats 400 -o r.json",
    "simulate --queues 1,2,4 --replications 300 --jobs 2 -o r.json",
    "sweep --queues 1-16 --doorbells 16 --interrupts 30000000 --repeats 0 -o r.json",
    "calibrate --rounds 30 -o t.toml",
    "capture -o captured --seconds 60",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
SAVING = (
    "sweep --queues 1,2 --repeats 0 --interrupts 1000 -o r.json --html p.html",
    "simulate --queues 1 --replications 1 --duration 1ms --warmup 1ms --jobs 1 -o r.json",
    f"show {INPUTS}/sweep-base.json --write csv=r.json",
    f"history add {INPUTS}/bench-base.json --commit x --store s.sqlite",
    f"ingest {DATA}/linux-6.12-ntb-loop/fallback-four-qps -o r.json",
)
OLD = b"what was there before\n"
TOGETHER = 3


class Places:
    """Runs of whole commands, each method one of a kind."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self._usual: dict[str, Ran] = {}

    def environment(self, folder: Path) -> tuple[Ran, list[str]]:
        """Run a quick command in an odd environment: it says the same as in a usual one."""
        command = self.draw.choice(QUICK)
        words = command.split()
        if command not in self._usual:
            self._usual[command] = ended(started(words, folder), words)
        usual = self._usual[command]
        settings = {key: v for one in self.draw.sample(SETTINGS, 2) for key, v in one.items()}
        name, prepare = self.draw.choice([("", None), *PREPARED.items()])
        ran = ended(started(words, folder, environment=settings, prepare=prepare), words)
        lost = name == "stdout closed"
        found = ran.wrong({2} if lost else {usual.code or 0})
        if not lost and ran.out != usual.out:
            found.append("another report than usual")
        return ran, [f"{what} with {settings} {name}" for what in found]

    def signals(self, folder: Path) -> tuple[Ran, list[str]]:
        """End a long command at some moment: it ends, and leaves nothing half done."""
        command, number = self.draw.choice(LONG), self.draw.choice(SIGNALS)
        words, temporary = command.split(), folder / "tmp"
        temporary.mkdir()
        process = started(words, folder, environment={"TMPDIR": str(temporary)})
        time.sleep(self.draw.choice([0.05, 0.3, 1.0, 2.0, 4.0]) * self.draw.random())
        for _ in range(self.draw.choice([1, 1, 2])):
            process.send_signal(number)
            time.sleep(0.2 * self.draw.random())
        if number == signal.SIGKILL:
            process.wait()
            left_over(process)  # its children hold its streams
        ran = ended(process, words)
        # capture says 130, whatever ended its interval.
        found = ran.wrong({*CODES, 130, 128 + number, -number}, lines=0)
        if ran.err.endswith(b"KeyboardInterrupt\n"):  # while Python began
            found = [what for what in found if what != "a traceback"]
        if number in (signal.SIGINT, signal.SIGTERM):  # of the others Python tells us nothing
            found += ["a child is left"] * left_over(process)
            names = [*contents(folder)]
            found += [f"{name} is left" for name in names if name.endswith(".tmp")]
            found += ["something is left in TMPDIR"] * any(temporary.iterdir())
        found += _unread(folder)
        return ran, [f"{what} after {number.name}" for what in found]

    def full_disk(self, folder: Path) -> tuple[Ran, list[str]]:
        """Save to a disk that takes so many bytes: the old file stays, or the new one is whole."""
        words = self.draw.choice(SAVING).split()
        name = "s.sqlite" if "s.sqlite" in words else "r.json"
        is_new = name == "s.sqlite" or self.draw.random() < 0.5
        if not is_new:
            (folder / name).write_bytes(OLD)
        room = self.draw.choice([0, 100, 4096, 20_000, 60_000])
        ran = forked(words, folder, file_size=room)
        found = ran.wrong({0, 2}, lines=int(room > 0))  # stderr is a file there, too
        saved = contents(folder).get(name)
        if ran.code and not is_new and saved != OLD:
            found.append("the old file is lost")
        if name == "r.json" and "csv=r.json" not in words and saved not in (None, OLD):
            found += _unread(folder)
        found += [f"{left} is left" for left in contents(folder) if left.endswith(".tmp")]
        return ran, [f"{what} with room for {room}" for what in found]

    def together(self, folder: Path) -> tuple[Ran, list[str]]:
        """Start the same command several times at once: no result is lost or mixed."""
        kind = self.draw.randrange(3)
        sweep = "sweep --queues 1 --repeats 0 --interrupts 1000"
        add = f"history add {INPUTS}/bench-base.json --store s.sqlite --commit"
        commands = [
            [sweep] * TOGETHER,
            [f"{sweep} -o r.json"] * TOGETHER,
            [f"{add} {number}" for number in range(TOGETHER)],
        ][kind]
        processes = [started(command.split(), folder) for command in commands]
        every = [ended(one, c.split()) for one, c in zip(processes, commands, strict=True)]
        found = [what for ran in every for what in ran.wrong({0})]
        results = [*(folder / "results" / "runs").glob("*.json")]
        if kind == 0 and len(results) != TOGETHER:
            found.append(f"{len(results)} of {TOGETHER} results")
        if kind == 2:
            shown = forked(["history", "export", "--store", "s.sqlite"], folder)
            lines = shown.out.decode().splitlines()[1:]
            commits = {cell.strip('"') for line in lines for cell in line.split(",")}
            found += ["a commit is lost"] * (not commits >= {"0", "1", "2"})
        found += [f"{left} is left" for left in contents(folder) if left.endswith(".tmp")]
        return every[0], found + _unread(folder)


def _unread(folder: Path) -> list[str]:
    """Return what is wrong with the result that a run left, if it left one."""
    if not (folder / "r.json").exists():
        return []
    shown = forked(["show", "r.json"], folder)
    return [f"r.json: {what}" for what in shown.wrong({0})]


def _closed(*numbers: int) -> Callable[[], None]:
    return lambda: [os.close(number) for number in numbers] and None


def _nowhere() -> None:
    """Make the current folder one that has gone."""
    gone = Path(f"gone-{os.getpid()}")
    gone.mkdir()
    os.chdir(gone)
    Path.cwd().rmdir()


def _ignored() -> None:
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def _read_only() -> None:
    Path("here").mkdir(mode=0o500)
    os.chdir("here")


PREPARED: dict[str, Callable[[], None]] = {
    "stdin closed": _closed(0),
    "stdout closed": _closed(1),
    "stderr closed": _closed(2),
    "no current folder": _nowhere,
    "signals ignored": _ignored,
    "32 open files": _few_files,
    "a read-only folder": _read_only,
    "umask 0777": lambda: os.umask(0o777) and None,
}
