# SPDX-License-Identifier: BSD-3-Clause
"""Which patches explain what a driver was seen to do at its set-up, and what none explains.

Only observations decide. Nothing that traffic counts is among them, so a model with the patches
found here can still be wrong about the counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ntbbench.lab.pair.boot.left import SOC, Behaviour
from ntbbench.lab.pair.plan import EP
from ntbbench.pair.drivers.kernel_around import DriverError
from ntbbench.pair.drivers.patches import (
    KERNELS,
    Driver,
    Side,
    number_ranges,
    side_patches,
    side_prerequisites,
)
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.observations import (
    LOOKS_UP,
    PROBED,
    Observations,
    expected_observations,
    expected_operations,
    expected_probe,
    normalised,
    refusing_observations,
)

BOUND = "db_valid_mask"  # what only a driver with an NTB device shows
SHOWN_MAX = 3  # observations that a finding tells in words
NO_FIT = "no known behaviour fits: "
FEW_MISSING = 2  # so many patches less are told as what is missing
Patches = frozenset[int]


@dataclass(frozen=True)
class Question:
    """One side's driver in the setting that it was observed in."""

    side: Side
    seen: Observations  # its observations; empty: nothing was observed
    # slots, doorbell, filled: as `expected_observations` takes them
    slots: int
    doorbell: Doorbell
    filled: frozenset[int] | None
    wanted: Patches | None  # the patches that it is said to carry; None: nobody says
    said_by: str  # who says so, in words
    hint: Patches  # the patches that its text shows: it chooses between sets that behave alike
    # mw_count, window_size: the memory windows of the setting, and the bytes of each
    mw_count: int = 0
    window_size: int = 0
    mw1_offset: int | None = None  # as `expected_operations` takes it

    @property
    def is_bound(self) -> bool:
        """Whether the driver made an NTB device."""
        return BOUND in self.seen

    @property
    def prerequisites(self) -> frozenset[str]:
        """What the driver has of what the series stands on; what shows nowhere it is said to have.

        A db_count of 0 that binds, and a handler that looks its interrupt up, lack one.
        """
        lacking = set()
        if self.slots == 0 and self.is_bound:
            lacking.add("db-count-zero")
        if self.seen.get(LOOKS_UP) == "yes":
            lacking.add("irq-base")
        return frozenset(side_prerequisites(self.side)) - lacking

    def expected(self, patches: Patches) -> Observations | None:
        """Return what would be seen of a driver with `patches`; None: it would not bind."""
        driver = Driver(self.side, patches, self.prerequisites)
        if not self.is_bound:
            return refusing_observations(driver)
        asked = (driver, self.slots, self.doorbell, self.filled)
        try:
            if PROBED not in self.seen:
                return expected_observations(*asked)
            windows = (self.mw_count, self.window_size, self.mw1_offset)
            operations = expected_operations(self.side, *windows)
            return {**expected_observations(*asked), **expected_probe(*asked), **operations}
        except DriverError:
            return None

    def differing(self, patches: Patches) -> list[str]:
        """Return the keys of what was seen otherwise than `patches` have it."""
        expected = self.expected(patches)
        if expected is None:
            return [BOUND]
        return [key for key, value in expected.items() if self.seen.get(key) != value]


def explain(question: Question) -> Behaviour:
    """Return the patches that explain what was seen, and what is wrong with that."""
    fitting = [patches for patches in _subsets(question.side) if not question.differing(patches)]
    known = list(_known(question.side))
    if not fitting:
        return _unexplained(question, known)
    chosen = _chosen(question, fitting, known)
    words = behaviour_words(question.side, chosen)
    others = len(fitting) - 1
    findings = []
    if question.wanted is not None and chosen != question.wanted:
        said = f"{behaviour_words(question.side, question.wanted)}, which {question.said_by}"
        findings.append(f"behaves as {words}, not as {said}: {_told(question, question.wanted)}")
    elif question.wanted is None and chosen not in known:
        half = number_ranges(side_patches(question.side))
        findings.append(
            f"behaves as {words}: no released kernel has that, and no prefix of patches {half}"
        )
    # The model follows what was said: then the counts show the difference too.
    model = chosen if question.wanted is None else question.wanted
    return _behaviour(question, model, words, findings, others)


