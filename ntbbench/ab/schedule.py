# SPDX-License-Identifier: BSD-3-Clause
"""What `ab` runs, how often, and the order of each block: all of it follows from the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Struct

from ntbbench.compare.records import Side
from ntbbench.core.errors import InputError
from ntbbench.core.options import Count, Duration
from ntbbench.core.units import whole

DECIDED = "decided"
MOST_BLOCKS = 1000
PADDING = 4096  # bytes: a page, over which a stack moves
SIDES: tuple[Side, Side] = ("base", "candidate")


@dataclass(frozen=True)
class Until(Count):
    """`decided`, or a number of blocks; 0 is `decided`."""

    metavar: ClassVar[str] = "decided|N"

    def parse(self, name: str, value: object) -> int:
        """Return the number of blocks; 0: until every metric is decided."""
        if value == DECIDED:
            return 0
        try:
            return whole(name, value, self.low, self.high, {})
        except InputError:
            raise InputError(name, value, self.allowed) from None

    def show(self, value: object) -> object:
        """Return the word or the number."""
        return value or DECIDED

    @property
    def allowed(self) -> str:
        """The word and the range."""
        return f"{DECIDED}, or a whole number from {self.low} to {self.high}"


class AbPlan(Struct, frozen=True, kw_only=True):
    """How `ab` runs; a block has each side once."""

    until: Annotated[int, Until(2, MOST_BLOCKS, "blocks, or until every metric is decided")] = 0
    max_runs: Annotated[int, Count(2, MOST_BLOCKS, "blocks at most, with --until decided")] = 200
    max_time: Annotated[
        int, Duration(1, 604_800, "no block begins later, with --until decided", 1)
    ] = 3600
    warmup: Annotated[int, Count(0, 100, "blocks that are run first and not compared")] = 1
    timeout: Annotated[int, Duration(1, 86_400, "of one run", 1)] = 600
    seed: Annotated[
        int | None, Count(0, 2**63 - 1, "of the order in each block; default: drawn anew")
    ] = None

    @property
    def most(self) -> int:
        """The number of blocks after which it ends in any case."""
        return self.until or self.max_runs


@dataclass(frozen=True)
class Turn:
    """A run that is to come."""

    block: int
    side: Side
    place: int
    environment_bytes: int


def turns(seed: int, block: int) -> Iterator[Turn]:
    """Yield the two runs of a block: a fair coin says which side is first.

    The guarantee of the verdicts rests on that coin, so a seed that nobody chose is drawn anew: a
    fixed one would give every experiment the same order, and a machine whose second run is always
    slower the same alarm.
    """
    draw = random.Random(f"{seed}:{block}")  # noqa: S311 -- no secret
    order = SIDES if draw.random() < 0.5 else SIDES[::-1]
    for place, side in enumerate(order, start=1):
        yield Turn(block, side, place, draw.randrange(PADDING))
