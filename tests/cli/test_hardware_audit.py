# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench hardware --audit`, in-process."""

import csv
import io
import json

import pytest

from ntbbench.cli.main import main
from ntbbench.ntb.devices.catalogue import hardware_names

SWITCHTEC = """\
ntb_hw_switchtec: 1 violation
  vector-bound: db_vector_mask() takes the vectors below db_vector_count and no
    other
    db_vector_mask() takes the vectors 0 to 1, db_vector_count is 1
    effect: vector 1 does not exist and gets mask 0xfffffff
    Linux 7.3.4 drivers/ntb/hw/mscc/ntb_hw_switchtec.c:619
      switchtec_ntb_db_vector_mask(): if (db_vector < 0 || db_vector > 1)

1 device audited: 1 violation in 1
"""


def audited(capsys: pytest.CaptureFixture[str], code: int, *args: str) -> str:
    assert main(["hardware", "--audit", *args]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_one_device_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert audited(capsys, 1, "ntb_hw_switchtec") == SWITCHTEC


@pytest.mark.parametrize("name", ["generic", "ntb_hw_epf-v4", "pci-epf-vntb-v4", "ntb_hw_idt"])
@pytest.mark.parametrize("form", ["text", "md", "csv", "json"])
def test_a_clean_device_exits_with_0(
    capsys: pytest.CaptureFixture[str], name: str, form: str
) -> None:
    text = audited(capsys, 0, name, "--format", form)
    assert name in text or form == "csv"
    if form == "csv":
        assert text.count("\n") == 1


def test_all_devices_in_every_format_agree(capsys: pytest.CaptureFixture[str]) -> None:
    listing = json.loads(audited(capsys, 1, "--format", "json"))
    assert listing["schema"] == "ntbbench.audit/1"
    assert [row["name"] for row in listing["hardware"]] == list(hardware_names())
    found = [(row["name"], v) for row in listing["hardware"] for v in row["violations"]]
    assert listing["violations"] == len(found) > 0
    rows = list(csv.DictReader(io.StringIO(audited(capsys, 1, "--format", "csv"))))
    assert [(row["hardware"], row["rule"], row["detail"], row["line"]) for row in rows] == [
        (name, v["rule"], v["detail"], str(v["source"]["line"])) for name, v in found
    ]
    text = audited(capsys, 1)
    markdown = audited(capsys, 1, "--format", "md")
    assert text.isascii()
    for _, violation in found:
        place = f"{violation['source']['file']}:{violation['source']['line']}"
        assert place in text
        assert place in markdown
        assert violation["source"]["text"] in text
    assert f"{len(found)} violations" in text
    assert f"{len(found)} violations" in markdown
    assert markdown.count("\n| ") == len(found) + sum(
        not row["violations"] for row in listing["hardware"]
    )


def test_the_text_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """The longest line of a driver stands below its function."""
    lines = audited(capsys, 1).splitlines()
    assert max(map(len, lines)) <= 80
    place = lines.index("      intel_ntb_db_vector_mask():")
    assert lines[place + 1] == "        if (db_vector < 0 || db_vector > ndev->db_vec_count)"


def test_the_pair_is_audited_at_every_size_or_at_the_one_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "pci-epf-vntb-legacy"
    (every,) = json.loads(audited(capsys, 1, name, "--format", "json"))["hardware"]
    assert every["db_counts"] == list(range(1, 33))
    assert {v["rule"]: v["db_counts"] for v in every["violations"]}["qp"] == [2, 3, 4, 5]
    one = audited(capsys, 1, name, "--doorbells", "4")
    assert "db_count 4: QP 2: its doorbell bit has no slot" in one
    assert "qp:" not in audited(capsys, 1, name, "--doorbells", "4", "--mw-count", "2",
                                "--max-num-clients", "2")  # fmt: skip
    assert "QP 14:" in audited(capsys, 1, name, "--doorbells", "16", "--mw-count", "16")


def test_a_size_that_a_driver_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    text = audited(capsys, 1, "--doorbells", "2")
    assert "ntb_hw_epf-v4: not audited: ntb_hw_epf takes a db_count from 3 to 31, not 2" in text
    markdown = audited(capsys, 1, "--doorbells", "2", "--format", "md")
    assert "not audited: ntb_hw_epf takes a db_count from 3 to 31, not 2" in markdown


def test_a_custom_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert "board: nothing found" in audited(
        capsys, 0, "board", "--device", "board:doorbells=16,vectors=4,shift=5"
    )
    text = audited(capsys, 1, "generic", "--doorbells", "4", "--vectors", "6")
    assert "db_vector_count 6 counts vectors 4 to 5, without a doorbell" in text
    assert "no driver's source" in text
    (row,) = csv.DictReader(
        io.StringIO(
            audited(capsys, 1, "generic", "--doorbells", "4", "--vectors", "6", "--format", "csv")
        )
    )
    assert (row["rule"], row["file"], row["line"]) == ("empty-vector", "", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["ntb_hw_amdd"], "did you mean ntb_hw_amd"),
        (["ntb_hw_epf-v4", "--doorbells", "2"], "3 to 31, not 2"),
        (["generic", "--doorbells", "65"], "--doorbells"),
        (["generic", "--max-num-clients", "x"], "--max-num-clients"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], args: list[str], words: str
) -> None:
    assert main(["hardware", "--audit", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert words in captured.err
