# SPDX-License-Identifier: BSD-3-Clause
"""Every command with its options, as its parser declares them."""

import argparse
from collections.abc import Iterator
from typing import Any

from ntbbench.cli.main import COMMANDS, build_parser


def every_command() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command and every group of them, in the order of the help, with its words."""
    for name in COMMANDS:
        for title, parser in parsers(build_parser([name]), "ntbbench"):
            if title.split()[1:2] == [name]:
                yield title, parser


def parsers(
    parser: argparse.ArgumentParser, title: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield a parser and all below it, with the words that lead there."""
    yield title, parser
    for action in below(parser):
        for name, inner in action.choices.items():
            yield from parsers(inner, f"{title} {name}")


def below(parser: argparse.ArgumentParser) -> "list[argparse._SubParsersAction[Any]]":
    """Return the actions by which a parser chooses another."""
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def leaves(
    parser: argparse.ArgumentParser, title: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command below a parser that has none below it, with its words."""
    return (found for found in parsers(parser, title) if not below(found[1]))


def options_of(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    """Return each option of a command and what it is, in the order of its help."""
    return [
        (written(action), parser._get_formatter()._expand_help(action))
        for group in parser._action_groups
        for action in group._group_actions
        if action.dest != "help" and action.help
    ]


def written(action: argparse.Action) -> str:
    """Return an option or argument as it is given, with what stands for its value."""
    words = "" if action.nargs == 0 else str(action.metavar or "|".join(action.choices or ()))
    return " ".join(filter(None, (", ".join(action.option_strings), words))) or action.dest
