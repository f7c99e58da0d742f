# SPDX-License-Identifier: BSD-3-Clause
"""compat, patches and doorbell from the command line: formats, JSON, errors, time."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ntbbench.cli.doorbell import parse_bits
from ntbbench.cli.main import main
from ntbbench.core.errors import InputError

VERDICTS = {"per-vector", "fallback", "misrouted", "missed", "link-down"}
HAZARDS = {
    "sleeps in atomic context",
    "out-of-range shift or read",
    "vector misread from non-contiguous irqs",
    "wrong bit in db_read",
}


def stdout_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_compat_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(stdout_of(capsys, "compat", "--format", "json"))
    assert found["schema"] == "ntbbench.compat/1"
    assert (found["ep_slots"], found["rc_vectors"], found["mw_count"]) == (8, 16, 4)
    assert found["doorbell"] == "poll"
    assert "exhaustive" not in found
    for cell in found["cells"]:
        assert cell["direction"] in ("ep-to-rc", "rc-to-ep")
        assert cell["ep"] in (*range(8), "root-fix")
        assert cell["rc"] in (*range(6), "root-fix")
        assert cell["verdict"] in VERDICTS
        assert cell["amplification"] is None or cell["amplification"] > 0
        assert 0 <= cell["misrouted"] <= cell["missed"] <= cell["cases"] == 4
        assert set(cell["hazards"]) <= HAZARDS


def test_compat_json_of_a_link_that_stays_down(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(stdout_of(capsys, "compat", "--format", "json", "--ep-slots", "6"))
    down = [cell for cell in found["cells"] if cell["verdict"] == "link-down"]
    assert {cell["ep"] for cell in down} == {6, 7}
    assert all((c["amplification"], c["cases"], c["missed"]) == (None, 0, 0) for c in down)


def test_exhaustive_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(stdout_of(capsys, "compat", "--exhaustive", "--format", "json"))
    search = found["exhaustive"]
    assert search["settings"] == 20880
    keys = {"direction", "ep_slots", "rc_vectors", "mw_count", "doorbell", "cells"}
    assert all(set(row) == keys for row in search["regressions"])


def test_patches_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(stdout_of(capsys, "patches", "--format", "json"))
    assert found["schema"] == "ntbbench.patches/1"
    assert found["requires"] == {str(n): {7: [3], 12: [10]}.get(n, []) for n in range(1, 13)}
    assert found["bisectable"] is True
    assert (found["subsets"], found["safe_subsets"]) == (4096, 2304)
    assert [count["budget"] for count in found["storm"]] == list(range(1, 17))


def test_patches_of_a_setting_that_old_and_new_kernels_do_not_share(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With 6 slots an unpatched and a patched endpoint have different qp_count."""
    text = stdout_of(capsys, "patches", "--ep-slots", "6")
    assert "NOT bisectable" in text
    assert "0 of 4096 subsets are safe" in text


