# SPDX-License-Identifier: BSD-3-Clause
"""The `ntbbench` command: a table of its subcommands, and how errors become exit codes."""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from ntbbench import __version__
from ntbbench.cli.failures import fail, failed
from ntbbench.cli.streams import prepare_streams, refusal
from ntbbench.errors import ExitCode

# Each module has `add_parser(subparsers)`, which sets `run`: (Namespace) -> exit code.
COMMANDS = (
    "sweep",
    "simulate",
    "fit",
    "show",
    "hardware",
    "replay",
    "compat",
    "patches",
    "doorbell",
    "compare",
    "gate",
    "calibrate",
    "history",
    "lab",
    "capture",
    "ingest",
    "explain",
)

# The codes of commands that got as far as saying on stdout what they found.
ON_STDOUT = (ExitCode.OK, ExitCode.FINDING, ExitCode.INCONCLUSIVE, ExitCode.MISSING)

EPILOG = """\
exit codes:
  0    done
  1    a finding: a disagreement with a recording, a doorbell that `sweep` misses, a regression
  2    bad input or usage, or an output that cannot be written (a full disk, `>&-`)
  3    `gate`: inconclusive where the policy fails it; `lab`: a build or a guest failed
  4    `compare`, `gate`, `calibrate`, `history check`: nothing measured, or one side lacks it
  5    `compare`, `gate`, `calibrate`: incomparable environments
  70   internal error
  130  interrupted
  143  `sweep`, `simulate`, `lab pair matrix`: interrupted by SIGTERM
A reader of stdout that leaves early (head, grep -q) changes no code, and neither does stderr.
Set NTBBENCH_DEBUG=1 to see the traceback of an internal error.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line, as every other error; subcommands inherit it."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with BAD_INPUT."""
        sys.exit(fail(f"{message} (see {self.prog} --help)", ExitCode.BAD_INPUT))


def build_parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the command that `argv` begins with; of all where it begins with none.

    To import every command takes longer than most of them run.
    """
    parser = Parser(
        prog="ntbbench",
        description="What does NTB doorbell handling cost, and did a patch make it better?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ntbbench {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked = tuple(argv[:1])
    for name in asked if set(asked) & set(COMMANDS) else COMMANDS:
        import_module(f"ntbbench.cli.{name}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is one line on stderr."""
    prepare_streams()
    words = sys.argv[1:] if argv is None else argv
    try:
        return told(run(words))
    except SystemExit as end:  # of argparse: --help, --version, or bad usage
        sys.exit(told(end.code if isinstance(end.code, int) else ExitCode.OK))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        args = build_parser(words).parse_args(words)
        code: int = args.run(args)
    except KeyboardInterrupt:
        return fail("interrupted", ExitCode.INTERRUPTED)
    except Exception as error:  # the last resort: one line, and of a defect its name, are told
        return failed(error)
    return code


def told(code: int) -> int:
    """Return the exit code of a command that said on stdout what it found.

    Where stdout was refused, what it found is not told: that is BAD_INPUT, which goes before a
    finding. The code of an error stays, for its line is on stderr.
    """
    refused = refusal()
    return failed(refused) if refused is not None and code in ON_STDOUT else code


def command() -> NoReturn:
    """Run as a program: a signal that comes when all is done does not change the exit code."""
    code = main()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    command()
