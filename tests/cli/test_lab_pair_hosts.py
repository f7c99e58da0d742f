# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair --function ntb` on recordings instead of guests."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from compare_runs import Ran
from host_recordings import DATA, load
from pair_fake import Lab

from ntbbench.lab.hosts.hosts_lab import HostLab
from ntbbench.lab.pair.boot.left import PairRecordings
from ntbbench.lab.pair.disagreements import UNPROBED
from ntbbench.lab.pair.plan import HostSetup, PairPlan

Run = Callable[..., Ran]
OUT = Path("r.json")
WAYS = ["host1-to-host2", "host2-to-host1"]


@pytest.fixture
def hosts(lab: Lab, ntbbench: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a subcommand on a lab whose boots are recordings of before beside after: OUT."""

    def boot(_lab: HostLab, plan: PairPlan, folder: Path) -> PairRecordings:
        assert isinstance(plan.setup, HostSetup)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "console").write_text("")
        recordings = load(DATA / f"before-after-slots-{plan.setup.ep_slots}")
        return replace(recordings, plan=replace(plan, traffic=recordings.plan.traffic))

    monkeypatch.setattr(HostLab, "boot", boot)
    monkeypatch.setattr(HostLab, "read_sources", lambda *_: {"kernel": "7.3.4"})
    ntb = ("--function", "ntb", "--packets", "3")
    return lambda kind, *words: ntbbench("lab", "pair", kind, "-o", OUT, *ntb, *words)


def test_a_run_of_two_hosts(hosts: Run) -> None:
    ran = hosts("run", "--quick", "--ep-slots", "5", "--host1-driver", "before")
    assert ran.code == 0
    assert ran.out.startswith("The model agrees in 2 of 2 points\n")
    assert "host 1 before, host 2 after" in ran.out
    assert " EP" not in ran.out
    result = json.loads(OUT.read_bytes())
    assert result["schema"] == "ntbbench.pair-ntb/1"
    assert result["not_exercised"][-1] == UNPROBED
    assert [point["direction"] for point in result["points"]] == WAYS
    assert (result["points"][0]["host1_driver"], result["points"][0]["host2_qp_count"]) == (
        "before",
        2,
    )


@pytest.mark.parametrize("form", ["text", "md", "mail", "csv", "html", "ktap"])
def test_every_format_has_the_hosts(hosts: Run, form: str) -> None:
    ran = hosts("run", "--ep-slots", "5", "--host1-driver", "before", "--format", form)
    assert ran.code == 0
    assert ("host1_driver" if form == "csv" else "host 1") in ran.out
    assert "ep_driver" not in ran.out


def test_a_link_that_stays_down_agrees_but_is_not_what_was_required(hosts: Run) -> None:
    words = ("--ep-slots", "4", "--host1-driver", "before")
    assert hosts("run", *words).code == 0
    ran = hosts("run", *words, "--require", "link")
    assert ran.code == 1
    assert "2 QPs on host 1, 1 on host 2" in ran.err


def test_a_matrix_of_two_hosts(hosts: Run) -> None:
    words = ("--ep-slots", "4,5", "--host1-driver", "before", "--host2-driver", "after")
    ran = hosts("matrix", *words)
    assert ran.code == 0, ran.err
    result = json.loads(OUT.read_bytes())
    assert result["scenario"]["host1_drivers"] == ["before"]
    assert [point["ep_slots"] for point in result["points"]] == [4, 4, 5, 5]


def test_a_matrix_goes_on(hosts: Run) -> None:
    words = ("--host1-driver", "before", "--host2-driver", "after", "--ep-slots", "5")
    assert hosts("matrix", *words).code == 0
    before = OUT.read_bytes()
    assert hosts("matrix", "--resume", OUT).code == 2  # --packets too: it is asked for twice
    assert OUT.read_bytes() == before


def test_a_check_unbinds_only_when_asked(hosts: Run) -> None:
    ran = hosts("check", "--ep-slots", "5", "--host1-driver", "before")
    assert "0 unbind/bind rounds" in ran.out
    assert json.loads(OUT.read_bytes())["rounds"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ep-driver", "before"), "--ep-driver: 'before': only with --function vntb"),
        (("--doorbell", "msi"), "--doorbell: 'msi': only with --function vntb"),
        (("--rc-patches", "full"), "--rc-patches: 'full': only with --function vntb"),
        (("--direction", "ep-to-rc"), "--direction: 'ep-to-rc'"),
        (("--ep-slots", "0"), "--ep-slots: '0'"),
    ],
)
def test_bad_input_names_the_option(ntbbench: Run, lab: Lab, words, said) -> None:
    ran = ntbbench("lab", "pair", "run", "--function", "ntb", *words)
    assert ran.code == 2
    assert said in ran.err


def test_drivers_of_hosts_need_the_function(ntbbench: Run, lab: Lab) -> None:
    ran = ntbbench("lab", "pair", "run", "--host1-driver", "before")
    assert (ran.code, "--host1-driver: 'before': only with --function ntb" in ran.err) == (2, True)
