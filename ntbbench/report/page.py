# SPDX-License-Identifier: BSD-3-Clause
"""The frame of every HTML report: one file, no network, nothing in it taken for markup.

A template escapes every text that it is given, so a report never builds HTML itself.
"""

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ntbbench.core.names import printable

if TYPE_CHECKING:
    import plotly.graph_objects as go

# What draws cartesian charts, of the version that plotly writes for: a third of the whole library,
# and a tenth where it is packed. The browser unpacks it.
PLOTLY = "plotly-cartesian.min.js.gz"
LABEL_MAX = 28  # characters of a name on an axis or in a legend
HOVER_WIDTH = 60
ROWS_SHOWN = 500  # of a table at once, until the reader asks for all: a browser lays out no more


# A JSON string may spell any character as an escape, so no tag and no comment can begin in it.
INERT: Mapping[int, str] = {ord(char): f"\\u{ord(char):04x}" for char in "<>&'\u2028\u2029"}


@dataclass(frozen=True)
class Figure:
    """A plotly figure; its `caption` says in words what is drawn. Texts in it: see `label`."""

    kind: ClassVar[str] = "figure"
    name: str  # an identifier, unique on the page
    caption: str
    figure: "go.Figure"
    wide: bool = False  # takes the whole width of the page

    @property
    def data(self) -> Markup:
        """The figure as JSON that is inert inside a script element."""
        text: str = self.figure.to_json()
        return Markup(text.translate(INERT))  # noqa: S704 - no markup is left in it


def fill(name: str, *, drawn: bool, **values: Any) -> str:
    """Return a template as one HTML file that holds plotly.js once and asks for nothing else.

    Parameters
    ----------
    name : of a file in assets/.
    drawn : whether there are figures.
    values : what the template shows; all texts are escaped.
    """
    loader = PackageLoader("ntbbench.report", "assets")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    packed = files("ntbbench.report").joinpath("assets", PLOTLY).read_bytes() if drawn else b""
    scripts = [loader.get_source(environment, "page.js")[0]]
    allowed = [gzip.decompress(packed).decode(), *scripts] if drawn else scripts
    style = loader.get_source(environment, "page.css")[0]
    return environment.get_template(name).render(
        **values,
        rows_shown=ROWS_SHOWN,
        style=Markup(style),  # noqa: S704 - a file of this package
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - plotly.js and page.js
        library=base64.b64encode(packed).decode(),
        hashes=[_hash(script) for script in allowed],
    )


def label(text: str, length: int = LABEL_MAX) -> str:
    """Return `text` for a plotly label, at most `length` characters of it.

    plotly reads a small HTML in its labels, so what could be a tag or an entity is escaped.
    """
    text = printable(text)
    return escape(text if len(text) <= length else f"{text[: length - 1]}\u2026", quote=False)


def hover(*lines: str) -> str:
    """Return `lines` for a plotly hover label, folded so that a long name stays on the screen."""
    folded = [part for line in lines for part in wrap(printable(line), HOVER_WIDTH)]
    return "<br>".join(escape(part, quote=False) for part in folded)


def _finalize(value: Any) -> Any:
    """Make every text that the template writes printable; autoescape comes after."""
    return printable(value) if type(value) is str else value


def _hash(script: str) -> str:
    """Return a script's hash for the page's policy: a script that is not ours does not run."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
