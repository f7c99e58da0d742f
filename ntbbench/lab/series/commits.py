# SPDX-License-Identifier: BSD-3-Clause
"""The commits of a series: the kernel files that the lab builds, as each commit leaves them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.packages.apt import parse_spec, version_key
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import tree_version
from ntbbench.lab.pair.sources import (
    DEBIAN,
    DRIVERS,
    FILES,
    DebianSource,
    Say,
    check_tree,
    fetch_source,
)
from ntbbench.lab.series.mailbox import Mailbox, read_mailbox
from ntbbench.lab.series.repository import Repository, git, left_out
from ntbbench.lab.series.series_scenario import SeriesScenario
from ntbbench.lab.series.whole_tree import NEAR, is_built_in, is_whole

MAKEFILE = "Makefile"  # tells a tree's version
RANGE = ".."


@dataclass(frozen=True)
class SeriesStep:
    """One commit; number 0 is what the series stands on."""

    number: int
    subject: str
    commit: str = ""  # its id in --tree, or the mail's Message-ID
    names: tuple[str, ...] = ()  # of the lab's files, that it changes
    left_out: tuple[str, ...] = ()  # what it changes beside them
    folder: Path | None = None  # the files after it; None: it does not apply
    refused: str = ""  # why it does not apply
    kernel: str = ""  # the commit whose whole tree is its kernel; empty: that of --kernel

    @property
    def files(self) -> Path:
        """The files after a commit that applies."""
        assert self.folder is not None
        return self.folder


@dataclass(frozen=True)
class SeriesSteps:
    """What a series is, read and applied."""

    base: str  # what it stands on, in words
    # whether the NTB core, transport and network device are the base's: else the kernel's
    whole: bool
    steps: tuple[SeriesStep, ...]  # the base first; the last may not apply
    left_out: tuple[str, ...] = ()  # subjects of mails without a patch

    @property
    def first(self) -> SeriesStep:
        """The base."""
        return self.steps[0]

    @property
    def applied(self) -> tuple[SeriesStep, ...]:
        """The base and the commits that apply; of no commits there is no base to run either."""
        found = tuple(step for step in self.steps if step.folder is not None)
        return found if len(self.steps) > 1 else ()


def read_steps(
    cache: Cache, asked: SeriesScenario, kernel: DebianSource, scratch: Path, say: Say
) -> SeriesSteps:
    """Return the commits of a series, each applied below `scratch`, up to the first that cannot be.

    InputError: no series, no such base, a prerequisite that does not apply.
    FetchError: the base could not be had.
    """
    if asked.tree is not None:
        return _of_range(asked, Path(asked.tree), kernel, scratch)
    place = Path(asked.series)
    if not place.exists():
        allowed = "a mailbox, a folder of mails, or BASE..HEAD with --tree DIR"
        raise InputError("MBOX", asked.series, allowed)
    base = _base(cache, asked.base, say)
    names = _names(base.version, kernel)
    files = {name: base.tree / name for name in names}
    repository = Repository(scratch / "git", files, base.objects)
    for number, prerequisite in enumerate(asked.prerequisites):
        box = read_mailbox("--prerequisite", Path(prerequisite), scratch / f"before-{number}")
        for mail in box.patches:
            if refused := repository.apply(mail.patch):
                allowed = f"patches that apply to {base.words}: {mail.subject}: {refused}"
                raise InputError("--prerequisite", prerequisite, allowed)
    box = read_mailbox("MBOX", place, scratch / "series")
    steps = _applied(repository, box, scratch)
    return SeriesSteps(base.words, len(names) == len(FILES), tuple(steps), box.left_out)


def _applied(repository: Repository, box: Mailbox, scratch: Path) -> Iterator[SeriesStep]:
    """Yield the base and each patch applied to it, up to the first that cannot be."""
    names = repository.names
    yield SeriesStep(0, "the base", folder=repository.export(scratch / "0"))
    for number, mail in enumerate(box.patches, 1):
        ours = tuple(name for name in mail.names if name in names)
        beside = left_out(mail.names, names)
        refused = repository.apply(mail.patch)
        folder = None if refused else repository.export(scratch / str(number))
        yield SeriesStep(number, mail.subject, mail.message_id, ours, beside, folder, refused)
        if refused:
            return


@dataclass(frozen=True)
class _Base:
    """What mails are applied to."""

    tree: Path
    words: str  # what it is
    version: str | None  # None: it does not say
    objects: Path | None = None  # of its repository; None: it is none


def _base(cache: Cache, spec: str, say: Say) -> _Base:
    if spec.startswith(DEBIAN):
        try:
            version = parse_spec(spec)
        except InputError as error:
            raise InputError("--base", spec, f"{error.allowed}, or a kernel tree") from None
        source = fetch_source(cache, version, say)
        return _Base(source.folder, source.origin, source.manifest.version)
    root = check_tree("--base", Path(spec))
    told = git("-C", root, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    objects = None if told.status else Path(told.stdout.strip())
    return _Base(root, str(root), tree_version(root), objects)


def _names(version: str | None, kernel: DebianSource) -> tuple[str, ...]:
    """Return the files that the lab takes of a base: of one older than the kernel two drivers."""
    booted = kernel.manifest.version
    branches = {tuple(text.split(".")[:2]) for text in (version or booted, booted)}
    older = len(branches) > 1 and version_key(version or booted) < version_key(booted)
    return tuple(DRIVERS.values()) if older else FILES


def _of_range(
    asked: SeriesScenario, tree: Path, kernel: DebianSource, scratch: Path
) -> SeriesSteps:
    """Return the commits of BASE..HEAD in a repository."""
    range_of = _Range(tree, asked.series)
    base = range_of.base
    start = range_of.export(base, (*FILES, MAKEFILE), scratch / "0")
    names = _names(tree_version(start), kernel)
    missing = [name for name in names if not (start / name).is_file()]
    if missing:
        raise InputError("--tree", str(tree), f"a kernel's repository with {missing[0]}")
    steps = list(range_of.steps(names, start, scratch))
    every = range_of.commits()
    if not every:
        raise InputError("BASE..HEAD", asked.series, "a range with at least one commit")
    others = len(every) - len(steps) + 1
    left = (f"{others} of the range's commits, which change nothing that runs",) if others else ()
    return SeriesSteps(f"{base[:12]} of {tree}", len(names) == len(FILES), tuple(steps), left)


class _Range:
    """Commits of a repository."""

    def __init__(self, tree: Path, words: str) -> None:
        self.tree = tree
        base, dots, head = words.partition(RANGE)
        if not dots or head.startswith("."):
            raise InputError("BASE..HEAD", words, "two commits of --tree, joined by two dots")
        told = git("-C", tree, "merge-base", base or "HEAD", head or "HEAD")
        if told.status:
            raise InputError("BASE..HEAD", words, f"commits of {tree}: {told.last_words}")
        self.base, self.head = told.stdout.strip(), head or "HEAD"

    def _git(self, *words: str) -> str:
        return git("-C", self.tree, *words).stdout

    def commits(self, *names: str) -> list[str]:
        """Return the commits, oldest first, of a merge those of both sides; those on some files."""
        order = ("--reverse", "--topo-order", "--no-merges")
        told = self._git("rev-list", *order, f"{self.base}..{self.head}", "--", *names)
        return told.split()

    def subject(self, commit: str) -> str:
        return self._git("show", "-s", "--format=%s", commit).strip()

    def changed(self, commit: str) -> tuple[str, ...]:
        words = ("diff-tree", "--no-commit-id", "--name-only", "-r", "-z", "--root", commit)
        return tuple(name for name in self._git(*words).split("\0") if name)

    def steps(self, names: tuple[str, ...], start: Path, scratch: Path) -> Iterator[SeriesStep]:
        """Yield the base, whose files are in `start`, and each commit that changes what runs.

        What a commit changes beside `names` runs where the repository has a whole kernel: in one
        that is built of the last such commit.
        """
        whole = is_whole(self.tree, self.base, tree_version(start))
        found = [(c, self.changed(c)) for c in self.commits(*names, *NEAR * whole)]
        builds = whole and any(is_built_in(name) for _, changed in found for name in changed)
        kernel, number = self.base if builds else "", 0
        yield SeriesStep(number, "the base", self.base, folder=start, kernel=kernel)
        for commit, changed in found:
            ours = tuple(name for name in changed if name in names)
            built = tuple(name for name in changed if builds and is_built_in(name))
            if ours or built:
                kernel, number = commit if built else kernel, number + 1
                folder = self.export(commit, names, scratch / str(number))
                beside = left_out(changed, (*ours, *built))
                subject = self.subject(commit)
                yield SeriesStep(number, subject, commit, ours, beside, folder, kernel=kernel)

    def export(self, commit: str, names: tuple[str, ...], folder: Path) -> Path:
        """Write those of the files that there are to a new folder, and return it."""
        for name in names:
            told = git("-C", self.tree, "show", f"{commit}:{name}")
            if not told.status:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(told.stdout)
        return folder