def _unexplained(question: Question, known: list[Patches]) -> Behaviour:
    nearest = question.wanted
    if nearest is None:
        nearest = min(known, key=lambda patches: len(question.differing(patches)))
    finding = f"{NO_FIT}{_told(question, nearest, _alien(question))}"
    words = f"none known; nearest is {behaviour_words(question.side, nearest)}"
    return _behaviour(question, nearest, words, [finding], 0)


def _behaviour(
    question: Question, patches: Patches, words: str, findings: Iterable[str], others: int
) -> Behaviour:
    return Behaviour(
        patches=tuple(sorted(patches)),
        prerequisites=question.prerequisites,
        words=words,
        findings=tuple(findings),
        alike=others,
        inferred=question.wanted is None,
        observations=dict(question.seen),
    )


def _chosen(question: Question, fitting: list[Patches], known: list[Patches]) -> Patches:
    if question.wanted in fitting and question.wanted is not None:
        return question.wanted
    expected = [patches for patches in (question.hint, *known) if patches in known]
    first = next((patches for patches in expected if patches in fitting), None)
    if first is not None:
        return first
    whole = len(side_patches(question.side))
    largest = max(fitting, key=len)
    return largest if whole - len(largest) <= FEW_MISSING else min(fitting, key=len)


def _known(side: Side) -> Iterator[Patches]:
    """Yield the sets that a correct driver may carry: none, prefixes, released kernels'."""
    numbers = side_patches(side)
    yield frozenset()
    for count in range(len(numbers), 0, -1):
        yield frozenset(numbers[:count])
    for ep, rc in KERNELS.values():
        yield ep.patches if side == "ep" else rc.patches


def _subsets(side: Side) -> list[Patches]:
    numbers = side_patches(side)
    return [frozenset(c) for count in range(len(numbers) + 1) for c in combinations(numbers, count)]


def _alien(question: Question) -> set[str]:
    known: dict[str, set[str]] = {}
    for patches in _subsets(question.side):
        for key, value in (question.expected(patches) or {}).items():
            known.setdefault(key, set()).add(value)
    return {key for key, values in known.items() if question.seen.get(key) not in values}


def _told(question: Question, patches: Patches, first: Collection[str] = ()) -> str:
    expected = question.expected(patches)
    if expected is None:
        return f"it binds, {behaviour_words(question.side, patches)} would not"
    keys = sorted(question.differing(patches), key=lambda key: key not in first)
    return differences(question.seen, expected, keys)


def differences(seen: Observations, expected: Observations, keys: Sequence[str]) -> str:
    """Return what was seen instead of what was expected: the first of `keys`, and how many more."""
    told = [
        f"{key}: {seen.get(key) or 'none'} instead of {expected[key] or 'none'}"
        for key in keys[:SHOWN_MAX]
    ]
    more = len(keys) - len(told)
    return "; ".join([*told, *([f"{more} more"] if more else [])])


def behaviour_words(side: Side, patches: Iterable[int]) -> str:
    """Return a set of patches in words: `patches 1-7 (all)`, `the series without patch 3`."""
    chosen = frozenset(patches)
    numbers = side_patches(side)
    missing = sorted(set(numbers) - chosen)
    if not chosen:
        return "no patch of the series"
    if not missing:
        return f"patches {number_ranges(chosen)} (all)"
    if chosen not in set(_known(side)) and len(missing) <= FEW_MISSING:
        return f"the series without {_patches(missing)}"
    index = 0 if side == EP else 1
    names = [name for name, halves in KERNELS.items() if halves[index].patches == chosen]
    released = f" (as Linux {', '.join(names)})" if names else ""
    return _patches(sorted(chosen)) + released


def _patches(numbers: list[int]) -> str:
    return f"patch{'es' if len(numbers) > 1 else ''} {number_ranges(numbers)}"


def read_observations(lines: Iterable[str]) -> Mapping[str, Observations]:
    """Return what the guest observed, by side; functions' addresses are left out.

    ValueError: a line that is none of `SIDE KEY=VALUE`.
    """
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        side, _, rest = line.partition(" ")
        key, equals, value = rest.partition("=")
        if not equals or side not in ("ep", "rc", SOC):
            raise ValueError(line)
        if not key.startswith("function "):
            found.setdefault(side, {})[key] = value.strip()
    return {side: normalised(seen) for side, seen in found.items()}
