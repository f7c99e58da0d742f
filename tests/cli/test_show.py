# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench show`: any format of a saved result, one clear line about a file that is none."""

from pathlib import Path

import msgspec
import pytest
import report_records
from rendered import rendered

from ntbbench.cli.main import main
from ntbbench.cli.output import formats
from ntbbench.core.result_file import write_json
from ntbbench.report.kinds import RESULTS


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    write_json(path, report_records.story())
    return path


@pytest.mark.parametrize("name", formats())
def test_every_format(saved: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["show", str(saved), "--format", name]) == 0
    shown = capsys.readouterr()
    assert shown.out == rendered(report_records.story(), name)
    assert shown.err == ""


@pytest.mark.parametrize("command", [[], ["--audit"], ["generic"]])
def test_what_hardware_prints_as_json_is_shown_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    code = main(["hardware", *command])
    text = capsys.readouterr().out
    assert main(["hardware", *command, "--format", "json"]) == code
    path = tmp_path / "hardware.json"
    path.write_text(capsys.readouterr().out)
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr().out == text


def test_json_is_the_file(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", str(saved), "--format", "json"])
    shown, file = (
        msgspec.json.format(text, indent=-1)
        for text in (capsys.readouterr().out, saved.read_text())
    )
    assert shown == file


def test_html_is_written_beside(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = saved.with_name("run.html")
    assert main(["show", str(saved), "--html", str(page)]) == 0
    assert page.read_text() == rendered(report_records.story(), "html")
    assert capsys.readouterr().out == rendered(report_records.story(), "text")
    assert {path.name for path in saved.parent.iterdir()} == {"run.json", "run.html"}


KNOWN = f"known: {', '.join(sorted({kind.schema for kind in RESULTS.values()}))}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "not whole JSON"),
        ('{"schema": "ntbbench.sweep/1", "poi', "not whole JSON"),
        ("[1, 2]", "a JSON object with a schema"),
        ('{"points": []}', "a JSON object with a schema"),
        (
            '{"schema": "ntbbench.sweep/2"}',
            KNOWN,
        ),
        (
            '{"schema": "someone.else/1"}',
            KNOWN,
        ),
        ('{"schema": "ntbbench.sweep/1", "points": 3}', "damaged"),
    ],
)
def test_a_bad_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    assert main(["show", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert words in shown.err
    assert str(path) in shown.err


def test_bad_options_are_one_line(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(saved), "--format", "mad"]) == 2
    assert "did you mean md" in capsys.readouterr().err
    assert main(["show", str(saved), "--html", str(saved.parent / "no" / "x.html")]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)


def test_the_page_must_not_replace_the_result(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved.read_bytes()
    assert main(["show", str(saved), "--html", str(saved)]) == 2
    assert "--html" in capsys.readouterr().err
    assert saved.read_bytes() == before


def test_links_in_a_circle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    assert main(["show", str(circle), "--html", str(tmp_path / "page.html")]) == 2
    assert "Too many levels of symbolic links" in capsys.readouterr().err
