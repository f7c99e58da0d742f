# SPDX-License-Identifier: BSD-3-Clause
"""The reference pages in docs/reference/, made of what the code declares: `make reference`."""

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args, get_type_hints

from every_parser import below, every_command, options_of
from msgspec import Struct
from msgspec.structs import fields
from shell_files import shell_files

from ntbbench.board.settings import LISTS, TABLES
from ntbbench.capture.ingest import READERS as CAPTURED
from ntbbench.cli.main import EXIT_CODES
from ntbbench.compare import readers as compared
from ntbbench.compare.policy import Policy
from ntbbench.core.fields import Declared, declared
from ntbbench.core.options import OptionSection, described
from ntbbench.datapath import sections as simulate
from ntbbench.datapath.scenario_file import preset
from ntbbench.dispatch import scenario as sweep
from ntbbench.report.registry import RESULTS
from ntbbench.report.render import RENDERERS

BOARD = [(key, one) for key, one in {**TABLES, **LISTS}.items() if key != "ep"]  # as [rc]
FOLDER = Path(__file__).parents[2] / "docs" / "reference"
SHELL = FOLDER.parent / "shell"
METRICS = """\
# Fields of results

Made by `make reference` from the records themselves; `ntbbench schema KIND` prints the same as JSON
Schema. Kinds: an *axis* names a point, a *count* is exact (any change is a finding), a *series* is
noisy (compared by its samples), a *fact* is there to read, a *verdict* is a conclusion.
"""
OPTIONS = """\
# Options of commands, keys of files

Made by `make reference` from the declarations themselves. A range is what is allowed; a value
outside of it is refused with exit code 2, and so is an unknown key, with the nearest known one.
"""
FILES = """\
# Keys of files

TOML files; a key that is left out has its default. A list may be written as on the command line.
"""
EXITS = """\
# Exit codes

Made by `make reference` from the declarations themselves. The code of a command that answers a
question (`compat`, `patches`, `doorbell`, `compare`) is 0, whatever the answer.

A reader of stdout that leaves early (`| head`, `| grep -q`) changes no code, and neither does a
stderr that nobody reads; a pipeline gives the code on with `set -o pipefail`. What was measured is
printed also where it cannot be saved, and saved also where it cannot be printed. Either is a 2,
which goes before a finding.
"""
WRITTEN = """\
# Formats

Made by `make reference` from the declarations themselves.

## What commands print

`--format` says what stdout gets, `--write FORMAT=FILE` writes another format beside it, `--html
FILE` a page. `ntbbench show FILE.json` prints a saved result in any of them.
"""
SAVED = """\
## Results

A result is JSON whose `schema` names its kind. `ntbbench schema KIND` prints the JSON Schema,
[metrics.md](metrics.md) lists the fields. `null` is a number that is not known.
"""
COMPARED = """\
## What `compare` and `gate` read

A side is one of these, or several of one kind: the content says which. What is measured of each:
[compare.md](../compare.md#what-is-compared).
"""
READ = """\
## What `ingest` and `explain` read

A folder of `ntbbench capture`, or files of these kinds under any name: the beginning of a file says
what it is.
"""
BETTER = {"lower": "lower", "higher": "higher", "none": ""}


def pages() -> dict[str, str]:
    """Return every page by its file name."""
    return {
        "metrics.md": metrics_page(),
        "options.md": options_page(),
        "formats.md": formats_page(),
        "exit-codes.md": exit_codes_page(),
    }


def options_page() -> str:
    """Return the options of every command and the keys of every file."""
    commands = [
        part
        for title, parser in every_command()
        if not below(parser)
        for part in (f"## {title}\n", option_table(parser))
    ]
    board = preset("rcar-s4-spider")
    files = [
        *key_tables("simulate", described(simulate.Scenario()), ("R-Car S4", described(board))),
        *key_tables("sweep", described(sweep.SweepScenario())),
        *key_tables("compare, gate --policy", described(Policy())),
        *key_tables("board", [part for name, one in BOARD for part in described(one, name)]),
    ]
    return "\n".join([OPTIONS, *commands, FILES, *files])


def option_table(parser: argparse.ArgumentParser) -> str:
    """Return the options of a command as a table, in the order of its help."""
    rows = [(f"`{option}`", text) for option, text in options_of(parser)]
    return markdown(("option", "what"), rows)


def key_tables(
    command: str,
    sections: Sequence[OptionSection],
    beside: tuple[str, Sequence[OptionSection]] | None = None,
) -> Iterator[str]:
    """Yield the keys of a command's file, a table for each section; `beside`: other defaults."""
    yield f"## {command}\n"
    title, others = beside or ("", sections)
    head = ("key", "what", "allowed", "default", *filter(None, [title]))
    for section, other in zip(sections, others, strict=True):
        yield f"`[{section.name}]`\n" if section.name else "At the top\n"
        rows = []
        for key, also in zip(section.options, other.options, strict=True):
            own = f"{section.name}.{key.key}" if section.name else key.key
            differs = plain(also.default) if also.default != key.default else ""
            cells = (f"`{own}`", key.text, key.allowed, plain(key.default), differs)
            rows.append(cells[: len(head)])
        yield markdown(head, rows)


