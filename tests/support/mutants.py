# SPDX-License-Identifier: BSD-3-Clause
"""Every edit of the kit on the real kernel: `make test-mutants`, resumed where it was left.

Each boot is that of `ntbbench lab pair run` by default; some edits take `lab pair check`. What a
boot recorded is kept by the content of what ran, so only what changed runs again; it is judged anew
each time, by the model of today. A whole run writes docs/pair-mutants.md anew.

    python tests/support/mutants.py [--jobs N] [WORD ...]   # edits whose name has one of the words
    python tests/support/mutants.py --page                  # the page, of what is known so far
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from kit_edit import CHECK, EXPLORE, HOSTS, RUN, SETTING, Edit
from pair_kernel import CACHE, rig
from pair_kit import BUGS, HARMLESS, key

from ntbbench.core.result_file import write_bytes
from ntbbench.lab.commands import BuildError, GuestError
from ntbbench.lab.guest_task import Recordings
from ntbbench.lab.hosts.hosts_lab import HostLab
from ntbbench.lab.hosts.hosts_plan import HostPackets
from ntbbench.lab.hosts.joint_source import NTB_FUNCTION, joint_source
from ntbbench.lab.pair.boot.laid_out import lay_out
from ntbbench.lab.pair.boot.pair_task import task
from ntbbench.lab.pair.findings import known_to_model, read_findings
from ntbbench.lab.pair.pair_kernel import CHECK as DEBUG
from ntbbench.lab.pair.pair_kernel import RUN as PLAIN
from ntbbench.lab.pair.plan import AFTER, HostSetup, Packets, PairPlan, PairSetup
from ntbbench.lab.pair.points import all_agree, all_points
from ntbbench.lab.pair.runner import PairLab, recorded
from ntbbench.lab.pair.sources import DRIVERS
from ntbbench.lab.qemu import Boot

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "runs" / "mutants"
PAGE = ROOT / "docs" / "pair-mutants.md"
JOINT = "ntb"  # the side of pci-epf-ntb, whose boots have two hosts
GUESTS = ("ntbbench/lab/guest", "ntbbench/lab/pair/guest")  # what runs beside the edited files
FILES: dict[str, str] = {
    **{str(side): path for side, path in DRIVERS.items()},
    "core": "drivers/ntb/core.c",
    "transport": "drivers/ntb/ntb_transport.c",
    JOINT: NTB_FUNCTION,
}
RECORDED, KEPT_BOOT = "recorded", "boot.json"  # in the folder of a boot
CHECK_ROUNDS = 1
WORDS_MAX = 90  # of a finding, in the table


class Outcome(msgspec.Struct):
    """What one boot said."""

    agrees: bool
    told: list[str]  # what was found, most telling first
    seconds: float


@dataclass(frozen=True)
class Case:
    """What one boot runs: harmless rewrites, one a file, or a bug, or one of either driver."""

    edits: tuple[Edit, ...]

    @property
    def name(self) -> str:
        """The names of its edits."""
        return "; ".join(key(edit) for edit in self.edits)

    @property
    def is_checked(self) -> bool:
        """Whether the debug kernel of `lab pair check` runs it."""
        return self.edits[0].by == CHECK

    @property
    def joins(self) -> bool:
        """Whether its boot has two hosts."""
        return self.edits[0].side == JOINT

    @property
    def is_bug(self) -> bool:
        """Whether something must tell it."""
        return self.edits[0] in BUGS

    def failure(self, outcome: Outcome) -> str:
        """Return how the outcome is not as the kit has it; empty: it is."""
        if not self.is_bug or self.edits[0].by == EXPLORE:
            return "" if outcome.agrees else "does not agree"
        if outcome.agrees:
            return "passes"
        others = [edit.told for edit in self.edits if not self.found(edit, outcome)]
        return f"told by other words than {others[0]!r}" if others else ""

    def found(self, edit: Edit, outcome: Outcome) -> list[str]:
        """Return the findings that tell an edit: of a boot with two, those of its own side."""
        own = f"{edit.side.upper()} driver: " if len(self.edits) > 1 else ""
        return [line for line in outcome.told if own in line and re.search(edit.told, line)]

    def words(self, edit: Edit, outcome: Outcome) -> str:
        """Return the finding that is shown: the one that the kit expects, if it is there."""
        expected = self.found(edit, outcome) if edit.told else []
        return (expected or outcome.told or ["agrees"])[0]


def cases() -> list[Case]:
    """Return all boots: rewrites of different files share one, and bugs of the two drivers do."""
    together = [side for side in FILES if side != JOINT]
    rewrites = [[edit for edit in HARMLESS if edit.side == side] for side in together]
    joints = [(edit,) for edit in HARMLESS if edit.side == JOINT]
    apart = [[e for e in BUGS if e.side == side and e.by == RUN] for side in DRIVERS]
    alone = [(e,) for e in BUGS if e.side not in DRIVERS or e.by != RUN]
    rows = (*alone, *zip_longest(*apart), *zip_longest(*rewrites), *joints)
    return [Case(tuple(filter(None, row))) for row in rows]


@cache
def _guest() -> bytes:
    found = hashlib.sha256(rig().kernel.source.origin.encode())
    for folder in GUESTS:
        for path in sorted((ROOT / folder).iterdir()):
            found.update(path.read_bytes())
    return found.digest()


def edited(case: Case) -> dict[str, str]:
    """Return the new text of each file that a case edits; ValueError: an edit does not apply."""
    return {edit.side: edit.apply(original(edit.side)) for edit in case.edits}


def original(side: str) -> str:
    """Return Linux 7.3's own text of a file that the kit edits."""
    source = rig().kernel.source
    if side == JOINT:
        return joint_source(CACHE, AFTER, source, print).path.read_text()
    return (source.folder / FILES[side]).read_text()


