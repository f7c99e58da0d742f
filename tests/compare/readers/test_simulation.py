# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` of simulations."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulate_runs import SHORT, SMALL, compared

from ntbbench.cli.main import main
from ntbbench.compare.readers import load_variant

ONE = ["--queues", "1", "--affinity", "single", "--dispatch", "fallback"]
Simulated = Callable[..., str]


@pytest.fixture
def simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Simulated:
    """Return a call that simulates eight short replications and returns the file."""

    def run(name: str, *words: str) -> str:
        path = str(tmp_path / f"{name}.json")
        assert main(["simulate", *SHORT, "--replications", "8", *words, "-o", path]) == 0
        capsys.readouterr()
        return path

    return run


def report_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main(["compare", *words, "--format", "json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def notes_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    return " ".join(report_of(capsys, *words)["environment"]["notes"])


def test_a_result_gates_against_itself(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three replications a side can show nothing, which is said and fails; nothing differs."""
    same = ["gate", str(result_file), str(result_file)]
    assert main(same) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "0 regressed, 0 improved" in out
    assert "not tested, for so few" in out
    policy = tmp_path / "policy.toml"
    policy.write_text("fail_untested = false")
    assert main([*same, "--policy", str(policy)]) == 0


def test_a_dearer_copy_is_a_regression(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*ONE, "--set", "traffic.start=0"]
    base, slow = (
        simulated("base", *words),
        simulated("slow", *words, "--set", "receiver.byte=0.4ns"),
    )
    code, found = compared(["gate", base, slow, "--correction", "none"], capsys)
    assert code == 1
    assert found["throughput"]["verdict"] == "regressed"
    assert main(["gate", slow, base, "--correction", "none"]) == 0


def test_what_is_one_number_in_every_sample_is_only_counted(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    path = simulated("result", *ONE)
    assert main(["compare", path, path]) == 0
    text = capsys.readouterr().out
    assert "noisy metrics are one number in every sample" in text
    assert ":throughput" in text
    assert ":drops" not in text
    assert ":amplification" not in text


def test_what_settles_a_simulation_is_replications(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    """No machine can be quieted for numbers that depend on the seed alone."""
    words = ["--queues", "4", "--affinity", "spread", "--seed"]
    sides = [simulated("base", *words, "1"), simulated("other", *words, "2")]
    noisy = [c for c in report_of(capsys, *sides)["comparisons"] if c["kind"] == "noisy"]
    warned = {w["code"]: w["remedy"] for c in noisy for w in c["warnings"]}
    assert warned["unstable"] == "simulate more replications"
    assert any(c["verdict"] == "inconclusive" for c in noisy)
    for form in ("text", "md", "mail"):
        assert main(["compare", *sides, "--format", form]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert not re.search(r"\bruns\b", text, re.IGNORECASE)
        assert "quiet the machine" not in text
        assert form != "text" or "replications a side would settle it" in text


def test_replications_that_drew_the_same_can_be_paired(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unpaired, flow hashes hide what pairs of the same hashes show: the user is told."""
    words = ["--queues", "2", "--affinity", "spread", "--seed"]
    base, other = simulated("base", *words, "1"), simulated("other", *words, "2")
    dearer = simulated("dearer", *words, "1", "--set", "receiver.byte=202ps")
    alone = notes_of(capsys, base, dearer)
    assert "seed 1 on both sides: --paired compares replication by replication" in alone
    assert re.search(r"needs \d+ of them to find a change \(dearer\)", alone)
    assert notes_of(capsys, base, dearer, "--paired") == ""
    left = [
        report_of(capsys, base, dearer, *how)["totals"]["inconclusive"]
        for how in ([], ["--paired"])
    ]
    assert left[0] > left[1]
    assert notes_of(capsys, base, other) == ""
    different = "seed 1 against seed 2: pairs of replications share no draws"
    assert different in notes_of(capsys, base, other, "--paired")


def test_pairs_are_the_replications_of_both_sides(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--queues", "2", "--affinity", "spread", "--replications"]
    sides = [simulated("few", *words, "3"), simulated("many", *words, "30")]
    for both in (sides, sides[::-1]):
        notes = notes_of(capsys, *both)
        assert re.search(r"--paired .* needs \d+ of them to find a change", notes)


def test_where_nothing_is_open_pairs_are_not_told_of(
    simulated: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    path = simulated("one", *ONE[:4], "--duration", "20ms")
    assert main(["compare", path, path, "--threshold", "50%"]) == 0
    text = capsys.readouterr().out
    assert " 0 inconclusive" in text
    assert "--paired" not in text


def test_runs_of_another_length_are_not_compared(result_file: Path, simulated: Simulated) -> None:
    other = simulated("other", *SMALL, "--duration", "6ms")
    assert main(["compare", str(result_file), other]) == 5


def test_metrics_have_samples_and_directions(result_file: Path) -> None:
    variant = load_variant(str(result_file))
    series = variant.series["tcp/fallback/spread/q2/hash:throughput"]
    assert (series.unit, series.better) == ("bit/s", "higher")
    assert series.samples is not None
    assert len(series.samples) == 3
    assert variant.series["tcp/fallback/spread/q2/hash:missed"].value == 0
