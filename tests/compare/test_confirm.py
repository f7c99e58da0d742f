# SPDX-License-Identifier: BSD-3-Clause
"""`gate --confirm`: a regression is measured once more before it fails."""

import json
import shlex
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

FAST, SLOW = 1.0, 1.5


def written(path: Path, **medians: float) -> str:
    """Write what pytest-benchmark would: ten rounds of each benchmark, and its name as a count."""
    benchmarks = [
        {
            "name": name,
            "stats": {"data": [median * (1 + place / 1000) for place in range(10)]},
            "extra_info": {"calls": round(1000 * median)},
        }
        for name, median in medians.items()
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"benchmarks": benchmarks, "machine_info": {"cpu": "x"}}))
    return str(path)


def sides(*, runs: int = 6, **candidate: float) -> tuple[str, str]:
    """Write a folder a side, of so many runs that times are judged."""
    for number in range(runs):
        written(Path(f"base/{number}.json"), a=FAST, b=FAST)
        written(Path(f"new/{number}.json"), **{"a": FAST, "b": FAST, **candidate})
    return "base", "new"


def command(**medians: float) -> str:
    """Return a command that measures: it copies a result, and counts how often it is run."""
    source = Path(written(Path("source/once-more.json"), **medians)).resolve()
    Path("measure.py").write_text(
        "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2]); print('x', file=open('n', 'a'))"
    )
    return f"{shlex.quote(sys.executable)} measure.py {shlex.quote(str(source))} {{output}}"


def confirmed(ntbbench, *options: str, again: dict[str, float], **candidate: float):
    base, new = sides(**candidate)
    confirm = ("--confirm", command(**again))
    return ntbbench("gate", base, new, *confirm, "--format", "json", *options)


def test_what_does_not_regress_again_does_not_fail(ntbbench) -> None:
    found = confirmed(ntbbench, a=SLOW, again={"a": FAST, "b": SLOW})
    assert found.code == 0
    assert found.comparisons["a"]["verdict"] == "inconclusive"
    told = "regressed at first, but not when it was measured once more"
    assert found.comparisons["a"]["reason"] == told
    assert found.comparisons["a"]["ratio"] == pytest.approx(1.5)  # of the first measurement
    assert found.comparisons["b"]["verdict"] == "equivalent"  # was not asked again
    assert found.report["totals"]["regressed"] == 0
    again = {c["metric"]: c["verdict"] for c in found.report["confirmation"]["comparisons"]}
    assert again == {"a": "equivalent", "a:calls": "equivalent"}


def test_what_regresses_again_fails_and_both_outcomes_are_told(ntbbench) -> None:
    base, new = sides(a=SLOW, b=SLOW)
    found = ntbbench("gate", base, new, "--confirm", command(a=SLOW, b=FAST), "-v")
    assert found.code == 1
    printed = " ".join(found.out.split())
    assert "measured once more: 2 of 4 regressed again (results/runs/confirm-" in printed
    assert "Measured once more a: regressed, +50.0 %" in printed
    assert "b: equivalent, +0.00 %" in printed
    assert printed.startswith("2 of 4 regressed")


def test_the_second_measurement_has_as_many_runs_and_is_kept(ntbbench) -> None:
    found = confirmed(ntbbench, a=SLOW, again={"a": SLOW, "b": FAST})
    assert found.code == 1
    kept = Path(found.report["confirmation"]["result"])
    assert sorted(path.name for path in kept.iterdir()) == [f"{n}.json" for n in range(1, 7)]
    assert Path("n").read_text() == "x\n" * 6
    assert "ntbbench: measured once more, run 6 of 6\n" in found.err


def test_a_metric_that_the_second_measurement_lacks_stays_regressed(ntbbench) -> None:
    found = confirmed(ntbbench, a=SLOW, again={"b": FAST})
    assert found.code == 1
    assert found.comparisons["a"]["verdict"] == "regressed"
    assert {c["missing"] for c in found.report["confirmation"]["comparisons"]} == {"candidate"}


def test_the_family_of_the_second_test_is_what_regressed(ntbbench) -> None:
    """Alpha falls: what has to be found again is held to the same alpha over fewer metrics."""
    found = confirmed(ntbbench, a=SLOW, again={"a": SLOW, "b": FAST})
    (second,) = [c for c in found.report["confirmation"]["comparisons"] if c["kind"] == "noisy"]
    assert second["p_adjusted"] == second["p_value"] < 0.05
    assert found.report["family"]["size"] == 2


@pytest.mark.parametrize("candidate", [{}, {"c": FAST}, {"a": FAST / 2}])
def test_nothing_is_measured_where_no_regression_fails(ntbbench, candidate: dict) -> None:
    found = confirmed(ntbbench, again={}, **candidate)
    assert found.code == (4 if "c" in candidate else 0)
    assert not Path("n").exists()
    assert "confirmation" not in found.report


def test_a_policy_that_fails_what_is_inconclusive_fails_the_unconfirmed(ntbbench) -> None:
    found = confirmed(ntbbench, "--fail-inconclusive", a=SLOW, again={"a": FAST, "b": FAST})
    assert found.code == 3


def test_times_that_fail_nothing_are_not_measured_again(ntbbench) -> None:
    Path("p.toml").write_text('gate_on = "exact"\n')
    found = confirmed(ntbbench, "--policy", "p.toml", a=SLOW, again={"a": FAST, "b": FAST})
    assert found.code == 0
    verdicts = {name: c["verdict"] for name, c in found.comparisons.items()}
    assert verdicts["a"] == "regressed" and verdicts["a:calls"] == "inconclusive"
    assert [c["metric"] for c in found.report["confirmation"]["comparisons"]] == ["a:calls"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("base",), "--confirm: 'x {output}': a base and one candidate, each a RESULT"),
        (("base", "new", "new"), "a base and one candidate, each a RESULT"),
        (("base", "--by", "hardware"), "a base and one candidate, each a RESULT"),
    ],
)
def test_it_takes_a_base_and_one_candidate(ntbbench, options: tuple[str, ...], told: str) -> None:
    sides()
    ran = ntbbench("gate", *options, "--confirm", "x {output}")
    assert ran.code == 2 and told in ran.err


@pytest.mark.parametrize(
    ("confirm", "told"),
    [
        ("true", "--confirm: 'true': a command with {output} in it"),
        ("true {output}", "this exits 0 and writes nothing"),
        ("no-such-program {output}", "--confirm: 'no-such-program': No such file or directory"),
    ],
)
def test_a_command_that_measures_nothing(ntbbench, confirm: str, told: str) -> None:
    base, new = sides(a=SLOW)
    ran = ntbbench("gate", base, new, "--confirm", confirm)
    assert ran.code == 2 and told in ran.err
