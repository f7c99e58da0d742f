# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench board`: the same question on two real machines, which are left as they were found."""

import argparse
from pathlib import Path

from ntbbench.cli.board_run import add_plan, add_run
from ntbbench.cli.output import add_output, output_of
from ntbbench.cli.streams import tell
from ntbbench.core.errors import ExitCode, InputError

DESCRIPTION = """\
Run variants of a driver between two hosts (ssh, local, or two network namespaces) in random
blocks, with a capture around each run, and leave both hosts as they were found.
"""
EPILOG = """\
examples:
  ntbbench board init --rc ssh:rc --ep ssh:ep -o board.toml
  ntbbench board check board.toml     # what is missing; nothing is changed
  ntbbench board plan board.toml      # every command that would change something
  ntbbench board run board.toml -o result.json
  ntbbench board run board.toml --resume result.json
  ntbbench board restore board.toml   # after a run that could not restore
  ntbbench gate result.json

exit codes:
  0  done    1  check: something is missing
  2  bad input, a command or a host that fails; what was run is saved, the hosts are restored
  129, 130, 143  interrupted; what was run is saved, the hosts are restored
With run --gate those of `gate`: 1 a regression, 3 inconclusive where the policy fails it.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "board",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    nested = parser.add_subparsers(required=True, metavar="COMMAND")
    add_init(nested)
    does = "tell what is there and what is missing; read-only"
    one = nested.add_parser("check", help=does, description=does, allow_abbrev=False)
    one.add_argument("board", metavar="BOARD.toml", type=Path)
    add_output(one, checks=True)
    one.set_defaults(run=run_check)
    add_plan(nested)
    add_run(nested)
    one = nested.add_parser(
        "restore", help="put back what an earlier run could not", allow_abbrev=False
    )
    one.add_argument("board", metavar="BOARD.toml", type=Path)
    one.add_argument("--dry-run", action="store_true", help="print the commands, change nothing")
    one.set_defaults(run=run_restore)


def add_init(nested: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `board init`."""
    one = nested.add_parser("init", help="write a first BOARD.toml", allow_abbrev=False)
    for side in ("rc", "ep"):
        one.add_argument(f"--{side}", metavar="HOST", required=True, help="local, netns:, ssh:NAME")
    one.add_argument("-o", "--output", metavar="BOARD.toml", type=Path, default=Path("board.toml"))
    one.set_defaults(run=run_init)


def run_init(args: argparse.Namespace) -> int:
    """Ask both hosts and write a first file."""
    from ntbbench.board.first_file import first_board  # noqa: PLC0415
    from ntbbench.board.hosts import open_host  # noqa: PLC0415
    from ntbbench.board.settings import SIDES, BoardSide  # noqa: PLC0415
    from ntbbench.core.options import changed  # noqa: PLC0415
    from ntbbench.core.result_file import check_writable, write_bytes  # noqa: PLC0415

    if args.output.exists():
        raise InputError("-o", str(args.output), "a new file: this one is there")
    check_writable(args.output, "-o")
    places = {side: getattr(args, side) for side in SIDES}
    hosts = {}
    try:
        for side, place in places.items():
            hosts[side] = open_host(side, changed(f"--{side} ", BoardSide(), {"host": place}))
        write_bytes(args.output, first_board(hosts, places).encode())
    finally:
        for host in hosts.values():
            host.close()
    tell(f"wrote {args.output}; next: ntbbench board check {args.output}")
    return ExitCode.OK


def run_check(args: argparse.Namespace) -> int:
    """Tell what is missing."""
    from ntbbench.board.checks import check_board_hosts  # noqa: PLC0415
    from ntbbench.board.session import both  # noqa: PLC0415
    from ntbbench.board.settings import load_board  # noqa: PLC0415
    from ntbbench.board.survey import survey  # noqa: PLC0415

    output, board = output_of(args), load_board(args.board)
    with both(board) as hosts:
        found = check_board_hosts(board, {s: survey(host, board) for s, host in hosts.items()})
    output.finish(found)
    missing = any(one.ready == "missing" for one in found.findings)
    return ExitCode.FINDING if missing else ExitCode.OK


def run_restore(args: argparse.Namespace) -> int:
    """Put back what an earlier run could not."""
    from ntbbench.board.changes import Changer, journal_path, load_journal  # noqa: PLC0415
    from ntbbench.board.restoring import by_hand, put_back  # noqa: PLC0415
    from ntbbench.board.session import both  # noqa: PLC0415
    from ntbbench.board.settings import parsed  # noqa: PLC0415
    from ntbbench.board.survey import survey  # noqa: PLC0415

    journal = load_journal(args.board)
    if journal is None:
        tell(f"{args.board}: no run left anything to restore")
        return ExitCode.OK
    if args.dry_run:
        for line in by_hand(journal):
            print(line)
        return ExitCode.OK
    board = parsed(journal.board, "journal: ")
    with both(board) as hosts:
        now = {side: survey(host, board) for side, host in hosts.items()}
        changer = Changer(journal_path(args.board), board, hosts, journal, now)
        put_back(changer, args.board, tell)
    tell("both sides are as they were found")
    return ExitCode.OK
