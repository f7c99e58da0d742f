# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench history`: results of successive commits, and the changes no single gate sees."""

import argparse
from pathlib import Path

from ntbbench.cli.compare import tell_cautions
from ntbbench.cli.output import Output, add_output, output_of
from ntbbench.compare.policy import load_policy
from ntbbench.core.errors import ExitCode
from ntbbench.report.wording import plural

STORE = Path("results/history.sqlite")
EPILOG = (
    "exit codes: 0 no regression; 1 `check` found one; 2 bad input; 4 nothing to check: no noisy "
    "metric has 8 commits, no exact one 2"
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    for action in (adding, showing, checking):
        action.add_argument("--store", type=Path, default=STORE, help=f"default {STORE}")
    for action in (showing, checking):
        action.add_argument("--metric", default="*", metavar="GLOB", help="default: all")
        add_output(action)


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
    from ntbbench.compare import history_store  # noqa: PLC0415
    from ntbbench.report.views import history  # noqa: PLC0415

    output = _output(args)
    output.show(history.tracks(history_store.tracks(args.store, args.metric)))
    return ExitCode.OK


def run_check(args: argparse.Namespace) -> int:
    """Print what changed; 1 if something became worse."""
    from ntbbench.compare.history import check  # noqa: PLC0415 -- loads scipy, ruptures
    from ntbbench.report.views import history  # noqa: PLC0415

    output = _output(args)
    found = check(args.store, args.metric, load_policy(args.policy))
    output.show(history.document(found))
    if not found.checked:
        return ExitCode.MISSING
    worse = any(f.change.worse for f in found.changes)
    return ExitCode.FINDING if worse or any(s.verdict == "regressed" for s in found.exact) else 0


def _output(args: argparse.Namespace) -> Output:
    """Return where the report goes, which is no file that is read."""
    output = output_of(args)
    policy = getattr(args, "policy", None)
    output.check_inputs([args.store, *([] if policy is None else [policy])])
    return output
