# SPDX-License-Identifier: BSD-3-Clause
"""Every command that reads a file, with a damaged one."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from golden_cases import DATA, DOCS, INPUTS
from mutations import damaged_file, damaged_folder, folders, single_files
from stress_runs import Ran, forked

FORMATS = ("text", "text -v", "md", "mail", "csv", "json", "html", "junit", "ktap", "github")
LOG_ROWS = 40
SWEEP = "--queues 1 --repeats 0 --interrupts 1000 -o o.json"
SIMULATE = "--queues 1 --replications 1 --duration 1ms --warmup 1ms --jobs 1 -o o.json"
SHOWN = " --format {form}"
# By the kind of file. {bad} is the damaged copy, {good} the file itself.
COMMANDS = {
    "result": (
        "show {bad}" + SHOWN,
        "show -",
        "compare {good} {bad}" + SHOWN,
        "gate {bad} {good}" + SHOWN,
        "gate {bad} {bad}" + SHOWN,
        "calibrate {bad} {good} {good} {good}",
        "history add {bad} --commit x --store new.sqlite",
    ),
    "sweep": ("sweep --resume {bad} -o o.json",),
    "simulation": ("simulate --resume {bad} -o o.json",),
    "ab": ("ab --resume {bad}",),
    "measured": ("explain {bad}", "explain {bad} --hardware ntb_hw_epf-v4" + SHOWN),
    "policy": ("gate {base} {base} --policy {bad}", "history check --store {store} --policy {bad}"),
    "board": ("simulate {bad} " + SIMULATE,),
    "scenario": ("sweep {bad} " + SWEEP,),
    "log": ("sweep --workload log:{bad} " + SWEEP,),
    "runs": ("compare {good} {bad}" + SHOWN, "gate {bad} {good}"),
    "store": (
        "history show --store {bad}" + SHOWN,
        "history check --store {bad}" + SHOWN,
        "history export --store {bad}",
        "history accept X --store {bad}",
        "gate {base} --against-history 5 --store {bad}",
    ),
    "capture": ("ingest {bad}" + SHOWN, "compare {bad} {good}"),
    "folder": ("ingest {bad}" + SHOWN, "replay {bad}"),
}
READ_ONLY = ("history show", "history check", "history export")
ERRORS_A_FILE = ("ingest",)  # each file that cannot be used is a line
SCENARIO = """\
queues = [1, 2]
doorbells = [4]
workload = ["round-robin", "hot:queue=0,share=0.5", "burst:size=4,of=zipf:s=1.1"]
seed = 7
"""


@dataclass(frozen=True)
class Source:
    """A good file, and the kinds of file that it is."""

    path: Path
    kinds: tuple[str, ...]

    def commands(self) -> tuple[str, ...]:
        """Return the commands that read it."""
        return tuple(command for kind in self.kinds for command in COMMANDS[kind])


def sources(work: Path) -> list[Source]:
    """Return a file of every kind; those that are not committed are made in `work`."""
    return [
        *_results(),
        Source(INPUTS / "policy.toml", ("policy",)),
        Source(DOCS / "examples" / "board.toml", ("board",)),
        *(Source(path, ("store",)) for path in sorted(INPUTS.glob("*.sqlite"))),
        *(Source(path, ("log",)) for path in _logs(work)),
        Source(DOCS / "examples" / "runs.csv", ("runs",)),
        Source(_written(work / "scenario.toml", SCENARIO), ("scenario",)),
        *(Source(path, ("capture",)) for path in single_files()),
        *(Source(path, ("folder",)) for path in _folders()),
    ]


def _results() -> Iterator[Source]:
    extra = {"sweep": "sweep", "simulation": "simulation", "ab": "ab", "measured": "measured"}
    for path in sorted(INPUTS.glob("*.json")):
        kind = extra.get(path.stem.partition("-")[0])
        yield Source(path, ("result", kind) if kind else ("result",))


def _folders() -> Iterator[Path]:
    yield from folders()
    yield from (point.parent for point in sorted((DATA / "pair").rglob("point"))[:2])


def _logs(work: Path) -> Iterator[Path]:
    time = np.arange(LOG_ROWS) * 1e-6
    bits = (1 << np.arange(LOG_ROWS, dtype=np.uint64) % 4).astype(np.uint64)
    rows = "".join(f"{t},{b}\n" for t, b in zip(time.tolist(), bits.tolist(), strict=True))
    yield _written(work / "log.csv", "time,db_bits\n" + rows)
    for name, save in (("plain.npz", np.savez), ("packed.npz", np.savez_compressed)):
        save(work / name, time=time, db_bits=bits)
        yield work / name
    table = np.zeros(LOG_ROWS, [("time", "f8"), ("db_bits", "u8")])
    table["time"], table["db_bits"] = time, bits
    np.save(work / "log.npy", table)
    yield work / "log.npy"


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


class Inputs:
    """Runs of every command with damaged files."""

    def __init__(self, work: Path, draw: random.Random) -> None:
        self.work = work
        self.draw = draw
        self.by_kind: dict[tuple[str, ...], list[Source]] = {}
        for source in sources(work):
            self.by_kind.setdefault(source.kinds, []).append(source)

    def run(self, folder: Path) -> tuple[Ran, list[str]]:
        """Run one command in an empty folder; return what it did, and what was wrong with it."""
        source = self.draw.choice(self.by_kind[self.draw.choice(list(self.by_kind))])
        damage = damaged_folder if source.path.is_dir() else damaged_file
        bad = damage(source.path, folder / source.path.name, self.draw)
        words = self._words(self.draw.choice(source.commands()), source.path, bad.name)
        before = contents(folder)
        piped = bad if words[:2] == ["show", "-"] else None
        ran = forked(words, folder, stdin=piped)
        found = ran.wrong(lines=0 if words[0] in ERRORS_A_FILE else 1)
        changed = [name for name, data in before.items() if contents(folder).get(name) != data]
        if changed and " ".join(words[:2]) != "history accept":
            found.append(f"{changed[0]} is another one")
        if " ".join(words[:2]) in READ_ONLY and contents(folder) != before:
            found.append("a file beside the store")
        if any(name.endswith(".tmp") for name in contents(folder)):
            found.append("a temporary file is left")
        return ran, found

    def _words(self, command: str, good: Path, bad: str) -> list[str]:
        names: dict[str, str | Path] = {
            "bad": bad,
            "good": good,
            "base": INPUTS / "bench-base.json",
            "store": INPUTS / "history.sqlite",
            "form": self.draw.choice(FORMATS),
        }
        return command.format(**names).split()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its name there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def emptied(folder: Path) -> Path:
    """Return an empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
