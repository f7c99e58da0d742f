# SPDX-License-Identifier: BSD-3-Clause
"""The records of a comparison; a field here is a key of the JSON, NaN never appears in it."""

from typing import Literal

from msgspec import Struct, field

COMPARE_SCHEMA = "ntbbench.compare/1"
Kind = Literal["exact", "noisy"]
Better = Literal["lower", "higher", "none"]  # none: no direction is known, any change is worse
GateOn = Literal["all", "exact"]
Verdict = Literal["regressed", "improved", "equivalent", "inconclusive"]
DecidedBy = Literal["", "test", "effect"]
Side = Literal["base", "candidate"]


class Place(Struct, frozen=True, kw_only=True, gc=False):
    """Where in a sweep a point lies: the axes of the heatmaps."""

    group: str  # what the two axes do not say, hardware and dispatch first
    queues: int
    doorbells: int


class Warned(Struct, frozen=True, kw_only=True, gc=False):
    """A warning that travels with a comparison; `code` is from the list in cautions.py."""

    code: str
    message: str
    remedy: str


class Summary(Struct, frozen=True, kw_only=True, gc=False):
    """One side's samples in numbers; `sd` is null for a single sample."""

    n: int
    mean: float
    minimum: float
    maximum: float
    median: float
    sd: float | None
    outliers: int  # outside Tukey's outer fences; reported, never dropped


class Comparison(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One metric of one candidate against the base; `ratio` is candidate / base.

    The fields below `warnings` are left out of the JSON where they say nothing.
    """

    metric: str
    base: str  # the label of the base variant
    candidate: str
    kind: Kind
    verdict: Verdict
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p_value: float | None
    p_adjusted: float | None
    n_base: int
    n_candidate: int
    minimal_detectable_effect: float | None  # relative; null: no effect is, with these n
    unit: str  # "": none is known
    better: Better
    warnings: tuple[Warned, ...]
    reason: str = ""
    threshold: float = 0.0  # 0.02: two per cent; exact metrics have 0
    runs_needed: int | None = None  # a side, to settle an inconclusive one
    base_value: int | float | str | None = None  # of an exact metric
    candidate_value: int | float | str | None = None
    base_summary: Summary | None = None
    candidate_summary: Summary | None = None
    simulated: bool = False  # its samples are replications of a simulation
    decided_by: DecidedBy = ""  # the rule that calls a noisy metric changed
    untested: bool = False  # inconclusive, and no result of these sizes could be significant
    missing: Side | None = None  # the side where the metric does not exist


class Family(Struct, frozen=True, kw_only=True):
    """The hypotheses that are corrected together: every noisy metric of every candidate."""

    size: int
    correction: str
    alpha: float
    description: str


class Environment(Struct, frozen=True, kw_only=True):
    """Where the two sides' machines or settings differ, and what that led to."""

    differences: list[str]  # these make the sides incomparable
    notes: list[str]  # these do not
    ignored: list[str]  # keys that the policy says not to look at
    forced: str | None = None  # the user's reason to compare all the same


class Totals(Struct, frozen=True, kw_only=True):
    """How many comparisons ended in each way."""

    regressed: int
    improved: int
    equivalent: int
    inconclusive: int
    missing: int
    warned: int


class Ignored(Struct, frozen=True, kw_only=True, gc=False):
    """A metric that the policy leaves out, and why."""

    metric: str
    reason: str


class Report(Struct, frozen=True, kw_only=True):
    """The one result object from which every output is made."""

    schema: str = COMPARE_SCHEMA
    ntbbench_version: str
    base: str
    candidates: list[str]
    test: str
    paired: bool
    interval: Literal["median", "mean"]  # what the ratios and intervals of noisy metrics are of
    threshold: float
    resamples: int
    gate_on: GateOn  # exact: a noisy metric is reported and fails nothing
    fail_inconclusive: bool
    fail_untested: bool
    fatal_warnings: tuple[str, ...]
    exit_code: int
    causes: list[str]  # why the exit code is not 0, in the order of precedence
    family: Family
    environment: Environment
    totals: Totals
    ignored: list[Ignored] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)  # of whole results
    comparisons: list[Comparison] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)  # by what stands before a metric's `:`
