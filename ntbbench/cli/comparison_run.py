# SPDX-License-Identifier: BSD-3-Clause
"""What `compare` and `gate` share: read the inputs, compare, write the outputs.

Apart from their options because scipy takes a second to load, which `--help` need not wait for.
"""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy, check, parse_threshold
from ntbbench.compare.policy_file import load_policy
from ntbbench.compare.rates import all_series, check_directions
from ntbbench.compare.readers import KNOWN_SCHEMAS, load_runs, load_variant, unique_labels
from ntbbench.compare.readers.checked import printable
from ntbbench.compare.readers.detect import check_folders, paths_of
from ntbbench.compare.records import Report
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import append_text, check_no_input, check_writable, write_bytes
from ntbbench.report.comparison import FORMATS, mail, markdown

PIECE = 1 << 20
SETTINGS = ("alpha", "correction", "test", "resamples")


def policy_of(args: argparse.Namespace) -> Policy:
    """Return the policy file's settings with the options' in their place."""
    policy = Policy() if args.policy is None else load_policy(args.policy)
    changes = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    if args.threshold is not None:
        changes["threshold"] = parse_threshold("--threshold", args.threshold)
    if args.better is not None:
        changes |= {f"{way}_is_better": way == args.better for way in ("higher", "lower")}
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
        if source.startswith("ntbbench.") and source not in KNOWN_SCHEMAS:
            raise InputError("schema", source, " or ".join(KNOWN_SCHEMAS))
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


def inputs_of(args: argparse.Namespace) -> list[Path]:
    """Return every file that is read."""
    files = [path for argument in args.results for path in paths_of(argument)]
    return [*files, *args.runs, *([] if args.policy is None else [args.policy])]


def check_outputs(args: argparse.Namespace) -> list[tuple[str, Path]]:
    """Return the pairs of --write if every output can be written, before anything is compared."""
    outputs = outputs_of(args)
    inputs = inputs_of(args)
    for option, path in (*(("--write", path) for _, path in outputs), ("--html", args.html)):
        if path is not None:
            check_no_input(option, path, inputs)
    for path in (*(path for _, path in outputs), *([] if args.html is None else [args.html])):
        check_writable(path)
    return outputs


def run_comparison(args: argparse.Namespace, *, gates: bool) -> Report:
    """Read, compare, write every output, and return the report.

    Parameters
    ----------
    gates : the verdicts decide the exit code, so a metric that has no direction is refused.
    """
    policy = policy_of(args)
    outputs = check_outputs(args)
    if args.force is not None and not args.force.strip():
        raise InputError("--force", args.force, "a text that says why")
    if args.raw and args.format != "mail":
        raise InputError("--raw", f"--format {args.format}", "goes with --format mail only")
    if args.paired:
        check_folders(args.results)
    variants = variants_of(args)
    if gates:
        check_directions(all_series(variants), policy)
    why = None if args.force is None else printable(args.force)
    report = compare(variants[0], variants[1:], policy, paired=args.paired, force=why)
    if args.html is None and not args.raw:
        variants.clear()  # the report holds what the other outputs need; large inputs are large
    for name, path in outputs:
        write_bytes(path, FORMATS[name](report).encode())
    if args.html is not None:
        from ntbbench.report.comparison.html import render as render_html  # noqa: PLC0415 -- loads plotly

        write_bytes(args.html, render_html(report, tuple(variants)).encode())
    if args.raw:
        show(mail.render_with_runs(report, tuple(variants)))
    else:
        show(FORMATS[args.format](report))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if args.format == "github" and summary:
        append_text(Path(summary), markdown.render(report))
    return report


def show(text: str) -> None:
    """Write to standard output piece by piece: each piece is copied on its way."""
    for start in range(0, len(text), PIECE):
        sys.stdout.write(text[start : start + PIECE])
