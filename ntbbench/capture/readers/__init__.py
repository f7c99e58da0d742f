# SPDX-License-Identifier: BSD-3-Clause
"""Readers of capture files, a file a source; `ingest` lists them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ntbbench.capture.records import Measured

if TYPE_CHECKING:
    from ntbbench.capture.readers.doorbell_point import Qp


@dataclass
class Known:
    """What a reader may need to know of the files that were read before."""

    # of the capture's `state`; they give the addresses in a trace their qp_num
    qps: tuple[Qp, ...] = ()
    # of iperf3 in all captures: the identity of a run -> the file that it was read from
    runs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """One source of numbers."""

    name: str  # of the kind of source, as a report names it
    # gives, cannot_tell: what numbers it gives, and what nobody can know from it; empty `gives`: it
    # is no source itself
    gives: str
    cannot_tell: str
    # returns what a file says; InputError for one that cannot be used. Of two snapshots it gets the
    # later one
    read: Callable[[Path, Known], Measured]
    snapshots: str = ""  # NAME of a pair before-NAME and after-NAME
    file: str = ""  # the name that such a file has in a capture folder
    begins: Callable[[str], bool] | None = None  # whether a text is the beginning of such a file


def earlier(after: Path) -> Path:
    """Return the earlier one of two snapshots."""
    return after.with_name(f"before-{after.name.removeprefix('after-')}")
