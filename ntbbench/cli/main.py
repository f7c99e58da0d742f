# SPDX-License-Identifier: BSD-3-Clause
"""The `ntbbench` command: a table of its subcommands, and how errors become exit codes."""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import ntbbench
from ntbbench.cli.streams import fail, failed, prepare_streams, refusal
from ntbbench.core.ending import ENDING, Ended, signals_raise
from ntbbench.core.errors import SIGNALLED, ExitCode

# What a user wants -> command: what it does. Each module has `add_parser(subparsers)`, which
# sets `run`: (Namespace) -> exit code.
GROUPS = {
    "test a driver": {
        "lab": "run the real Linux NTB code in QEMU: `lab pair run --ep-driver MY.c`",
        "replay": "compare recordings of a real kernel with the model",
    },
    "gate a CI": {
        "ab": "run two commands in random blocks until their difference is decided",
        "gate": "compare, and exit 1 on a regression",
        "compare": "compare results: regressed, improved, equivalent, or inconclusive",
        "calibrate": "A/A runs: the false-alarm rate and the noise floor of this machine",
        "history": "keep results of successive commits and find change points",
    },
    "measure a board": {
        "board": "run variants of a driver between two hosts, left as they were found",
        "capture": "record the counters of this machine around an interval",
        "watch": "show the rates of a board's interrupts, runs and packets",
        "ingest": "read captures of real machines into measured numbers",
        "explain": "hold measured numbers against the model of the device",
    },
    "explore the model": {
        "sweep": "measure wakeup amplification over queue and doorbell counts",
        "hardware": "list NTB devices, or draw one doorbell map bit by bit",
        "compat": "old and new kernels on either side of the epf pair: what works",
        "patches": "the series patch by patch: effects and dependencies, computed",
        "doorbell": "trace one ring through both drivers of the epf pair",
        "simulate": "simulate throughput, latency and CPU time of the receive path",
        "fit": "fit a scenario of simulate to a single-queue measurement",
    },
    "look at results": {
        "show": "show a saved result in any format",
        "schema": "print the JSON Schema of a kind of result",
    },
}
COMMANDS = tuple(name for group in GROUPS.values() for name in group)

# The codes of commands that got as far as saying on stdout what they found.
ON_STDOUT = (ExitCode.OK, ExitCode.FINDING, ExitCode.INCONCLUSIVE, ExitCode.MISSING)

QUESTION = "What does NTB doorbell handling cost, and did a patch make it better?"
# Every code and what it says; the help, the man page and docs/reference/exit-codes.md list them.
EXIT_CODES = {
    0: "done",
    1: "a finding: a disagreement with a recording, a missed doorbell, a board unfit, a regression",
    2: "bad input or usage, or an output that cannot be written (a full disk, `>&-`)",
    3: "`gate`, `ab`, `board`: untested, or inconclusive where it fails; `lab`, `simulate`: breaks",
    4: "`compare`, `gate`, `calibrate`, `history check`: nothing measured, or one side lacks it",
    5: "`compare`, `gate`, `calibrate`: incomparable environments",
    70: "internal error",
    125: "`lab pair run --bisect`: skip this commit, for git-bisect(1)",
    129: "interrupted by SIGHUP",
    130: "interrupted by SIGINT (Ctrl-C)",
    143: "interrupted by SIGTERM",
    255: "`lab pair run --bisect`: stop, for git-bisect(1)",
}
EPILOG = "\n".join(
    [
        "exit codes:",
        *(f"  {code:<4} {words}" for code, words in EXIT_CODES.items()),
        "A reader of stdout that leaves early (head, grep -q) changes no code, and neither does "
        "stderr.",
        "Set NTBBENCH_DEBUG=1 to see the traceback of an internal error.",
        "",
    ]
)


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line, as every other error; subcommands inherit it."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with BAD_INPUT."""
        sys.exit(fail(f"{message} (see {self.prog} --help)", ExitCode.BAD_INPUT))


def build_parser(argv: Sequence[str] = (), *, every: bool = False) -> argparse.ArgumentParser:
    """Return the parser of the command that `argv` begins with; of none where it begins with none.

    To import every command takes longer than most of them run: `every` is for what lists them all.
    """
    parser = Parser(
        prog="ntbbench",
        description=f"{QUESTION}\n\n{listed_commands()}",
        usage="%(prog)s [-h] [--version] COMMAND ...",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"ntbbench {ntbbench.__version__}" if "--version" in argv else ""
    parser.add_argument("--version", action="version", version=version)
    subparsers = parser.add_subparsers(
        prog="ntbbench", metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )
    asked = argv[0] if argv else ""
    for name in COMMANDS:
        if every or name == asked:
            import_module(f"ntbbench.cli.{name}").add_parser(subparsers)
        else:
            subparsers.add_parser(name, add_help=False)  # known to the error about a wrong name
    return parser


def listed_commands() -> str:
    """Return every command in a line, below what a user wants."""
    lines = []
    for wanted, commands in GROUPS.items():
        lines += [f"{wanted}:", *(f"  {name:<10} {does}" for name, does in commands.items()), ""]
    return "\n".join([*lines, "`ntbbench COMMAND --help` says more of each."])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error is one line on stderr."""
    prepare_streams()
    words = sys.argv[1:] if argv is None else argv
    try:
        return shown(run(words))
    except SystemExit as end:  # of argparse: --help, --version, or bad usage
        sys.exit(shown(end.code if isinstance(end.code, int) else ExitCode.OK))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        args = build_parser(words).parse_args(words)
        args.command_line = shlex.join(["ntbbench", *words])
        code: int = args.run(args)
    except KeyboardInterrupt as end:
        number = end.number if isinstance(end, Ended) else signal.SIGINT
        return fail("interrupted", SIGNALLED + number)
    except Exception as error:  # the last resort: a line that names the defect, and exit code 70
        return failed(error, words)
    return code


def shown(code: int) -> int:
    """Return the exit code of a command that printed what it found.

    Where stdout was refused, nobody can read it: that is BAD_INPUT, which goes before a finding.
    The code of an error stays, for its line is on stderr.
    """
    refused = refusal()
    return failed(refused) if refused is not None and code in ON_STDOUT else code


def command() -> NoReturn:
    """Run as a program: signals end it clean, and when all is done they change no exit code."""
    with signals_raise():
        code = main()
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    command()
