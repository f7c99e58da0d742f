# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of result: its schema, its record, and the view that makes a Document of it."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from ntbbench.core.names import unknown
from ntbbench.core.result_file import load_as, schema_of
from ntbbench.report.document import Document


@dataclass(frozen=True)
class ResultKind:
    """A kind of result; modules are imported when one of them is needed.

    Parameters
    ----------
    schema : the value of `schema` in its files.
    record : `module:Class` of the whole result.
    view : module of ntbbench.report.views with `document(record)`.
    checked : `module:function` that refuses a record whose parts do not fit; empty: none.
    """

    schema: str
    record: str
    view: str
    checked: str = ""

    def record_type(self) -> type[Struct]:
        """Return the record's class."""
        found: type[Struct] = _named(self.record)
        return found

    def load(self, path: Path) -> Struct:
        """Return the result in a file; InputError for a file that is damaged."""
        record = load_as(path, self.schema, self.record_type())
        if self.checked:
            _named(self.checked)(record, path)
        return record

    def document(self, record: Struct) -> Document:
        """Return the report of a record."""
        found: Document = import_module(f"ntbbench.report.views.{self.view}").document(record)
        return found


# By the name that `ntbbench schema` takes.
RESULTS: dict[str, ResultKind] = {
    "sweep": ResultKind("ntbbench.sweep/1", "ntbbench.dispatch.records:SweepResult", "sweep"),
    "lab": ResultKind("ntbbench.lab/1", "ntbbench.lab.loopback.records:LabResult", "lab_run"),
    "hardware": ResultKind(
        "ntbbench.hardware/1", "ntbbench.ntb.records:HardwareResult", "hardware"
    ),
    "audit": ResultKind("ntbbench.audit/1", "ntbbench.ntb.records:AuditResult", "audit"),
}


def kind_of(record: Struct) -> ResultKind:
    """Return the kind of a record, by its schema."""
    schema = getattr(record, "schema", "")
    return next(kind for kind in RESULTS.values() if kind.schema == schema)


def load_any(path: Path) -> Struct:
    """Return the result in a file of any kind.

    Raises
    ------
    InputError : the file cannot be read, is no result, or is of a schema that is not known here.
    """
    schema = schema_of(path)
    for kind in RESULTS.values():
        if kind.schema == schema:
            return kind.load(path)
    raise unknown(f"{path}: schema", schema, [kind.schema for kind in RESULTS.values()])


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
