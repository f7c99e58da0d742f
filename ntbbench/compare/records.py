# SPDX-License-Identifier: BSD-3-Clause
"""The records of a comparison; a field here is a key of the JSON, NaN never appears in it."""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType, field

from ntbbench.core.fields import Better, axis, fact, verdict

COMPARE_SCHEMA = "ntbbench.compare/1"
Kind = Literal["exact", "noisy"]
Own = Literal["lower", "higher", "none", "unsaid"]  # unsaid: lower, but for --higher-is-better
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


class Summary(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One side's samples in numbers."""

    n: Annotated[int, fact("n", "samples")]
    mean: Annotated[float, fact("mean")]
    minimum: Annotated[float, fact("min")]
    maximum: Annotated[float, fact("max")]
    median: Annotated[float, fact("median")]
    sd: Annotated[float | None, fact("SD", "standard deviation; null: of a single sample")]
    outliers: Annotated[
        int, fact("outliers", "samples outside the outer fences for n: reported, never dropped")
    ]
    quantile: Annotated[float | None, fact("quantile", "the one that is compared")] = None


class Comparison(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One metric of one candidate against the base; `ratio` is candidate / base.

    The fields below `warnings` are left out of the JSON where they say nothing.
    """

    metric: Annotated[str, axis("metric")]
    base: Annotated[str, axis("base", "label of the base")]
    candidate: Annotated[str, axis("candidate", "label of the candidate")]
    kind: Annotated[Kind, fact("kind", "exact: any change is a finding; noisy: samples decide")]
    verdict: Annotated[
        Verdict,
        verdict("verdict", "regressed, improved, equivalent, inconclusive, or missing on one side"),
    ]
    ratio: Annotated[float | None, fact("change", "candidate / base")]
    ratio_low: Annotated[float | None, fact("from", "lower end of the 95 % interval")]
    ratio_high: Annotated[float | None, fact("to", "upper end of the 95 % interval")]
    p_value: Annotated[float | None, fact("p", "of the test")]
    p_adjusted: Annotated[float | None, fact("p adjusted", "over the family")]
    n_base: Annotated[int, fact("n base", "samples of the base")]
    n_candidate: Annotated[int, fact("n candidate", "samples of the candidate")]
    minimal_detectable_effect: Annotated[
        float | None,
        fact(
            "detectable",
            "smallest true change that is called regressed with 80 % power; null: none",
        ),
    ]
    unit: Annotated[str, fact("unit", "empty: none is known")]
    better: Annotated[Better, fact("better", "which way; none: any change is worse")]
    warnings: tuple[Warned, ...]
    reason: Annotated[str, fact("reason", "what decided")] = ""
    threshold: Annotated[
        float, fact("threshold", "0.02: changes below 2 % do not matter; 0 of exact metrics")
    ] = 0.0
    runs_needed: Annotated[
        int | None,
        fact(
            "n to settle",
            "runs or replications a side with which no change is called equivalent and one of "
            "twice the threshold regressed, each with 80 % power; of an inconclusive one",
        ),
    ] = None
    base_value: Annotated[int | float | str | None, fact("base value", "of an exact metric")] = None
    candidate_value: Annotated[
        int | float | str | None, fact("candidate value", "of an exact metric")
    ] = None
    base_summary: Summary | None = None
    candidate_summary: Summary | None = None
    simulated: Annotated[bool, fact("simulated", "samples are replications of a simulation")] = (
        False
    )
    decided_by: Annotated[DecidedBy, fact("decided by", "the rule that calls it changed")] = ""
    untested: Annotated[
        bool, fact("untested", "no result of these sizes could have been significant")
    ] = False
    missing: Annotated[Side | None, fact("missing", "the side that lacks the metric")] = None


class Family(Struct, frozen=True, kw_only=True):
    """The hypotheses that are corrected together: every noisy metric of every candidate."""

    size: int
    correction: str
    alpha: float
    description: str


class EnvironmentDifferences(Struct, frozen=True, kw_only=True):
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


class Confirmation(Struct, frozen=True, kw_only=True):
    """What regressed, measured once more."""

    command: str
    result: str  # where the second measurement is: a file, or a folder of them
    comparisons: list[Comparison]  # of the regressed metrics alone, with the same base


class Report(Struct, frozen=True, kw_only=True):
    """The one result object from which every output is made."""

    schema: str = COMPARE_SCHEMA
    ntbbench_version: str
    base: str
    candidates: list[str]
    test: str
    paired: bool
    quantile: float = 0.5  # of the samples, or of those of each run, that is compared
    interval: Literal[
        "median", "mean", "quantile"
    ]  # what the ratios and intervals of noisy metrics are of
    threshold: float
    resamples: int
    gate_on: GateOn  # exact: a noisy metric is reported and fails nothing
    fail_inconclusive: bool
    fail_untested: bool
    fatal_warnings: tuple[str, ...]
    exit_code: int
    causes: list[str]  # why the exit code is not 0, in the order of precedence
    family: Family
    environment: EnvironmentDifferences
    totals: Totals
    ignored: list[Ignored] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)  # of whole results
    comparisons: list[Comparison] = field(default_factory=list)
    confirmation: Confirmation | UnsetType = UNSET  # of `gate --confirm`, where something regressed
    places: dict[str, Place] = field(default_factory=dict)  # by what stands before a metric's `:`
