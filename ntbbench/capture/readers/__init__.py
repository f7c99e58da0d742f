# SPDX-License-Identifier: BSD-3-Clause
"""Readers of capture files, a file a source; `table` lists them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ntbbench.capture.measured_records import Measured

if TYPE_CHECKING:
    from ntbbench.capture.readers.doorbell_point import Qp


@dataclass
class Known:
    """What a reader may need to know of the files that were read before.

    Parameters
    ----------
    qps : of the capture's `state`; they give the addresses in a trace their qp_num.
    runs : of iperf3 in all captures: the identity of a run -> the file that it was read from.
    """

    qps: tuple[Qp, ...] = ()
    runs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """One source of numbers.

    Parameters
    ----------
    name : of the kind of source, as a report names it.
    gives, cannot_tell : what numbers it gives, and what nobody can know from it; empty `gives`: it
        is no source itself.
    read : returns what a file says; InputError for one that cannot be used. Of two snapshots it
        gets the later one.
    snapshots : NAME of a pair before-NAME and after-NAME.
    file : the name that such a file has in a capture folder.
    begins : whether a text is the beginning of such a file.
    """

    name: str
    gives: str
    cannot_tell: str
    read: Callable[[Path, Known], Measured]
    snapshots: str = ""
    file: str = ""
    begins: Callable[[str], bool] | None = None


def earlier(after: Path) -> Path:
    """Return the earlier one of two snapshots."""
    return after.with_name(f"before-{after.name.removeprefix('after-')}")
