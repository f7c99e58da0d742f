# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench history`: results of successive commits, and the changes no single gate sees."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ntbbench.cli.compare import Subparsers, tell_cautions
from ntbbench.cli.output import Output, add_output, output_of, write_text
from ntbbench.cli.streams import tell
from ntbbench.compare.policy import load_policy
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.result_file import check_no_input, check_writable, write_bytes
from ntbbench.report.wording import plural

if TYPE_CHECKING:
    from ntbbench.compare.history_store import Track, Window

STORE = Path("results/history.sqlite")
EPILOG = (
    "exit codes: 0 no regression, or each was fixed or accepted; 1 `check` found another; 2 bad "
    "input; 4 nothing to check: no noisy metric has 7 commits, no exact one 2"
)


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "history",
        description="Keep results of successive commits in a SQLite file and find change points.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="store a result", allow_abbrev=False)
    adding.add_argument("result", metavar="RESULT")
    adding.add_argument("--commit", required=True, metavar="NAME", help="what was measured")
    adding.set_defaults(run=run_add)
    showing = actions.add_parser("show", help="print the stored values", allow_abbrev=False)
    showing.set_defaults(run=run_show)
    checking = actions.add_parser("check", help="find steps and drift", allow_abbrev=False)
    checking.add_argument("--policy", type=Path, metavar="FILE.toml", help="as of the gate")
    checking.set_defaults(run=run_check)
    accepting = actions.add_parser(
        "accept", help="let what changed at a commit fail no check", allow_abbrev=False
    )
    accepting.add_argument("commit", metavar="COMMIT", help="as it was added")
    accepting.add_argument("--why", default="", metavar="TEXT", help="`check` says it")
    accepting.set_defaults(run=run_accept)
    exporting = actions.add_parser(
        "export", help="write the values for another tool", allow_abbrev=False
    )
    exporting.add_argument("--format", choices=("otava",), default="otava", help="default otava")
    exporting.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="default stdout")
    exporting.set_defaults(run=run_export)
    for action in (adding, showing, checking, accepting, exporting):
        add_store(action)
    for action in (showing, checking, accepting, exporting):
        action.add_argument("--metric", default="*", metavar="GLOB", help="default: all")
    for action in (showing, checking, exporting):
        action.add_argument("--last", metavar="N", help="the last N commits only")
        action.add_argument("--since", metavar="REV", help="this commit and those after it only")
    for action in (showing, checking):
        add_output(action)


def add_store(parser: argparse._ActionsContainer) -> None:
    """Add where the results are stored."""
    parser.add_argument("--store", type=Path, default=STORE, help=f"default {STORE}")


def commits_of(option: str, text: str) -> int:
    """Return a number of commits; InputError for anything else."""
    if not text.isdecimal() or not int(text):
        raise InputError(option, text, "a number of commits, 1 or more")
    return int(text)


def run_add(args: argparse.Namespace) -> int:
    """Store one result."""
    from ntbbench.compare import history_store  # noqa: PLC0415 -- loads numpy
    from ntbbench.compare.readers.detect import load_variant  # noqa: PLC0415 -- loads numpy

    variant = load_variant(args.result)
    tell_cautions([variant])
    if args.store == STORE:  # the folder of the default is ours; any other is the user's
        args.store.parent.mkdir(exist_ok=True)
    count = history_store.add(args.store, args.commit, variant)
    print(f"{plural(count, 'metric')} of {args.commit!r} stored in {args.store}")
    return ExitCode.OK


def run_show(args: argparse.Namespace) -> int:
    """Print the stored values."""
    from ntbbench.report.views import history  # noqa: PLC0415

    output = _output(args)
    output.show(history.tracks(_tracks(args)))
    return ExitCode.OK


def run_check(args: argparse.Namespace) -> int:
    """Print what changed; 1 if something became worse that was neither fixed nor accepted."""
    from ntbbench.compare.history import check  # noqa: PLC0415 -- loads scipy, ruptures
    from ntbbench.report.views import history  # noqa: PLC0415

    output = _output(args)
    found = check(args.store, args.metric, load_policy(args.policy), _window(args))
    output.show(history.document(found, _tracks(args) if output.draws else ()))
    if not found.checked:
        return ExitCode.MISSING
    return ExitCode.FINDING if found.fails() else ExitCode.OK


def run_accept(args: argparse.Namespace) -> int:
    """Note in the store that a change is accepted."""
    from ntbbench.compare import history_store  # noqa: PLC0415

    count = history_store.accept(args.store, args.commit, args.metric, args.why)
    print(f"accepted at {args.commit!r}: what changed in {plural(count, 'metric')}")
    return ExitCode.OK


def run_export(args: argparse.Namespace) -> int:
    """Write the values as Otava reads them."""
    from ntbbench.report.render import renderer  # noqa: PLC0415
    from ntbbench.report.views import history  # noqa: PLC0415

    if args.output is not None:
        check_writable(args.output)
        check_no_input("output", args.output, [args.store])
    found = _tracks(args)
    left_out = sum(any(isinstance(value, str) for value in track.values) for track in found)
    if left_out:
        tell(f"{plural(left_out, 'metric')} left out, whose values are words")
    text = renderer("csv")(history.otava(found))
    if args.output is None:
        write_text(text)
    else:
        write_bytes(args.output, text.encode())
    return ExitCode.OK


def _window(args: argparse.Namespace) -> "Window":
    from ntbbench.compare.history_store import Window  # noqa: PLC0415

    last = None if args.last is None else commits_of("--last", args.last)
    return Window(last=last, since=args.since)


def _tracks(args: argparse.Namespace) -> "list[Track]":
    from ntbbench.compare import history_store  # noqa: PLC0415

    return history_store.tracks(args.store, args.metric, _window(args))


def _output(args: argparse.Namespace) -> Output:
    """Return where the report goes, which is no file that is read."""
    output = output_of(args)
    policy = getattr(args, "policy", None)
    output.check_inputs([args.store, *([] if policy is None else [policy])])
    return output