def plain(value: object) -> str:
    """Return a default as a reader would write it."""
    if isinstance(value, list):
        return ",".join(map(str, value)) or "[]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def exit_codes_page() -> str:
    """Return every exit code, then what each command says of its own."""
    codes = markdown(("code", "meaning"), ((str(code), does) for code, does in EXIT_CODES.items()))
    told = [
        f"## {title}\n\n```text\n{own}\n```\n"
        for title, parser in every_command()
        if (own := own_codes(parser))
    ]
    return "\n".join([EXITS, codes, *told])


def own_codes(parser: argparse.ArgumentParser) -> str:
    """Return what the help of a command says of its exit codes; empty: nothing."""
    _, _, told = (parser.epilog or "").partition("exit codes:")
    return dedent(told.partition("\n\n")[0].lstrip(" ").strip("\n"))


def formats_page() -> str:
    """Return what commands print, what they save, and what they read."""
    renderers = ((f"`{name}`", first_line(renderer_of(name)), takers(name)) for name in RENDERERS)
    results = (
        (f"`{name}`", f"`{kind.schema}`", first_line(kind.record_type()))
        for name, kind in RESULTS.items()
    )
    sides = (
        (what, first_line(import_module(f"{compared.__name__}.{module}")))
        for module, what in compared.READERS.items()
    )
    sources = ((one.name, one.gives, one.cannot_tell) for one in CAPTURED if one.gives)
    return "\n".join(
        [
            WRITTEN,
            markdown(("format", "what", "of"), renderers),
            SAVED,
            markdown(("kind", "`schema`", "what"), results),
            COMPARED,
            markdown(("a side", "what"), sides),
            READ,
            markdown(("source", "gives", "cannot tell"), sources),
        ]
    )


def renderer_of(name: str) -> object:
    """Return the module that writes a format."""
    return import_module(f"ntbbench.report.render.{RENDERERS[name]}")


def first_line(described: object) -> str:
    """Return the first line of a docstring."""
    return (described.__doc__ or "").strip().splitlines()[0]


def takers(form: str) -> str:
    """Return the commands that print a format; all: every one that has --format."""
    choices = {
        title.removeprefix("ntbbench "): action.metavar.split("|")
        for title, parser in every_command()
        for action in parser._actions
        if "--format" in action.option_strings and action.metavar  # of a report, not an export
    }
    found = [f"`{title}`" for title, known in choices.items() if form in known]
    return "all" if len(found) == len(choices) else ", ".join(found)


def metrics_page() -> str:
    """Return the fields of every kind of result."""
    parts = [METRICS]
    for name, kind in RESULTS.items():
        parts.append(f"## {name}: `{kind.schema}`\n")
        for record in structs(kind.record_type(), []):
            if declared(record):
                head = f"**{record.__name__}**: {first_line(record)}"
                parts.append(f"{head}\n\n{table(record)}")
    return "\n".join(parts)


def structs(kind: Any, seen: list[type[Struct]]) -> Iterator[type[Struct]]:
    """Yield the records that a type is made of, itself first, each once."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        if kind in seen:
            return
        seen.append(kind)
        yield kind
        hints = get_type_hints(kind)
        for field in fields(kind):
            yield from structs(hints[field.name], seen)
    for part in get_args(kind):
        yield from structs(part, seen)


def table(record: type[Struct]) -> str:
    """Return the declared fields of a record as a table."""
    head = ("field", "title", "kind", "unit", "better", "definition")
    return markdown(head, map(row, declared(record).values()))


def row(field: Declared) -> Sequence[str]:
    """Return one field as a row."""
    better = BETTER[field.better] if field.kind in ("count", "series") else ""
    return (f"`{field.name}`", field.title, field.kind, field.unit, better, field.definition)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(line)} |" for line in (head, *(map(cell, row) for row in rows))]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def cell(text: str) -> str:
    """Return a cell whose pipes end none, in GitHub's Markdown and in MkDocs', code or not."""
    with_pipe = re.compile(r"`([^`]*\|[^`]*)`")
    code = with_pipe.sub(lambda found: f"<code>{escape(found[1], quote=False)}</code>", text)
    return code.replace("|", "&#124;<wbr>")


def write_all() -> None:
    """Write every page anew."""
    for folder, made in ((FOLDER, pages()), (SHELL, shell_files())):
        for name, text in made.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all()