def plan_of(case: Case, **drivers: str) -> PairPlan:
    """Return the defaults of `lab pair run` in the setting of a case, or of `lab pair check`."""
    if case.joins:
        hosts = msgspec.convert(drivers, HostSetup)
        return PairPlan(hosts, HostPackets().whole(hosts), probe=True)
    setup = msgspec.convert({**case.edits[0].setup, **drivers}, PairSetup)
    if case.is_checked:
        return PairPlan(setup, Packets().points(setup), rounds=CHECK_ROUNDS, may_die=True)
    return PairPlan(setup, Packets().whole(setup), probe=True)


def content(case: Case, texts: dict[str, str]) -> str:
    """Return a key of all that decides on what a boot of a case records."""
    found = hashlib.sha256(_guest())
    for side, text in sorted(texts.items()):
        found.update(f"{side}\0{text}\0".encode())
    asked = task(plan_of(case))
    found.update(DEBUG.encode() if case.is_checked else b"")
    found.update(repr((asked.lines, sorted(asked.settings.items()))).encode())
    return found.hexdigest()[:16]


class Kept(msgspec.Struct):
    """A boot that came to an end; its recordings are beside it."""

    seconds: float
    failed: str = ""  # why it recorded nothing
    release: str = ""
    boot: Boot | None = None


def boot(case: Case, texts: dict[str, str], place: Path) -> None:
    """Boot the defaults of `lab pair run` with these files in place of Linux 7.3's.

    Leaves in `place` what came of it.
    """
    start = time.monotonic()
    with TemporaryDirectory() as scratch:
        own, plan = _edited_lab(case, texts, Path(scratch))
        kept = Kept(0.0)
        try:
            made = recorded(own, plan, place / RECORDED, own.modules(own.drivers(plan.setup)))
            kept.release, kept.boot = made.release, made.boot
        except (BuildError, GuestError) as error:
            kept.failed = str(error)
    kept.seconds = round(time.monotonic() - start, 1)
    place.mkdir(parents=True, exist_ok=True)
    write_bytes(place / KEPT_BOOT, msgspec.json.encode(kept))


def _edited_lab(case: Case, texts: dict[str, str], scratch: Path) -> tuple[PairLab, PairPlan]:
    """Write the edited files below `scratch`; return what boots them, and how."""
    lab, asked = rig(DEBUG if case.is_checked else PLAIN), {}
    tree = None
    for side, text in texts.items():
        if side in (*DRIVERS, JOINT):
            path = scratch / Path(FILES[side]).name
            asked[f"{side}_driver"] = str(path)
        else:
            tree = scratch / "linux"
            if not tree.is_dir():
                shutil.copytree(lab.kernel.source.folder, tree, ignore=_packages)
            path = tree / FILES[side]
        path.write_text(text)
    kind = HostLab if case.joins else PairLab
    return kind(lab.cache, lab.kernel, tree, lambda _: None), plan_of(case, **asked)


def _packages(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith(".deb")}


def judged(case: Case, texts: dict[str, str], place: Path) -> Outcome:
    """Return what is said of the boot that `place` keeps."""
    kept = msgspec.json.decode((place / KEPT_BOOT).read_bytes(), type=Kept)
    if kept.boot is None:
        return Outcome(False, [kept.failed], kept.seconds)
    with TemporaryDirectory() as scratch:
        own, plan = _edited_lab(case, texts, Path(scratch))
        made = Recordings(kept.release, place / RECORDED, kept.boot)
        try:
            recordings = lay_out(plan, own.drivers(plan.setup), made)
            points = all_points(recordings)
        except GuestError as error:
            return Outcome(False, [str(error)], kept.seconds)
    found = []
    if case.is_checked:
        found = known_to_model(read_findings(made.folder, recordings.died), recordings)
    told = [f"{finding.function} {finding.line}".strip() for finding in found]
    told += [line for point in points for line in (*point.notes, point.cause) if line]
    agrees = all_agree(points) and not found
    return Outcome(agrees, list(dict.fromkeys(told)), kept.seconds)


