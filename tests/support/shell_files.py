# SPDX-License-Identifier: BSD-3-Clause
"""The man page and the completions of shells, made of the parsers: `make reference`."""

import argparse
from collections.abc import Iterator, Mapping

import shtab
from every_parser import leaves, options_of

from ntbbench.cli.main import EPILOG, GROUPS, QUESTION, build_parser

# The names under which each shell looks for them.
COMPLETIONS = {"bash": "ntbbench", "zsh": "_ntbbench", "fish": "ntbbench.fish"}
# A task of the README each, and the commands that do it.
EXAMPLES = {
    "Test a driver patch: what a doorbell costs before and after it.": [
        "ntbbench lab pair run --ep-driver before --queues 4 -o before.json",
        "ntbbench lab pair run --ep-driver MY.c --queues 4 -o after.json",
        "ntbbench compare before.json after.json",
    ],
    "Gate a CI: exit code 1 on a regression.": ["ntbbench gate base.json new.json"],
    "Measure a board, and hold it against the model of its device.": [
        "ntbbench capture -o board --seconds 30",
        "ntbbench ingest board -o measured.json",
        "ntbbench explain measured.json",
    ],
    "Explore the model: does the mask or the interrupt affinity give the throughput?": [
        "ntbbench simulate --preset rcar-s4-spider --queues 1,2,4",
    ],
}
DOES = {name: words for group in GROUPS.values() for name, words in group.items()}


def shell_files() -> Mapping[str, str]:
    """Return every file by its path below docs/shell."""
    parser = whole_parser()
    found = {
        f"{shell}/{name}": shtab.complete(parser, shell) for shell, name in COMPLETIONS.items()
    }
    return {**found, "man/ntbbench.1": "\n".join(manual(parser)) + "\n"}


def whole_parser() -> argparse.ArgumentParser:
    """Return the parser with every command and what it does."""
    parser = build_parser(every=True)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            action.help = "what to do"
            action._choices_actions = [
                action._ChoicesPseudoAction(name, (), words) for name, words in DOES.items()
            ]
    return parser


def manual(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the lines of the manual page."""
    yield '.TH NTBBENCH 1 "" ntbbench "User commands"'
    yield from (".SH NAME", f"ntbbench \\- {roff('wakeup amplification of Linux NTB doorbells')}")
    yield from (".SH SYNOPSIS", ".B ntbbench", r"[\-h] [\-\-version] COMMAND ...")
    yield from (".SH DESCRIPTION", roff(QUESTION))
    for wanted, commands in GROUPS.items():
        yield f".SS {roff(wanted)}"
        for name, does in commands.items():
            yield from (".TP", f".B {name}", roff(does))
    yield ".SH COMMANDS"
    for title, command in leaves(parser, "ntbbench"):
        yield f".SS {roff(title)}"
        for option, text in options_of(command):
            yield from (".TP", f".B {roff(option)}", roff(text))
    yield ".SH EXAMPLES"
    for task, commands in EXAMPLES.items():
        yield from (".PP", roff(task), ".PP", ".RS", ".nf", *map(roff, commands), ".fi", ".RE")
    yield from (".SH EXIT STATUS", ".nf", *map(roff, EPILOG.splitlines()[1:]), ".fi")


def roff(text: str) -> str:
    """Return a line that begins no request and in which nothing is an escape."""
    return (r"\&" if text.startswith((".", "'")) else "") + text.replace("\\", r"\e").replace(
        "-", r"\-"
    )
