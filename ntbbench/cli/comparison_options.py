# SPDX-License-Identifier: BSD-3-Clause
"""The options that `compare` and `gate` share."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from ntbbench.cli.progress import tell
from ntbbench.compare.policy import CORRECTIONS, TESTS
from ntbbench.compare.series import Variant
from ntbbench.compare.warning_list import CAUTIONS

FORMATS = ("text", "mail", "md", "json", "csv", "junit", "github")


def tell_cautions(sides: Iterable[Variant]) -> None:
    """Say on stderr what is to be warned of whole results, where no report has a place for it."""
    for side in sides:
        for code in side.cautions:
            tell(f"{side.label!r}: {code}: {CAUTIONS[code][0]}")


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add what is compared."""
    parser.add_argument(
        "results",
        nargs="*",
        metavar="RESULT",
        help="the base, then one or more candidates: results of `sweep` or `compat`, JSON of "
        "pytest-benchmark, pyperf or iperf3, or CSV; a folder or FILE,FILE,... is several runs",
    )
    parser.add_argument(
        "--runs",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.csv",
        help="a CSV with a variant a column and a run a row; repeatable: each file is a metric, "
        "columns of one name are one variant, and the first column of the first file is the base",
    )
    parser.add_argument(
        "--paired",
        action="store_true",
        help="rows, results that are joined, or else samples in their order are pairs",
    )
    parser.add_argument(
        "--force", metavar="WHY", help="compare although the environments differ; WHY is reported"
    )


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add what counts as a change; an option here goes before the policy file."""
    group = parser.add_argument_group("what counts")
    group.add_argument("--policy", type=Path, metavar="FILE.toml", help="thresholds by metric")
    group.add_argument("--alpha", type=float, help="chance of any false alarm (default 0.05)")
    group.add_argument(
        "--threshold", metavar="SHARE", help="relative change that matters, 2%% or 0.02 (default)"
    )
    group.add_argument("--correction", choices=CORRECTIONS, help="over the family (default holm)")
    group.add_argument("--test", choices=TESTS, help="default mann-whitney")
    group.add_argument("--resamples", type=int, help="of the bootstrap (default 2000)")
    ways = group.add_mutually_exclusive_group()
    for better, what in (("higher", "throughputs"), ("lower", "rates of what is unwanted")):
        ways.add_argument(
            f"--{better}-is-better",
            action="store_const",
            const=better,
            dest="better",
            help=f"for {what}; a metric whose direction its format says keeps it",
        )
    group.add_argument(
        "--fail-inconclusive", action="store_true", help="exit 3 if anything stays inconclusive"
    )
    group.add_argument(
        "--fatal-warning",
        action="append",
        default=[],
        choices=sorted(CAUTIONS),
        metavar="CODE",
        help=f"exit 3 on this warning; repeatable; one of {', '.join(sorted(CAUTIONS))}",
    )
    group.add_argument(
        "--ignore-environment",
        action="append",
        default=[],
        metavar="KEY",
        help="let this part of the environment differ; repeatable",
    )


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add where the report goes."""
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=FORMATS, default="text", help="of standard output")
    group.add_argument("--html", type=Path, metavar="FILE", help="one self-contained page")
    group.add_argument(
        "--write",
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help="also write the report to FILE in this format; repeatable",
    )
    group.add_argument(
        "--raw", action="store_true", help="with --format mail: every run below the report"
    )