# --- all of them ---------------------------------------------------------------------------------


def known(case: Case) -> Outcome | None:
    """Return what is said of a case; None: it was not booted."""
    texts = edited(case)
    place = KEPT / content(case, texts)
    return judged(case, texts, place) if (place / KEPT_BOOT).is_file() else None


def run(chosen: Sequence[Case], jobs: int) -> Iterator[tuple[Case, Outcome]]:
    """Yield each case with its outcome; each is kept at once."""

    def one(case: Case) -> Outcome:
        texts = edited(case)
        place = KEPT / content(case, texts)
        if not (place / KEPT_BOOT).is_file():
            boot(case, texts, place)
        return judged(case, texts, place)

    with ThreadPoolExecutor(jobs) as pool:
        yield from zip(chosen, pool.map(one, chosen), strict=True)


def shown(case: Case, edit: Edit, outcome: Outcome | None) -> str:
    """Return a row of the page's table."""
    by = edit.by if case.is_bug else "agrees"
    if outcome is None:
        return f"| {key(edit)} | {by} | not run | - |"
    words = case.words(edit, outcome).replace("no known behaviour fits: ", "").replace("|", "\\|")
    words = words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 3] + "..."
    failure = case.failure(outcome)
    told = f"FAILED: {failure}" if failure else "-" if outcome.agrees else f"`{words}`"
    return f"| {key(edit)} | {by} | {told} | {outcome.seconds:.0f} |"


def page(found: Sequence[tuple[Case, Outcome | None]]) -> str:
    """Return docs/pair-mutants.md; None: the boot has not been run."""
    rows = [(case, edit, outcome) for case, outcome in found for edit in case.edits]
    bugs, rewrites = [r for r in rows if r[0].is_bug], [r for r in rows if not r[0].is_bug]
    by = {
        command: [r for r in bugs if r[1].by == command]
        for command in (RUN, SETTING, HOSTS, CHECK, EXPLORE)
    }
    head = "| edit | by | told | s |\n|---|---|---|---|"
    tables = ["\n".join([head, *(shown(*row) for row in part)]) for part in (bugs, rewrites)]
    return (
        "# What tells which bug\n\n"
        f"The defaults of `lab pair run` tell {_right(by[RUN])} bugs, another setting of it "
        f"{_right(by[SETTING])},\n`lab pair check` {_right(by[CHECK])}, and of pci-epf-ntb "
        f"`lab pair run --function ntb` {_right(by[HOSTS])};\n"
        f"{len(by[EXPLORE])} need several CPUs. "
        f"Of the rewrites that change nothing {_right(rewrites)} agree.\n\n"
        "`make test-mutants` wrote this page. The edits of Linux 7.3's files are in\n"
        "`tests/support/kit_*.py`. A boot has one of either driver, of the NTB stack or of\n"
        "pci-epf-ntb; the seconds are those of its build and boot, beside other work.\n\n"
        f"## Bugs\n\n{tables[0]}\n\n## Rewrites\n\n{tables[1]}\n"
    )


def _right(rows: Sequence[tuple[Case, Edit, Outcome | None]]) -> str:
    """Return how many are as the kit has it, and how many have not been run."""
    right = sum(outcome is not None and not case.failure(outcome) for case, _, outcome in rows)
    left = sum(outcome is None for _, _, outcome in rows)
    return f"{right} of {len(rows)}" + (f" ({left} not run)" if left else "")


def write_page(found: Sequence[tuple[Case, Outcome | None]]) -> None:
    """Write docs/pair-mutants.md anew."""
    write_bytes(PAGE, page(found).encode())


def main() -> int:
    """Run what was asked for; 1: an outcome is not as the kit has it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="write the page, run nothing")
    parser.add_argument("words", nargs="*", help="edits whose name has one of these words")
    args = parser.parse_args()
    if args.page:
        write_page([(case, known(case)) for case in cases()])
        return 0
    chosen = [c for c in cases() if not args.words or any(w in c.name for w in args.words)]
    found, failures = [], 0
    for case, outcome in run(chosen, args.jobs):
        failure = case.failure(outcome)
        failures += bool(failure)
        mark = f"FAILED ({failure})" if failure else "ok"
        words = " / ".join(case.words(edit, outcome) for edit in case.edits)
        print(f"{mark}: {case.name}: {words} [{outcome.seconds:.0f} s]", flush=True)
        found.append((case, outcome))
    if not args.words:
        write_page(found)
    print(f"{len(found) - failures} of {len(found)} as the kit has it")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
