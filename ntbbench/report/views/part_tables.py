# SPDX-License-Identifier: BSD-3-Clause
"""Tests that ran part by part, in several set-ups: a row a part, and what the failed ones said."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from ntbbench.core.fields import declared
from ntbbench.lab.selftest.records import FAILED, KNOWN, PASSED
from ntbbench.report.document import (
    Cell,
    Check,
    Column,
    Details,
    Document,
    Drawing,
    Sheet,
    Table,
    Tone,
    column,
)
from ntbbench.report.wording import plural

FACTS = ("kernel", "kernel_source", "accelerator", "deterministic")
TONES: dict[str, Tone] = {PASSED: "good", FAILED: "bad"}
REASON = Column("reason", align="left")


@dataclass(frozen=True)
class PartedTests:
    """Tests whose parts are records with a name, a status, a reason, an output and a log.

    Parameters
    ----------
    part : the record of a part.
    axes : its fields that name a set-up.
    label : how a set-up is written, with a `{}` for each of them.
    fault : whose fault a known failure is not.
    head : how it is written above a column.
    """

    part: type[Struct]
    axes: tuple[str, ...]
    label: str
    fault: str
    head: Callable[[tuple[str, ...]], str]

    def document(self, title: str, line: str, result: Any, more: Sequence[str] = ()) -> Document:
        """Return the report of a result; `more`: facts of it beside those of every guest."""
        record: type[Struct] = type(result)
        titles = declared(record)
        failed = any(part.status == FAILED for part in result.parts)
        told = {titles[name].title: getattr(result, name) for name in (*FACTS, *more)}
        return Document(
            title=title,
            verdict=self.verdict(result.parts),
            record=result,
            lines=[line],
            blocks=[*self.tables(result.parts), *self.details(result.parts)],
            tone="bad" if failed else "good",
            warnings=[(warning, ()) for warning in result.warnings],
            facts=told | result.environment,
            ran=True,
            sheet=lambda: self.sheet(result.parts),
            checks=lambda: [*self.checks(result.parts)],
        )

    def verdict(self, parts: Sequence[Any]) -> str:
        """Return what the parts came to; those that were left out count as no part."""
        count = Counter(part.status for part in parts)
        ran = count[PASSED] + count[FAILED] + count[KNOWN]
        text = f"{count[PASSED]} of {plural(ran, 'part')} passed"
        if count[FAILED]:
            first = next(part for part in parts if part.status == FAILED)
            text = f"{plural(count[FAILED], 'part')} of {ran} FAILED, first {first.name}; {text}"
        if count[KNOWN]:
            text += f"; {count[KNOWN]} failed as known, by no fault of {self.fault}"
        for status in sorted(count.keys() - {PASSED, FAILED, KNOWN}, reverse=True):
            text += f"; {count[status]} {status}"
        return text

    def setups(self, parts: Sequence[Any]) -> dict[tuple[str, ...], list[Any]]:
        """Return the parts of each set-up."""
        found: dict[tuple[str, ...], list[Any]] = {}
        for part in parts:
            found.setdefault(self._setup(part), []).append(part)
        return found

    def tables(self, parts: Sequence[Any]) -> Iterator[Table]:
        """Yield a row a part; of several set-ups, a column each, and the reasons below."""
        setups = self.setups(parts)
        named = column(self.part, "name")
        if len(setups) == 1:
            rows = _folded([parts], reasons=True)
            cells = [(Cell(name), _cell(one), Cell(one.reason)) for name, (one,) in rows]
            yield Table("Parts", [named, column(self.part, "status"), REASON], cells)
            return
        heads = [
            Column(self.label.format(*setup), head=self.head(setup), align="left")
            for setup in setups
        ]
        rows = _folded([*setups.values()], reasons=False)
        yield Table(
            "Parts", [named, *heads], [(Cell(name), *map(_cell, row)) for name, row in rows]
        )
        told = [
            (Cell(name), *map(Cell, setup), Cell(part.reason))
            for setup, found in setups.items()
            for name, (part,) in _folded([found], reasons=True)
            if part.reason
        ]
        keys = [named, *(column(self.part, name) for name in self.axes)]
        yield Table("Reasons", [*keys, REASON], told, keys=len(keys), detail=True)

    def details(self, parts: Sequence[Any]) -> Iterator[Details]:
        """Yield what each part said."""
        for part in parts:
            name = f"{self.label.format(*self._setup(part))}, {part.name}: {part.status}"
            if part.output:
                blocks = [Drawing("Output", part.output), Drawing("Kernel log", part.log)]
                yield Details(name, blocks, detail=True)

    def sheet(self, parts: Sequence[Any]) -> Sheet:
        """Return a line a part."""
        left_out = {"output", "log"}
        shown = [one for one in fields(self.part) if one.name not in left_out]
        rows = [[getattr(part, one.name) for one in shown] for part in parts]
        return Sheet([one.encode_name for one in shown], rows)

    def checks(self, parts: Sequence[Any]) -> Iterator[Check]:
        """Yield a test a set-up, with its parts; a known failure is skipped, and says why."""
        for setup, found in self.setups(parts).items():
            checks = [
                Check(
                    part.name,
                    {PASSED: True, FAILED: False}.get(part.status),
                    reason=part.reason,
                    diagnostics=part.output,
                )
                for part in found
            ]
            yield Check(self.label.format(*setup), None, checks=checks)

    def _setup(self, part: Any) -> tuple[str, ...]:
        return tuple(getattr(part, axis) for axis in self.axes)


Row = tuple[Any, ...]  # a part, of each set-up


def _folded(setups: Sequence[Sequence[Any]], *, reasons: bool) -> list[tuple[str, Row]]:
    """Return a part of each set-up with its name, those that failed in one first.

    Neighbours that came to the same are one, if their names have several words and differ in one;
    `reasons`: for the same reasons too.
    """
    groups: list[list[Row]] = []
    came_to: list[list[str]] = []
    for row in zip(*setups, strict=True):
        told = [text for p in row for text in (p.status, p.reason if reasons else "")]
        names = [one[0].name for one in (*(groups[-1] if groups else ()), row)]
        if groups and came_to[-1] == told and len(_differing(names)) == 1 and "." in names[0]:
            groups[-1].append(row)
        else:
            groups.append([row])
            came_to.append(told)
    found = [(_one_name([row[0].name for row in group]), group[0]) for group in groups]
    return sorted(found, key=lambda one: all(part.status != FAILED for part in one[1]))


def _differing(names: Sequence[str]) -> list[int]:
    """Return which words of some names differ; all of them where there are not as many."""
    words = [name.split(".") for name in names]
    if len({len(one) for one in words}) > 1:
        return [*range(max(map(len, words)))]
    return [n for n, column in enumerate(zip(*words, strict=True)) if len({*column}) > 1]


def _one_name(names: Sequence[str]) -> str:
    """Return names that differ in one word as a shell would: `bar.BAR{0,1}.TEST`."""
    if len(names) == 1:
        return names[0]
    words = [name.split(".") for name in names]
    place = _differing(names)[0]
    own = [one[place] for one in words]
    start = _shared(own)
    end = _shared([word[start:][::-1] for word in own])
    middle = ",".join(word[start : len(word) - end] for word in own)
    tail = own[0][len(own[0]) - end :]
    return ".".join(
        [*words[0][:place], f"{own[0][:start]}{{{middle}}}{tail}", *words[0][place + 1 :]]
    )


def _shared(words: Sequence[str]) -> int:
    """Return how many letters some words begin with alike."""
    return len([*takewhile(lambda letters: len({*letters}) == 1, zip(*words, strict=False))])


def _cell(part: Any) -> Cell:
    failed = part.status == FAILED
    text = "FAILED" if failed else part.status
    return Cell(text, strong=failed, tone=TONES.get(part.status, "off"))
