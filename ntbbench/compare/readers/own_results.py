# SPDX-License-Identifier: BSD-3-Clause
"""Results of `sweep`, `simulate`, `compat` and the labs, told by their schema."""

import msgspec

from ntbbench.compare.readers.commit_series import CommitSeries
from ntbbench.compare.readers.content import Content, Keys, ResultReader, begins
from ntbbench.compare.readers.explored_seeds import ExploredSeeds
from ntbbench.compare.readers.pair_results import HostPairs, Pairs
from ntbbench.compare.readers.result_kinds import (
    CompatCells,
    Flows,
    HostCells,
    LabRuns,
    Simulations,
    Sweeps,
)
from ntbbench.compare.readers.results import Results
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError

OWN = (
    Sweeps(),
    CompatCells(),
    HostCells(),
    LabRuns(),
    Flows(),
    Pairs(),
    HostPairs(),
    CommitSeries(),
    ExploredSeeds(),
    Simulations(),
)
KNOWN_SCHEMAS = tuple(kind.schema for kind in OWN)
OURS = "ntbbench."  # what our own schemas begin with


def schema_of(keys: Keys) -> str:
    """Return the schema; "" where there is none that is a text."""
    return msgspec.json.decode(keys["schema"], type=str) if begins(keys, "schema", b'"') else ""


def kind_of(content: Content) -> Results | None:
    """Return the kind of our own results that a file is of, of any version; None: of none."""
    schema = schema_of(content.keys)
    alike = (kind for kind in OWN if schema.startswith(kind.schema.rstrip("0123456789")))
    return next(alike, None)


def recognises(content: Content) -> bool:
    """Return whether the schema is one of ours."""
    return schema_of(content.keys).startswith(OURS)


def read(content: Content, label: str) -> Variant:
    """Return the side that a file is; InputError: of a kind that is not compared."""
    kind = kind_of(content)
    if kind is None:
        raise unknown_schema(content)
    return kind.read(content.data, label, content.where)


def unknown_schema(content: Content) -> InputError:
    """Return the error of a schema that nobody reads."""
    allowed = " or ".join(KNOWN_SCHEMAS)
    return InputError(f"{content.where}: schema", schema_of(content.keys), allowed)


READER = ResultReader(recognises, read)
