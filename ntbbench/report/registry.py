# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of result: its schema, its record, and the view that makes a Document of it."""

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.result_file import decoded_as, read_result, schema_of
from ntbbench.report.document import Document


@dataclass(frozen=True)
class ResultKind:
    """A kind of result; modules are imported when one of them is needed.

    Parameters
    ----------
    schema : the value of `schema` in its files.
    record : `module:Class` of the whole result.
    view : module of ntbbench.report.views with `document(record)`; `{kind}` is the record's.
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
        return self.decoded(read_result(path), path)

    def decoded(self, data: bytes, path: Path) -> Struct:
        """Return the result in the content of a file; InputError for one that is damaged."""
        record = decoded_as(data, path, self.schema, self.record_type())
        if self.checked:
            _named(self.checked)(record, path)
        return record

    def document(self, record: Struct) -> Document:
        """Return the report of a record."""
        view = self.view.format(kind=getattr(record, "kind", ""))
        found: Document = import_module(f"ntbbench.report.views.{view}").document(record)
        return found


# By the name that `ntbbench schema` takes.
RESULTS: dict[str, ResultKind] = {
    "sweep": ResultKind("ntbbench.sweep/1", "ntbbench.dispatch.records:SweepResult", "sweep"),
    "lab": ResultKind("ntbbench.lab/1", "ntbbench.lab.records:LabResult", "lab_run"),
    "compat": ResultKind(
        "ntbbench.compat/1",
        "ntbbench.pair.records:CompatResult",
        "compat",
        "ntbbench.pair.verdict:check_matrix",
    ),
    "compat-ntb": ResultKind(
        "ntbbench.compat-ntb/1",
        "ntbbench.pair.host_records:HostCompat",
        "compat",
        "ntbbench.pair.verdict:check_matrix",
    ),
    "patches": ResultKind("ntbbench.patches/1", "ntbbench.pair.records:PatchesResult", "patches"),
    "patches-ntb": ResultKind(
        "ntbbench.patches-ntb/1", "ntbbench.pair.host_records:HostPatches", "patches"
    ),
    "story": ResultKind("ntbbench.story/1", "ntbbench.pair.records:Stories", "story"),
    "story-ntb": ResultKind(
        "ntbbench.story-ntb/1", "ntbbench.pair.host_records:HostStories", "story"
    ),
    "simulation": ResultKind(
        "ntbbench.simulation/1",
        "ntbbench.datapath.records:SimulationResult",
        "simulation",
        "ntbbench.datapath.summary:check_points",
    ),
    "options": ResultKind("ntbbench.options/1", "ntbbench.core.options:OptionList", "option_list"),
    "fit": ResultKind("ntbbench.fit/1", "ntbbench.datapath.records:FitResult", "fit"),
    "pair": ResultKind(
        "ntbbench.pair/1", "ntbbench.lab.pair.records:PairResult", "lab_pair_{kind}"
    ),
    "pair-ntb": ResultKind(
        "ntbbench.pair-ntb/1", "ntbbench.lab.hosts.bridge_records:HostResult", "lab_pair_{kind}"
    ),
    "selftest": ResultKind(
        "ntbbench.selftest/1", "ntbbench.lab.selftest.records:SelftestResult", "lab_selftest"
    ),
    "selftest-ntb": ResultKind(
        "ntbbench.selftest-ntb/1",
        "ntbbench.lab.selftest.records:HostSelftestResult",
        "lab_selftest",
    ),
    "ep": ResultKind("ntbbench.ep/1", "ntbbench.lab.ep.records:EpResult", "lab_ep"),
    "explore": ResultKind(
        "ntbbench.explore/1", "ntbbench.lab.explore.records:ExploreResult", "lab_explore"
    ),
    "series": ResultKind(
        "ntbbench.series/1", "ntbbench.lab.series.records:SeriesResult", "lab_series"
    ),
    "compare": ResultKind("ntbbench.compare/1", "ntbbench.compare.records:Report", "comparison"),
    "baseline": ResultKind(
        "ntbbench.baseline/1", "ntbbench.compare.readers.baseline:Baseline", "baseline"
    ),
    "calibrate": ResultKind(
        "ntbbench.calibrate/1", "ntbbench.compare.calibrate:Calibration", "calibration"
    ),
    "ab": ResultKind(
        "ntbbench.ab/1",
        "ntbbench.ab.records:AbResult",
        "ab",
        "ntbbench.compare.readers.ab_blocks:check_blocks",
    ),
    "board": ResultKind(
        "ntbbench.board/1",
        "ntbbench.board.board_records:BoardResult",
        "board",
        "ntbbench.compare.readers.board_blocks:check_board",
    ),
    "board-check": ResultKind(
        "ntbbench.board-check/1", "ntbbench.board.board_records:BoardCheck", "board_check"
    ),
    "board-plan": ResultKind(
        "ntbbench.board-plan/1", "ntbbench.board.board_records:BoardSchedule", "board_plan"
    ),
    "history": ResultKind("ntbbench.history/1", "ntbbench.compare.history:Checked", "history"),
    "lab-netdev": ResultKind(
        "ntbbench.lab-netdev/1", "ntbbench.lab.records:NetdevResult", "lab_netdev"
    ),
    "measured": ResultKind(
        "ntbbench.measured/1",
        "ntbbench.capture.records:Measured",
        "ingest",
        "ntbbench.capture.evidence:check_measured",
    ),
    "explain": ResultKind("ntbbench.explain/1", "ntbbench.capture.records:Explanations", "explain"),
    # A file of the schema is read as the first that it fits.
    "replay-one": ResultKind(
        "ntbbench.replay/1", "ntbbench.capture.replay_records:ReplayPoint", "replay"
    ),
    "replay": ResultKind(
        "ntbbench.replay/1", "ntbbench.capture.replay_records:ReplayMany", "replay"
    ),
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
    data = read_result(path)
    schema = schema_of(data, path)
    fitting = [kind for kind in RESULTS.values() if kind.schema == schema]
    if not fitting:
        raise unknown(f"{path}: schema", schema, {kind.schema for kind in RESULTS.values()})
    for kind in fitting[:-1]:
        with suppress(InputError):
            return kind.decoded(data, path)
    return fitting[-1].decoded(data, path)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
