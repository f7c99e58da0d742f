# SPDX-License-Identifier: BSD-3-Clause
"""One file a format: each writes any Document, and knows nothing of NTB."""

from collections.abc import Callable, Mapping
from importlib import import_module

from ntbbench.report.document import Document

# `--format NAME`: the module whose `render` writes it. Another format is a file and a line here.
RENDERERS: Mapping[str, str] = {
    "text": "text",
    "md": "markdown",
    "mail": "mail",
    "csv": "csv_rows",
    "json": "json_record",
    "html": "html",
    "ktap": "ktap",
    "junit": "junit",
    "github": "github",
    "kcidb": "kcidb",
}


def renderer(name: str) -> Callable[[Document], str]:
    """Return the renderer of a format; it is imported only now, for plotly takes long."""
    render: Callable[[Document], str] = import_module(f"{__name__}.{RENDERERS[name]}").render
    return render
