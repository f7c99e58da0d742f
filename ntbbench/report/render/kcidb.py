# SPDX-License-Identifier: BSD-3-Clause
"""Builds and tests of each revision as KCIDB takes them, schema 5.3.

Source: kcidb-io 141, kcidb_io.schema.V5_3.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ntbbench.report.document import Check, Document, Revision, leaves

ORIGIN = "ntbbench"
VERSION = {"major": 5, "minor": 3}
COMMIT = re.compile(r"[0-9a-f]{40}")
MAIL = re.compile(r"<?([^<>\s]+@[^<>\s]+)>?")
ARCHITECTURE = "x86_64"  # of every guest
LOG_MAX = 16384  # characters of an excerpt


def render(document: Document) -> str:
    """Return the revisions of a document as JSON that `kcidb-validate` takes."""
    revisions = document.revised("kcidb")
    digest = hashlib.sha256(msgspec.json.encode(document.record))
    base = f"{ORIGIN}:{digest.hexdigest()[:16]}"
    numbered = list(enumerate(revisions))
    found: dict[str, Any] = {
        "version": VERSION,
        "checkouts": [_checkout(f"{base}:{n}", one) for n, one in numbered],
        "builds": [
            _build(f"{base}:{n}", one, document) for n, one in numbered if one.builds is not None
        ],
        "tests": [test for n, one in numbered for test in _tests(f"{base}:{n}", one, document)],
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"


def _checkout(name: str, one: Revision) -> dict[str, Any]:
    commit, mail = COMMIT.fullmatch(one.commit), MAIL.fullmatch(one.commit)
    told = {"git_commit_hash": commit[0]} if commit else {}
    told |= {"message_id": mail[1]} if mail else {}
    return {"id": name, "origin": ORIGIN, "comment": one.name, "valid": one.applies, **told}


def _build(name: str, one: Revision, document: Document) -> dict[str, Any]:
    return {
        "checkout_id": name,
        "id": f"{name}:build",
        "origin": ORIGIN,
        "architecture": ARCHITECTURE,
        "config_name": "ntbbench",
        "compiler": str(document.facts.get("gcc", "gcc")),
        "status": "PASS" if one.builds else "FAIL",
        **({"log_excerpt": one.reason[:LOG_MAX]} if one.reason and not one.builds else {}),
    }


def _tests(name: str, one: Revision, document: Document) -> Iterator[dict[str, Any]]:
    machine = f"Linux {document.facts.get('kernel')} on {document.facts.get('qemu')}"
    for number, (_, check) in enumerate(leaves(one.tests) if one.builds else ()):
        log = "\n".join(check.diagnostics)[:LOG_MAX]
        yield {
            "build_id": f"{name}:build",
            "id": f"{name}:{number}",
            "origin": ORIGIN,
            "environment": {"comment": machine},
            "path": f"ntbbench.{_path(check.name)}",
            "comment": ": ".join(filter(None, [check.name, check.reason])),
            "status": _status(check),
            **({"log_excerpt": log} if log else {}),
        }


def _status(check: Check) -> str:
    if check.ok is None:
        return "SKIP"
    return "PASS" if check.ok else "ERROR" if check.error else "FAIL"


def _path(text: str) -> str:
    """Return a name that a path of tests may have."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_").lower()
