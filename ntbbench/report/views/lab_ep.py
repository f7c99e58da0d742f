# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's endpoint tests: a row a part, a column a controller."""

from collections.abc import Iterator
from dataclasses import replace

from ntbbench.lab.ep.ep_features import ITEM
from ntbbench.lab.ep.records import EpPart, EpResult
from ntbbench.report.document import Cell, Column, Document, Table
from ntbbench.report.views.part_tables import PartedTests

TESTS = PartedTests(
    EpPart,
    ("controller",),
    "{}",
    "the controller",
    lambda controller: "\n".join(ITEM.split(controller[0])),
)
FACTS = ("ep_driver", "host_driver", "bar_sizes")


def document(result: EpResult) -> Document:
    """Return the report of the tests."""
    line = f"Linux {result.kernel} ({result.kernel_source}), its own pci_endpoint_test"
    found = TESTS.document("ntbbench lab ep", line, result, FACTS)
    return replace(found, blocks=[*found.blocks, *_controllers(result)])


def _controllers(result: EpResult) -> Iterator[Table]:
    """Yield every feature of each controller."""
    names = dict.fromkeys(name for features in result.controllers.values() for name in features)
    columns = [Column("feature", align="left")]
    columns += [Column(controller, align="left") for controller in result.controllers]
    rows = [
        (Cell(name), *(Cell(features.get(name, "")) for features in result.controllers.values()))
        for name in names
    ]
    yield Table("Controllers", columns, rows, detail=True)
