# SPDX-License-Identifier: BSD-3-Clause
"""What `compare` and `gate` share: the options, the inputs, the outputs."""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from ntbbench.analyse.cautions import CAUTIONS
from ntbbench.analyse.compare import compare
from ntbbench.analyse.comparison import Report
from ntbbench.analyse.policy import Policy, check, load_policy
from ntbbench.analyse.series import Variant
from ntbbench.analyse.significance import CORRECTIONS, TESTS
from ntbbench.analyse.sources import compat, load_runs, load_variant, sweep, unique_labels
from ntbbench.errors import InputError
from ntbbench.report.comparison import FORMATS, mail, markdown

SETTINGS = ("alpha", "threshold", "correction", "test", "resamples")


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
        help="a CSV with a variant a column (the first is the base) and a run a row; repeatable",
    )
    parser.add_argument(
        "--paired", action="store_true", help="rows (or samples, in order) are pairs"
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
        "--threshold", type=fraction, help="relative change that matters, 0.02 or 2%% (default)"
    )
    group.add_argument("--correction", choices=CORRECTIONS, help="over the family (default holm)")
    group.add_argument("--test", choices=TESTS, help="default mann-whitney")
    group.add_argument("--resamples", type=int, help="of the bootstrap (default 2000)")
    group.add_argument("--higher-is-better", action="store_true", help="for throughputs")
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


def fraction(text: str) -> float:
    """Return 0.02 for both 0.02 and 2%."""
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def policy_of(args: argparse.Namespace) -> Policy:
    """Return the policy file's settings with the options' in their place."""
    policy = Policy() if args.policy is None else load_policy(args.policy)
    changes = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    if args.higher_is_better:
        changes["higher_is_better"] = True
    if args.fail_inconclusive:
        changes["fail_inconclusive"] = True
    changes["fatal_warnings"] = (*policy.fatal_warnings, *args.fatal_warning)
    changes["ignore_environment"] = (*policy.ignore_environment, *args.ignore_environment)
    return check(msgspec.structs.replace(policy, **changes))


def variants_of(args: argparse.Namespace) -> list[Variant]:
    """Return the variants, the base first.

    Raises
    ------
    InputError
        where nothing says what to compare with what.
    """
    single_csv = len(args.results) == 1 and args.results[0].lower().endswith(".csv")
    if args.runs and args.results:
        raise InputError("--runs", " ".join(args.results), "no other results beside it")
    if args.runs or single_csv:
        return load_runs(args.runs or [Path(args.results[0])])
    if len(args.results) < 2:
        raise InputError("RESULT", " ".join(args.results), "a base and at least one candidate")
    variants = unique_labels([load_variant(argument) for argument in args.results])
    sources = {variant.source for variant in variants}
    if len(sources) == 1:
        (source,) = sources
        if source.startswith("ntbbench.") and source not in (sweep.KNOWN, compat.KNOWN):
            raise InputError("schema", source, f"{sweep.KNOWN} or {compat.KNOWN}")
    return variants


def outputs_of(args: argparse.Namespace) -> list[tuple[str, Path]]:
    """Return the (format, file) pairs of --write.

    Raises
    ------
    InputError
        for anything that is not FORMAT=FILE.
    """
    pairs = []
    for text in args.write:
        name, _, file = text.partition("=")
        if name not in FORMATS or not file:
            raise InputError("--write", text, f"FORMAT=FILE with one of {', '.join(FORMATS)}")
        pairs.append((name, Path(file)))
    return pairs


def run_comparison(args: argparse.Namespace) -> Report:
    """Read, compare, write every output, and return the report."""
    policy = policy_of(args)
    outputs = outputs_of(args)
    if args.force is not None and not args.force.strip():
        raise InputError("--force", args.force, "a text that says why")
    if args.raw and args.format != "mail":
        raise InputError("--raw", args.format, "--format mail")
    variants = variants_of(args)
    report = compare(variants[0], variants[1:], policy, paired=args.paired, force=args.force)
    if args.html is None and not args.raw:
        variants.clear()  # the report holds what the other outputs need; large inputs are large
    for name, path in outputs:
        path.write_text(FORMATS[name](report), encoding="utf-8")
    if args.html is not None:
        from ntbbench.report.comparison import html  # plotly takes a while to load

        args.html.write_text(html.render(report, tuple(variants)), encoding="utf-8")
    shown = (
        mail.render_with_runs(report, tuple(variants)) if args.raw else FORMATS[args.format](report)
    )
    sys.stdout.write(shown)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if args.format == "github" and summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown.render(report))
    return report
