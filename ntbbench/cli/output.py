# SPDX-License-Identifier: BSD-3-Clause
"""Where results go: the format of stdout, a page, a result file; checked before a run begins."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import Struct

import ntbbench
from ntbbench.cli.progress import RUNS, Saving
from ntbbench.cli.streams import tell
from ntbbench.core.errors import InputError
from ntbbench.core.names import encodable, unknown
from ntbbench.core.result_file import (
    append_text,
    check_no_input,
    check_writable,
    is_special,
    new_run,
    real_path,
    write_bytes,
)
from ntbbench.report.document import Document, leaves
from ntbbench.report.registry import kind_of
from ntbbench.report.render import RENDERERS, brief, renderer
from ntbbench.report.render import text as whole

ALIASES = {"markdown": "md"}
CHECKS = ("ktap", "junit", "github")  # formats of reports that check something
PERSON = re.compile(r"[^<>\n]+ <[^<>@\s]+@[^<>@\s]+>")
REVISIONS = ("kcidb",)  # formats of reports that tell of revisions
PIECE = 1 << 20  # characters of a text on its way to stdout: each piece is copied


def add_output(
    parser: argparse.ArgumentParser,
    *,
    saves: str = "",
    checks: bool = False,
    redirects: bool = False,
    tested: bool = False,
    revises: bool = False,
) -> argparse._ArgumentGroup:
    """Add --format, --html and --write; -o where the command saves a result.

    Parameters
    ----------
    saves : what begins the name of a result that -o does not name; empty: nothing is saved.
    checks : whether the report checks something, so that it can be KTAP, JUnit and annotations.
    redirects : whether -o is the file that gets what stdout would; nothing is saved.
    tested : whether it tells of code that ran, which a mail may be signed for.
    revises : whether it tells of builds and tests of revisions, so that it can be KCIDB's JSON.
    """
    group = parser.add_argument_group("output")
    names = formats(checks=checks, revises=revises)
    group.add_argument(
        "--format",
        metavar="|".join(names),
        type=lambda text: _format(text, names),
        default="text",
        help="what stdout gets (default text)",
    )
    group.add_argument("--html", metavar="FILE", type=Path, help="write a self-contained page too")
    group.add_argument(
        "--write",
        metavar="FORMAT=FILE",
        action="append",
        default=[],
        type=lambda text: _file(text, names),
        help="write the report to FILE in this format too; repeatable",
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", help="text: every table, and the environment"
    )
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="of a text (auto)"
    )
    if tested:
        group.add_argument(
            "--tested-by",
            metavar="'NAME <MAIL>'",
            type=_person,
            help="end a mail with this Tested-by line, if no check of it failed",
        )
    if saves:
        group.add_argument(
            "-o",
            "--output",
            metavar="FILE.json",
            type=Path,
            help=f"the result (default {RUNS}/{saves}-<UTC time>.json)",
        )
    if redirects:
        words = "write there instead of stdout"
        group.add_argument("-o", "--output", metavar="FILE", type=Path, dest="place", help=words)
    return group


def formats(*, checks: bool = False, revises: bool = False) -> list[str]:
    """Return the names that --format takes."""
    left = {*(() if checks else CHECKS), *(() if revises else REVISIONS)}
    return [name for name in RENDERERS if name not in left]


@dataclass
class Output:
    """Where the result of one call goes.

    Parameters
    ----------
    form : the format of stdout.
    page : where the page goes; None: nowhere.
    result : the result file; None: nothing is saved.
    named : whether the user named `result`, so that it need not be said where it is.
    place : the file that gets what stdout would; None: stdout.
    files : a format and a file each, beside stdout.
    verbose : whether a text on stdout has everything.
    color : auto, always or never; auto: on a terminal, unless NO_COLOR is set.
    tested_by : who signs a mail; empty: nobody.
    command : what was run, for a mail; empty: the result was made before.
    """

    form: str
    page: Path | None = None
    result: Path | None = None
    named: bool = True
    place: Path | None = None
    files: Sequence[tuple[str, Path]] = ()
    verbose: bool = False
    color: str = "never"
    tested_by: str = ""
    command: str = ""
    saving: Saving | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Check every file; nothing is written yet.

        Raises
        ------
        InputError : a file that cannot be written, or two outputs in one place.
        """
        other = self.result or self.place
        named = (("output", other), ("--html", self.page), *(("--write", f) for _, f in self.files))
        owners: dict[Path, str] = {}
        for option, path in named:
            if path is None:
                continue
            check_writable(path, option)
            place = real_path(path)
            if place in owners and not is_special(path):
                raise InputError(option, str(path), f"another file than {owners[place]}'s")
            owners[place] = "the result" if path is other else option
        if self.result is not None:
            self.saving = Saving(self.result, named=self.named)

    def check_inputs(self, inputs: Iterable[Path]) -> None:
        """Raise InputError where a file that is read would be written over."""
        read = list(inputs)
        for option, path in (("--html", self.page), *(("--write", file) for _, file in self.files)):
            if path is not None:
                check_no_input(option, path, read)

    @staticmethod
    def check_apart(option: str, path: Path, other: Path) -> None:
        """Raise InputError where `path` is the file of the result."""
        if real_path(path) == real_path(other):
            raise InputError(option, str(path), "another file than the result's")

    @property
    def draws(self) -> bool:
        """Tell whether a page is written, which shows more than the record holds."""
        return self.page is not None or "html" in (self.form, *(name for name, _ in self.files))

    def beside(self) -> Path:
        """Return the folder beside the result file that has its name."""
        if self.result is None:
            raise InputError(
                "--keep", "", "a folder: no result is saved that it could stand beside"
            )
        return self.result.with_suffix("")

    def finish(self, record: Struct, say: Callable[[str], None] = tell) -> None:
        """Save the result, then show it; a result that is not saved is the error at the end."""
        if self.saving is not None:
            self.saving.at_the_end(record)
        self.publish(record, say)

    def publish(self, record: Struct, say: Callable[[str], None] = tell) -> None:
        """Show a result that `saving` has saved, or has tried to."""
        if self.saving is not None and not self.named and self.saving.saved:
            say(f"saved {self.saving.output}")
        self.show(kind_of(record).document(record))
        if self.saving is not None:
            self.saving.check()

    def show(self, document: Document) -> None:
        """Print the document, and write the page and the files.

        The summary of a job of GitHub Actions, which is no place for annotations, gets Markdown.
        """
        report = self._written(document, self.form)
        if self.place is None:
            write_text(report)
        else:
            write_bytes(self.place, encodable(report).encode())
        self.write_page(document)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if self.form == "github" and summary:
            append_text(Path(summary), encodable(renderer("md")(document)))

    def text_of(self, document: Document) -> str:
        """Return the text for stdout: a screen of it, or all with -v."""
        render = whole.render if self.verbose else brief.render
        return render(document, colour=self.place is None and is_coloured(self.color))

    def write_page(self, document: Document) -> None:
        """Write the page and the files, where they were asked for."""
        pages = [] if self.page is None else [("html", self.page)]
        for name, path in (*pages, *self.files):
            write_bytes(path, encodable(self._written(document, name, every=True)).encode())

    def _written(self, document: Document, form: str, *, every: bool = False) -> str:
        """Return the document in a format; a mail also tells the command and who signs it."""
        if form == "mail" and document.ran:
            told = (
                {"ntbbench": ntbbench.__version__, "command": self.command} if self.command else {}
            )
            signs = self.tested_by and is_good(document)
            signed = [f"Tested-by: {self.tested_by}"] if signs else []
            document = replace(document, facts={**document.facts, **told}, trailers=signed)
        if form == "text" and not every:
            return self.text_of(document)
        return renderer(form)(document)


