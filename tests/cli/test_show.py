# SPDX-License-Identifier: BSD-3-Clause
"""Saved results: `show` prints them as their command did, `schema` is what they are valid by."""

import json
from pathlib import Path

import pytest
from golden_cases import INPUTS
from jsonschema import Draft202012Validator
from recordings import LOOP_612
from simulate_runs import ONE
from sweep_commands import SMALL

from ntbbench.report.registry import RESULTS

NAMES = {kind.schema: name for name, kind in RESULTS.items()}
FILES = sorted(INPUTS.glob("*.json"))
SAVED = [path for path in FILES if json.loads(path.read_bytes()).get("schema") in NAMES]
# Commands that save what they print; those of the others are shown from their JSON.
SAVING = {"sweep": (*SMALL, "-o", "r.json"), "simulate": ("simulate", *ONE, "-o", "r.json")}
PRINTING = {
    "hardware": ("hardware",),
    "generic": ("hardware", "generic"),
    "audit": ("hardware", "--audit"),
    "replay": ("replay", LOOP_612),
    "replay-one": ("replay", LOOP_612 / "two-vectors-four-qps"),
    "compat": ("compat", "--exhaustive"),
    "patches": ("patches",),
    "doorbell": ("doorbell", "--ep", "0", "--rc", "6.12.95", "--bits", "1", "--irqs", "scattered"),
}


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("words", SAVING.values(), ids=SAVING)
def test_what_was_saved_is_shown_as_it_was_printed(words, ntbbench) -> None:
    for form in ("text", "mail", "md", "csv", "json", "html"):
        ran = ntbbench(*words, "--format", form, "--html", "r.html")
        shown = ntbbench("show", "r.json", "--format", form, "--html", "again.html")
        assert (shown.code, shown.out, shown.err) == (0, ran.out, "")
        assert Path("again.html").read_bytes() == Path("r.html").read_bytes()
    assert ntbbench("show", "r.json", "--format", "json").report == json.loads(
        Path("r.json").read_text()
    )
    assert {path.name for path in Path.cwd().iterdir()} == {"again.html", "r.html", "r.json"}


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("words", PRINTING.values(), ids=PRINTING)
def test_printed_json_is_shown_as_the_text(words, ntbbench) -> None:
    ran, whole = ntbbench(*words), ntbbench(*words, "--format", "json")
    assert (whole.code, whole.err) == (ran.code, "")
    Path("r.json").write_text(whole.out)
    assert ntbbench("show", "r.json").out == ran.out
    assert ntbbench("show", "r.json", "--format", "json").out == whole.out


def test_every_kind_is_listed(ntbbench) -> None:
    listed = ntbbench("schema").out.split()
    assert listed == [word for name, kind in RESULTS.items() for word in (name, kind.schema)]


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_real_results_are_valid_and_damaged_ones_are_not(path: Path, ntbbench) -> None:
    """By a validator that is not ours."""
    record = json.loads(path.read_bytes())
    ran = ntbbench("schema", NAMES[record["schema"]])
    assert (ran.code, ran.err) == (0, "")
    Draft202012Validator.check_schema(ran.report)
    validator = Draft202012Validator(ran.report)
    validator.validate(record)
    assert not validator.is_valid(record | {"schema": "another/1"})
    lists = [key for key, value in record.items() if isinstance(value, list)]
    assert lists and not any(validator.is_valid(record | {key: 5}) for key in lists)
