# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench schema`: the JSON Schema of a kind of result, every field with its definition."""

import argparse
import json
import sys
from typing import Any

import msgspec

from ntbbench.core.errors import ExitCode
from ntbbench.core.names import unknown
from ntbbench.report.registry import RESULTS, ResultKind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DESCRIPTION = """\
Print the JSON Schema of a kind of result: every field with its type, title, unit and definition.
Without KIND, list the kinds.
"""
EPILOG = """\
x-kind says what a field is: an axis names a point, a count is exact, a series is noisy, a fact is
there to read, a verdict is a conclusion. x-better says which way is better.

examples:
  ntbbench schema
  ntbbench schema lab > lab.schema.json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "schema",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("kind", metavar="KIND", nargs="?", help="a kind of result")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one schema, or the kinds that there are."""
    if args.kind is None:
        for name, kind in RESULTS.items():
            print(f"{name:<12} {kind.schema}")
        return ExitCode.OK
    if args.kind not in RESULTS:
        raise unknown("KIND", args.kind, RESULTS)
    sys.stdout.write(json.dumps(schema_of_kind(RESULTS[args.kind]), indent=2) + "\n")
    return ExitCode.OK


def schema_of_kind(kind: ResultKind) -> dict[str, Any]:
    """Return the JSON Schema of a kind's files; the value of `schema` in them is fixed."""
    made = msgspec.json.schema(kind.record_type())
    top = made["$defs"][made["$ref"].rpartition("/")[2]]
    top["properties"]["schema"] = {"const": kind.schema}
    return {"$schema": DIALECT, "$id": kind.schema, **made}
