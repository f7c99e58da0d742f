# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench compare`: better, worse, same, or can't tell? `gate` shares all but the exit code.

What loads numpy and scipy is imported when a comparison begins: `--help` need not wait for it.
"""

import argparse
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ntbbench.ab.records import AB_SCHEMA
from ntbbench.board.board_records import BOARD_SCHEMA
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.streams import tell
from ntbbench.compare.policy import Policy, Test, check_medians, load_policy
from ntbbench.compare.readers import FORMATS
from ntbbench.compare.warning_list import CAUTIONS
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import encodable
from ntbbench.core.options import kinds
from ntbbench.core.result_file import read_result, schema_of

if TYPE_CHECKING:
    from ntbbench.compare.records import Report
    from ntbbench.compare.series import Variant

    Settle: TypeAlias = Callable[[Report, Variant, Policy], Report]
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
EPILOG = """\
exit codes:
  0  compared, whatever the verdicts; `gate` turns them into an exit code
  2  bad input or usage          4  nothing measured, or a metric on one side only
  5  incomparable environments   70 internal error
With --fail-inconclusive or --fatal-warning the exit code is the one that `gate` gives.
"""
SEQUENTIAL: Test = "sequential"
# Results that hold every side in blocks, and the commands that look after each.
IN_BLOCKS = {AB_SCHEMA: "ab", BOARD_SCHEMA: "board"}
OF_AB = "p50: each run of `ab` is one sample"
OPTIONS = ("alpha", "threshold", "quantile", "fail_inconclusive")
STATISTICS = ("test", "correction", "resamples")  # for whoever knows that another is needed


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    what = "Compare candidates with a base, metric by metric."
    add_comparison(subparsers, "compare", what, EPILOG).set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; verdicts decide the exit code only where an option asks for that."""
    asked = bool(args.fail_inconclusive or args.fatal_warning)
    report = run_comparison(args, gates=asked)
    if asked:
        return report.exit_code
    lacks = report.totals.missing or not report.comparisons
    return ExitCode.MISSING if lacks else ExitCode.OK


