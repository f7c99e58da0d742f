# SPDX-License-Identifier: BSD-3-Clause
"""The forms in which runs of iperf3 come, each as the JSON document that `iperf3 -J` prints.

Documents that follow each other (-J), events a line (--json-stream), and the text for people, of
which all numbers are as exact as it prints them.
"""

import json
import re
from typing import Any, NamedTuple

from ntbbench.core.errors import InputError
from ntbbench.core.iperf3_text import is_text, records

RUNS_MAX = 10_000  # runs of one file
HEAD = 4096  # characters that tell the form
EVENT = re.compile(r'\s*\{\s*"event"\s*:')
# A document behind other lines, or in a list, as `jq -s` makes one.
INSIDE = re.compile(r'^[ \t]*(?:\[\s*)?\{\s*"(?:start|title|extra_data)"\s*:', re.MULTILINE)
BLANKS = re.compile(r"\s*")


def is_iperf3(head: str) -> bool:
    """Return whether a text, other than a JSON document, begins as iperf3 prints it."""
    text = head.lstrip()
    if text.startswith("{"):
        return EVENT.match(text) is not None
    return is_text(text) or INSIDE.search(text) is not None


def documents(text: str, where: str) -> list[str]:
    """Return the runs in a text, each as one JSON document; InputError: one is not complete.

    A line that is no JSON may stand before, between and behind the documents: what a shell or
    iperf3 itself said; a list of documents is its documents.
    """
    text = text.strip()
    if EVENT.match(text):
        return _of_stream(text, where)
    if is_text(text[:HEAD]) and not text.startswith("{"):
        return [json.dumps(record) for record in records(text, where)]
    found: list[str] = []
    decoder = json.JSONDecoder()
    place = 0
    while place < len(text):
        if text[place] in "[,]":
            place += 1
        elif text[place] != "{":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end + 1
        elif len(found) == RUNS_MAX:
            raise InputError("input", where, f"at most {RUNS_MAX} runs of iperf3")
        else:
            try:
                _, end = decoder.raw_decode(text, place)
            except (ValueError, RecursionError) as error:
                raise InputError("input", where, f"complete runs of iperf3: {error}") from error
            found.append(text[place:end])
            place = end
        place += _blanks(text, place)
    return found


def _blanks(text: str, place: int) -> int:
    match = BLANKS.match(text, place)
    return 0 if match is None else match.end() - place


class _Event(NamedTuple):
    name: str
    data: Any


def _of_stream(text: str, where: str) -> list[str]:
    """Return the runs of --json-stream: each begins with `start` and is complete with `end`."""
    runs: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.strip()[0] != "{":
            continue
        event = _event(line, f"{where}:{number}")
        if event.name == "start" or not runs:
            runs.append({"intervals": []})
        if len(runs) > RUNS_MAX:
            raise InputError("input", where, f"at most {RUNS_MAX} runs of iperf3")
        if event.name == "interval":
            runs[-1]["intervals"].append(event.data)
        elif event.name in ("start", "end", "error"):
            runs[-1][event.name] = event.data
    for run in runs:
        if "error" not in run and not {"start", "end"} <= run.keys():
            raise InputError("input", where, "complete runs of iperf3: a stream without its end")
        run.setdefault("end", {})
    return [json.dumps(run) for run in runs]


def _event(line: str, where: str) -> _Event:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError("input", where, f"an event of --json-stream: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        raise InputError("input", where, "an event of --json-stream: an object with its event")
    return _Event(record["event"], record.get("data"))
