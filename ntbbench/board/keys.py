# SPDX-License-Identifier: BSD-3-Clause
"""What the keys of a board.toml may be, beside the kinds that other files have too."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar

from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.options import Kind, Word, Words

FOUND, SINGLE, SPREAD, IRQBALANCE = "found", "single", "spread", "irqbalance"
CPU_MAP = re.compile(r"\d{1,4}(,\d{1,4})*")


@dataclass(frozen=True)
class Matching(Word):
    """A text of a form; `form` says it in words."""

    pattern: str = ""
    form: str = ""

    def parse(self, name: str, value: object) -> str:
        """Return the text."""
        found = super().parse(name, value)
        if not re.fullmatch(self.pattern, found):
            raise InputError(name, value, self.allowed)
        return found

    @property
    def allowed(self) -> str:
        """The form."""
        return self.form


@dataclass(frozen=True)
class Address(Word):
    """An IP address; no name, which two hosts may resolve to different ones."""

    allowed: ClassVar[str] = "an IP address"

    def parse(self, name: str, value: object) -> str:
        """Return the address as it is written."""
        try:
            ip_address(str(value))
        except ValueError:
            raise InputError(name, value, self.allowed) from None
        return str(value)


@dataclass(frozen=True)
class Lines(Word):
    """A regular expression; empty: none."""

    allowed: ClassVar[str] = "a regular expression"

    def parse(self, name: str, value: object) -> str:
        """Return the pattern."""
        found = super().parse(name, value)
        try:
            re.compile(found)
        except re.error as error:
            raise InputError(name, value, f"a regular expression: {error}") from error
        return found


@dataclass(frozen=True)
class Affinities(Words):
    """Where doorbell interrupts go."""

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return each placement once."""
        parts = [value] if isinstance(value, str) else value
        known = (FOUND, SINGLE, SPREAD, IRQBALANCE)
        if not isinstance(parts, list) or not parts:
            raise InputError(name, value, f"a list out of {', '.join(known)}, '0,1,...'")
        for part in parts:
            if part not in known and not (isinstance(part, str) and CPU_MAP.fullmatch(part)):
                raise unknown(name, str(part), [*known, "a CPU for each line: '0,1,0,1'"])
        return tuple(dict.fromkeys(parts))

    @property
    def allowed(self) -> str:
        """The words."""
        return f"{FOUND}, {SINGLE}, {SPREAD}, {IRQBALANCE}, or a CPU for each line: '0,1,0,1'"


@dataclass(frozen=True)
class Programs(Words):
    """Programs that are known; a list may hold none beside commands of one's own."""

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return each program once."""
        return () if value == [] else super().parse(name, value)


@dataclass(frozen=True)
class Paths(Kind):
    """Absolute paths on the board, in order."""

    text: str
    allowed: ClassVar[str] = "a list of absolute paths, in the order of loading"

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return the paths."""
        one = Matching((), "", pattern=r"/[\w./+-]+", form=self.allowed)
        if not isinstance(value, list):
            raise InputError(name, value, self.allowed)
        return tuple(one.parse(name, part) for part in value)