def add_comparison(
    subparsers: Subparsers, name: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    """Add a command that compares, with its inputs, its policy and its outputs."""
    parser = subparsers.add_parser(
        name,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_inputs(parser)
    _add_policy(parser)
    add_output(parser, checks=True).add_argument(
        "--raw", action="store_true", help="with --format mail: every run below the report"
    )
    add_options(parser, "statistics", Policy(), STATISTICS)
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        nargs="*",
        metavar="RESULT",
        help=f"the base, then one or more candidates: {FORMATS}; a folder or FILE,FILE,... is "
        "several runs; one result of `ab` or `board` is all sides",
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
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument(
        "--by",
        metavar="AXIS",
        help="compare inside one result: the points of each value of an axis (hardware, dispatch, "
        "vectors, ...) with those of its first",
    )
    parts.add_argument(
        "--match",
        metavar="AXIS=A:B",
        help="compare the base's points of one value with the candidate's of another: "
        "hardware=ntb_hw_epf-legacy:ntb_hw_epf-v4",
    )
    parser.add_argument(
        "--force", metavar="WHY", help="compare although the environments differ; WHY is reported"
    )


def _add_policy(parser: argparse.ArgumentParser) -> None:
    """Add what counts as a change; an option here goes before the policy file."""
    group = add_options(parser, "what counts", Policy(), OPTIONS)
    group.add_argument("--policy", type=Path, metavar="FILE.toml", help="thresholds by metric")
    known = kinds(Policy)
    ways = group.add_mutually_exclusive_group()
    for better in ("higher", "lower"):
        ways.add_argument(
            f"--{better}-is-better",
            action="store_const",
            const=better,
            dest="better",
            help=f"{known[f'{better}_is_better'].text}; a metric whose direction its format says "
            "keeps it",
        )
    group.add_argument(
        "--fatal-warning",
        action="append",
        default=[],
        metavar="CODE",
        help=f"exit 3 on this warning; repeatable; one of {', '.join(sorted(CAUTIONS))}",
    )
    group.add_argument(
        "--ignore-environment",
        action="append",
        default=[],
        dest="ignored_keys",
        metavar="KEY",
        help="let this part of the environment differ; repeatable",
    )


def policy_of(args: argparse.Namespace) -> Policy:
    """Return the policy file's settings with the options' in their place."""
    policy = chosen(args, load_policy(args.policy))
    known: Any = kinds(Policy)["fatal_warnings"]
    codes = known.parse("--fatal-warning", args.fatal_warning)
    more = {
        "fatal_warnings": (*policy.fatal_warnings, *codes),
        "ignore_environment": (*policy.ignore_environment, *args.ignored_keys),
    }
    if args.better is not None:
        more |= {f"{way}_is_better": way == args.better for way in ("higher", "lower")}
    return msgspec.structs.replace(policy, **more)


def _variants_of(args: argparse.Namespace, quantile: float) -> "list[Variant]":
    """Return the variants, the base first."""
    from ntbbench.compare.readers import (  # noqa: PLC0415 -- loads numpy
        ab_blocks,
        board_blocks,
        csv_runs,
        own_results,
    )
    from ntbbench.compare.readers.detect import load_variant  # noqa: PLC0415
    from ntbbench.compare.readers.joining import unique_labels  # noqa: PLC0415

    if args.by is not None or args.match is not None:
        return _parts_of(args)
    single_csv = len(args.results) == 1 and args.results[0].lower().endswith(".csv")
    if args.runs and args.results:
        raise InputError("--runs", " ".join(args.results), "no other results beside it")
    if args.runs or single_csv:
        return csv_runs.load_runs(args.runs or [Path(args.results[0])])
    if len(args.results) == 1 and (schema := _schema_in_blocks(Path(args.results[0]))):
        path = Path(args.results[0])
        if schema == AB_SCHEMA:
            return ab_blocks.ab_sides(ab_blocks.load_ab(path))
        return board_blocks.compared(board_blocks.load_board_result(path), path)
    if len(args.results) < 2:
        one = "or a result of `ab` or `board`, or one and --by AXIS"
        allowed = f"a base and at least one candidate, {one}"
        raise InputError("RESULT", " ".join(args.results), allowed)
    variants = unique_labels([load_variant(argument, quantile) for argument in args.results])
    sources = {variant.source for variant in variants}
    if len(sources) == 1:
        (source,) = sources
        if source.startswith("ntbbench.") and source not in own_results.KNOWN_SCHEMAS:
            raise InputError("schema", source, " or ".join(own_results.KNOWN_SCHEMAS))
    return variants


def _schema_in_blocks(path: Path) -> str:
    """Return the schema of a file that holds every side in blocks; "": it is something else."""
    with suppress(InputError):  # a pipe is read once, and by others; what is wrong they tell
        schema = schema_of(read_result(path), path) if path.is_file() else ""
        return schema if schema in IN_BLOCKS else ""
    return ""


def _of_blocks(args: argparse.Namespace, policy: Policy, source: str) -> Policy:
    """Return the policy with the only test that holds for blocks that were run until decided."""
    if args.test not in (None, SEQUENTIAL):
        raise InputError(
            "--test", args.test, f"{SEQUENTIAL}: `{IN_BLOCKS[source]}` looks after every block"
        )
    check_medians(policy.quantile, OF_AB)
    return msgspec.structs.replace(policy, test=SEQUENTIAL)


def _parts_of(args: argparse.Namespace) -> "list[Variant]":
    """Return the variants of --by and --match, which are parts of results."""
    from ntbbench.compare.readers import selection  # noqa: PLC0415 -- loads numpy

    if args.runs:
        raise InputError("--runs", str(args.runs[0]), "results of ntbbench with --by and --match")
    if args.by is not None:
        if len(args.results) != 1:
            raise InputError("--by", args.by, "one result to look into")
        return selection.by_axis(args.results[0], args.by)
    if len(args.results) < 2:
        raise InputError("RESULT", " ".join(args.results), "a base and at least one candidate")
    return selection.matched(args.results, args.match)


def run_comparison(
    args: argparse.Namespace, *, gates: bool, settle: "Settle | None" = None
) -> "Report":
    """Read, compare, write every output, and return the report.

    Parameters
    ----------
    gates : the verdicts decide the exit code, so a metric that has no direction is refused.
    settle : may change the report before it is shown.
    """
    from ntbbench.compare.compare import compare  # noqa: PLC0415 -- loads scipy
    from ntbbench.compare.rates import all_series, check_directions  # noqa: PLC0415
    from ntbbench.compare.readers.paths import check_folders, paths_of  # noqa: PLC0415
    from ntbbench.report.views.comparison import document  # noqa: PLC0415

    policy = policy_of(args)
    output = output_of(args)
    named = [path for argument in args.results for path in paths_of(argument)]
    output.check_inputs([*named, *args.runs, *([] if args.policy is None else [args.policy])])
    if args.force is not None and not args.force.strip():
        raise InputError("--force", args.force, "a text that says why")
    if args.raw and args.format != "mail":
        raise InputError("--raw", f"--format {args.format}", "goes with --format mail only")
    if args.paired:
        check_folders(args.results)
    sides = _variants_of(args, policy.quantile)
    if sides[0].source in IN_BLOCKS:
        policy = _of_blocks(args, policy, sides[0].source)
    if gates:
        check_directions(all_series(sides), policy)
    paired = args.paired or sides[0].source in IN_BLOCKS
    why = None if args.force is None else encodable(args.force)
    report = compare(sides[0], sides[1:], policy, paired=paired, force=why)
    if settle is not None:
        report = settle(report, sides[0], policy)
    if not args.raw and not output.draws:
        sides.clear()  # the report holds what the other formats need; large inputs are large
    output.show(document(report, sides, raw=args.raw))
    return report


def tell_cautions(sides: "Iterable[Variant]") -> None:
    """Say on stderr what is to be said of whole results, where no report has a place for it."""
    from ntbbench.compare.pairing import reading_notes  # noqa: PLC0415 -- loads numpy

    for side in sides:
        for note in reading_notes(side):
            tell(f"{side.label!r}: {note}")
        for code in side.cautions:
            tell(f"{side.label!r}: {code}: {CAUTIONS[code][0]}")