def output_of(args: argparse.Namespace, *, saves: str = "", resumed: Path | None = None) -> Output:
    """Return the checked output of the options that `add_output` added.

    Parameters
    ----------
    saves : as of `add_output`.
    resumed : the result that the run goes on with, which is where it is saved.
    """
    asked = getattr(args, "output", None) or resumed
    path = asked if asked is not None or not saves else new_run(RUNS, saves)
    output = report_output(args, result=path, named=asked is not None)
    if saves:
        output.command = args.command_line
    return output


def report_output(
    args: argparse.Namespace, *, result: Path | None = None, named: bool = True
) -> Output:
    """Return the checked output of a report; `result` is where its record is saved, if it is."""
    return Output(
        args.format,
        args.html,
        result,
        named,
        place=getattr(args, "place", None),
        files=args.write,
        verbose=args.verbose,
        color=args.color,
        tested_by=getattr(args, "tested_by", None) or "",
    )


def is_good(document: Document) -> bool:
    """Tell whether what was tested passed: something was tried, and no check of it failed."""
    found = [check.ok for _, check in leaves(document.tested("mail"))]
    return any(found) and False not in found


def is_coloured(color: str) -> bool:
    """Tell whether a text has colours; see https://no-color.org for NO_COLOR."""
    if color != "auto":
        return color == "always"
    dumb = os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not dumb


def write_text(text: str) -> None:
    """Write to stdout piece by piece."""
    for start in range(0, len(text), PIECE):
        sys.stdout.write(text[start : start + PIECE])


def _format(text: str, names: Iterable[str]) -> str:
    name = ALIASES.get(text, text)
    if name not in names:
        raise unknown("--format", text, names)
    return name


def _person(text: str) -> str:
    if not PERSON.fullmatch(text):
        raise InputError(
            "--tested-by", text, "a name and a mail address: 'Ada Lovelace <ada@x.org>'"
        )
    return text


def _file(text: str, names: Iterable[str]) -> tuple[str, Path]:
    name, _, file = text.partition("=")
    if ALIASES.get(name, name) not in names or not file:
        raise InputError("--write", text, f"FORMAT=FILE with one of {', '.join(names)}")
    return ALIASES.get(name, name), Path(file)
