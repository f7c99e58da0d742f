# SPDX-License-Identifier: BSD-3-Clause
"""What a comparison reads: one variant's measurements, whatever tool wrote them."""

from dataclasses import dataclass, field

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ntbbench.compare.records import Kind, Own, Place

ExactValue = int | float | str


class Series(Struct, frozen=True, kw_only=True, gc=False):
    """One metric of one variant: samples if noisy, one value if exact."""

    metric: str
    kind: Kind
    quantity: str = ""  # the part of the name that says what is measured; "": all of it
    unit: str = ""
    better: Own = "unsaid"
    samples: NDArray[np.float64] | None = None  # float64[n], in the order they were taken
    # float64[n], when each was taken, seconds since 1970; None: not known
    times: NDArray[np.float64] | None = None
    value: ExactValue | None = None
    bounds: tuple[float, float | None] | None = None  # of an exact number, where it has some
    is_load: bool = False  # what was asked for, and no cost: a change of it is no finding
    rank: int | None = None  # of a value that is a word: the higher the better
    served: int | None = None  # packets that the count was for: less for fewer is no gain,
    per_packet: bool = False  # and of this one, work, more for more is no loss
    simulated: bool = False  # no machine can disturb it; only replications add to it
    cautions: tuple[str, ...] = ()  # codes of warning_list, of the whole series; "CODE: DETAIL"
    runs: int = 0  # that were made, where some of them have no sample; 0: each has one


@dataclass(frozen=True, slots=True)
class Variant:
    """All metrics of one side of a comparison, and the machine they were taken on.

    `environment` holds what must agree for times and counts to be comparable; `context` what is
    shown when it differs but refuses nothing (the kernel release, the host name, the commit).
    """

    label: str
    source: str  # the format: ntbbench.sweep/1, ntbbench.compat/1, pytest-benchmark, ...
    series: dict[str, Series]
    environment: dict[str, str] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    # Points that lack metrics: their status, link or verdict tells of it where it differs.
    partial: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(
        default_factory=dict
    )  # not measured here, and why; not compared
    # Of which only bounds are known: compared where the other side has a number.
    bounded: dict[str, Series] = field(default_factory=dict)
    # Metrics that the file has without a usable number, and why: this side lacks them.
    unread: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # on how the file was read, where it could be read otherwise
    # What stands before the `:` of metrics that are 0 where they are not told.
    zero: set[str] = field(default_factory=set)
    places: dict[str, Place] = field(default_factory=dict)  # by what stands before a metric's `:`
    row_numbers: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # by metric
    cpu: str = ""  # the key of `environment` that names the CPU; "": the machine does not matter
    machine: dict[str, str] = field(default_factory=dict)  # what tells machines apart without it
    expects: tuple[str, ...] = ()  # keys of `environment` that every result of this format has
    cautions: tuple[str, ...] = ()  # codes of warning_list, of the whole result
    runs: int = 0  # that were joined, each a sample of every noisy metric; 0: it is one result
    begun: float | None = None  # when it was measured, seconds since 1970; None: not known
    draws: str = ""  # what decides the random draws of a row: where both sides agree, rows pair
