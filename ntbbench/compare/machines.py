# SPDX-License-Identifier: BSD-3-Clause
"""Whether two results come from one machine and one set-up, so that they may be compared.

A key that neither side has equals nothing. Many Arm machines do not name their CPU; their results
are comparable where all else that is known of both machines agrees.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from ntbbench.compare.records import Environment
from ntbbench.compare.series import Variant

LONG = 80  # of two longer texts only the words that differ are shown

# What stands in the place of a name: a number, the code of a core's design, an architecture.
NAMELESS = re.compile(
    r"\s*(\d+|0x[0-9a-f]+|unknown|not readable\b.*|arm|aarch64|armv\d.* processor\b.*)?\s*",
    re.IGNORECASE | re.DOTALL,
)


def _names_cpu(variant: Variant) -> bool:
    name = variant.environment.get(variant.cpu)
    return name is not None and NAMELESS.fullmatch(name) is None


def known_machine(variant: Variant) -> dict[str, str]:
    """Return what tells the machine of a result from others: its CPU's name, else all the rest."""
    return variant.environment | ({} if _names_cpu(variant) else variant.machine)


def _is_open(base: Variant, candidate: Variant, ignore: Collection[str]) -> bool:
    """Return whether the names of the CPUs leave open if two results come from one machine."""
    if base.source != candidate.source or not base.cpu or base.cpu in ignore:
        return False
    return not (_names_cpu(base) and _names_cpu(candidate))


def machine_difference(base: Variant, candidate: Variant, ignore: Collection[str]) -> str:
    """Return where two machines differ that the names of their CPUs do not tell apart, or ""."""
    if not _is_open(base, candidate, ignore):
        return ""
    if _names_cpu(base) != _names_cpu(candidate):
        names = [repr(side.environment.get(side.cpu, "unknown")) for side in (base, candidate)]
        return f"{base.cpu}: {' against '.join(names)}: only one side names its CPU"
    told = [
        f"{key} {value!r} against {candidate.machine[key]!r}"
        for key, value in base.machine.items()
        if key not in ignore and candidate.machine.get(key, value) != value
    ]
    if not told:
        return ""
    return f"the CPU is not known (no {base.cpu}), and the machines differ: {', '.join(told)}"


def unknown(base: Variant, candidate: Variant, ignore: Collection[str]) -> list[str]:
    """Return notes on what neither side knows, which for that reason was not compared."""
    notes = []
    if _is_open(base, candidate, ignore):
        shared = [key for key in base.machine if key in candidate.machine and key not in ignore]
        agree = f"; the machines agree in {', '.join(shared)}" if shared else ", nor the machine"
        notes.append(f"the CPU is not known (no {base.cpu}){agree}")
    known = base.environment.keys() | candidate.environment.keys() | {base.cpu, *ignore}
    lacking = [key for key in base.expects if key not in known]
    if lacking:
        notes.append(f"neither side knows, so not compared: {', '.join(lacking)}")
    return notes


def environments(
    base: Variant, candidates: Sequence[Variant], ignore: Sequence[str], force: str | None
) -> Environment:
    """Return where the environments differ; a key that one side does not know is a note."""
    differences: list[str] = []
    notes: list[str] = []
    for candidate in candidates:
        if base.source != candidate.source:
            differences.append(f"schema: {base.source!r} against {candidate.source!r}")
        for key in sorted({*base.environment, *candidate.environment} - {*ignore}):
            text, known = _difference(key, base.environment, candidate.environment)
            if text:
                (differences if known else notes).append(f"{text} ({candidate.label})")
        for key in sorted({*base.context, *candidate.context} - {*ignore}):
            text, _ = _difference(key, base.context, candidate.context)
            if text:
                notes.append(f"{text} ({candidate.label})")
        if text := machine_difference(base, candidate, ignore):
            differences.append(f"{text} ({candidate.label})")
        notes += [f"{text} ({candidate.label})" for text in _unknown_here(base, candidate)]
        lacking = unknown(base, candidate, ignore)
        notes += [f"{text} ({candidate.label})" for text in lacking]
    return Environment(differences=differences, notes=notes, ignored=sorted(ignore), forced=force)


def _unknown_here(base: Variant, candidate: Variant) -> Iterator[str]:
    """Yield what one side measured and the other cannot know: it is not compared."""
    for side, other in ((base, candidate), (candidate, base)):
        for name, why in side.unknown.items():
            if name in other.series:
                yield f"{name} is not compared: {why} in {side.label}"


def draw_notes(
    base: Variant, candidates: Sequence[Variant], *, paired: bool, fewest: int
) -> list[str]:
    """Return where replications that drew the same are not paired, or paired ones drew otherwise.

    Parameters
    ----------
    fewest : pairs with which the test can find anything.
    """
    notes = []
    for candidate in candidates:
        same = base.draws == candidate.draws
        if paired == same or not base.draws or not candidate.draws:
            continue
        text = f"{base.draws} against {candidate.draws}: pairs of replications share no draws"
        if same:
            text = f"{base.draws} on both sides: --paired compares replication by replication"
            have = max(map(len, _shared_rows(base, candidate)), default=0)
            text += f", and needs {fewest} of them to find a change" if have < fewest else ""
        notes.append(f"{text} ({candidate.label})")
    return notes


def _shared_rows(base: Variant, candidate: Variant) -> Iterator[NDArray[np.int64]]:
    for metric, numbers in candidate.row_numbers.items():
        if metric in base.row_numbers:
            yield np.intersect1d(base.row_numbers[metric], numbers)


def _difference(key: str, base: dict[str, str], candidate: dict[str, str]) -> tuple[str, bool]:
    """Return how `key` differs ("" if it does not) and whether both sides know it."""
    left, right = base.get(key), candidate.get(key)
    if left == right:
        return "", True
    if left is not None and right is not None and min(len(left), len(right)) > LONG:
        left, right = _only_in(left, right), _only_in(right, left)
        return f"{key}: {left!r} against {right!r} (what one side has alone)", True
    shown = [repr(side) if side is not None else "unknown" for side in (left, right)]
    return f"{key}: {shown[0]} against {shown[1]}", left is not None and right is not None


def _only_in(text: str, other: str) -> str:
    """Return the words of `text` that are not in `other`, the first ten."""
    words = sorted(set(text.split()) - set(other.split()))
    return " ".join(words[:10]) + (" ..." if len(words) > 10 else "")


def idle_keys(keys: Sequence[str], sides: Sequence[Variant]) -> list[str]:
    """Return a note on each key of ignore_environment that no environment has."""
    known = sorted(
        {key for side in sides for key in (*side.environment, *side.context, *side.machine)}
    )
    notes = []
    for key in sorted(set(keys) - set(known)):
        near = get_close_matches(key, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        notes.append(f"--ignore-environment: no environment has the key {key!r}{hint}")
    return notes