@pytest.mark.parametrize(
    "argv",
    [
        ["compat"],
        ["compat", "--exhaustive"],
        ["compat", "--doorbell", "embedded", "--ep-slots", "32"],
        ["compat", "--explain", "root-fix/5"],
        ["patches"],
        ["doorbell", "--ep", "0", "--rc", "6.12.95", "--bits", "1", "--irqs", "scattered"],
    ],
    ids=" ".join,
)
def test_text_is_ascii_of_80_columns(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    text = stdout_of(capsys, *argv)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("alias", ["md", "markdown"])
def test_markdown(capsys: pytest.CaptureFixture[str], alias: str) -> None:
    text = stdout_of(capsys, "compat", "--format", alias)
    assert len(re.findall(r"^\| root-fix ", text, re.MULTILINE)) == 4
    assert stdout_of(capsys, "patches", "--format", alias).count("#### ") == 8


class Texts(HTMLParser):
    """Collects the cells of a page's tables, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = 0
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.cells += tag == "td"
        self.loads += [v or "" for k, v in attrs if k == "src" or (k == "href" and tag == "link")]


@pytest.mark.parametrize(("command", "cells"), [("compat", 126 * 9), ("patches", 200)])
def test_html_is_one_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, cells: int
) -> None:
    page = tmp_path / "page.html"
    stdout_of(capsys, command, "--html", str(page))
    parser = Texts()
    parser.feed(page.read_text())
    assert parser.cells >= cells
    assert all(load.startswith("data:") for load in parser.loads)
    assert stdout_of(capsys, command, "--format", "html") == page.read_text()


def test_output_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert stdout_of(capsys, "compat", "--format", "json", "-o", str(target)) == ""
    assert json.loads(target.read_text())["schema"] == "ntbbench.compat/1"


@pytest.mark.parametrize("ep", [*map(str, range(8)), "root-fix"])
def test_every_cell_explains_itself(capsys: pytest.CaptureFixture[str], ep: str) -> None:
    for rc in (*map(str, range(6)), "root-fix"):
        text = stdout_of(capsys, "compat", "--explain", f"{ep}/{rc}")
        lost = text.count(": missed") + text.count(": link-down")
        assert text.count(">> ") == lost


def test_the_explanation_names_the_first_wrong_step(capsys: pytest.CaptureFixture[str]) -> None:
    text = stdout_of(capsys, "compat", "--explain", "root-fix/5")
    assert ">> wire          MSI 2, slot 1 (doorbell bit 0)" in text
    down = stdout_of(capsys, "compat", "--explain", "6/0", "--ep-slots", "6")
    assert ">> link          EP publishes 3 QPs, RC 4" in down


def test_doorbell_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["doorbell", "--ep", "all", "--rc", "set:12", "--bits", "1", "--format", "json"]
    found = json.loads(stdout_of(capsys, *argv))
    assert found["schema"] == "ntbbench.story/1"
    to_rc, to_ep = found["stories"]
    assert (to_rc["direction"], to_rc["scheduled"], to_rc["asleep"]) == ("ep-to-rc", [3], [1])
    assert (to_ep["direction"], to_ep["scheduled"], to_ep["asleep"]) == ("rc-to-ep", [1], [])
    wrong = [step["where"] for step in to_rc["steps"] if step["wrong"]]
    assert wrong == ["RC driver"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("compat --ep-slots 0", "-EINVAL"),
        ("compat --ep-slots 2", "-EINVAL"),
        ("compat --ep-slots 33", "-EINVAL"),
        ("patches --ep-slots 33", "-EINVAL"),
        ("doorbell --ep 0 --rc 0 --bits 0 --ep-slots 33", "-EINVAL"),
        ("compat --ep-slots 1e3", "whole number"),
        ("compat --rc-vectors 3", "-ENOSPC"),
        ("compat --rc-vectors 33", "from 4 to 32"),
        ("compat --mw-count 5", "-EINVAL"),
        ("compat --mw-count 0", "from 1 to 4"),
        ("compat --explain 8/0", "EP/RC"),
        ("compat --explain 70", "EP/RC"),
        ("compat --explain 0/0 --format html", "--explain"),
        ("compat --explain 0/0 --exhaustive", "--explain"),
        ("patches --seed x", "whole number"),
        ("doorbell --ep 8 --rc 0 --bits 0", "0..7"),
        ("doorbell --ep set:13 --rc 0 --bits 0", "1..7"),
        ("doorbell --ep 7 --rc 5 --bits 6 --direction ep-to-rc", "db_valid_mask 0x3f"),
        ("doorbell --ep 7 --rc 5 --bits 14 --direction rc-to-ep", "-EINVAL"),
        ("doorbell --ep 0 --rc 5 --bits 7 --ep-slots 20 --rc-vectors 8", "-EINVAL: MSI 10 of 8"),
        ("doorbell --ep 7 --rc 5 --bits 64", "0..63"),
        ("compat -o /nonexistent/directory/file", "No such file"),
    ],
)
def test_bad_input_gets_one_line(capsys: pytest.CaptureFixture[str], argv: str, words: str) -> None:
    assert main(argv.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert words in captured.err


@pytest.mark.parametrize(
    ("text", "mask"),
    [("0", 1), ("0,2", 5), ("0-3", 15), ("0x5", 5), ("63", 1 << 63), ("0, 2", 5), ("1,1", 2)],
)
def test_bits(text: str, mask: int) -> None:
    assert parse_bits(text) == mask


@pytest.mark.parametrize(
    "text", ["", ",", "-1", "3-1", "0x", "0x0", "0x1" + "0" * 16, "\u0663", "a"]
)
def test_no_bits(text: str) -> None:
    with pytest.raises(InputError, match="--bits"):
        parse_bits(text)
