# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` of simulations."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from simulate_runs import ONE, SHORT, SMALL, Command, compared

from ntbbench.compare.readers.detect import load_variant

Simulated = Callable[..., Path]


@pytest.fixture
def simulated(tmp_path: Path, ntbbench: Command) -> Simulated:
    """Return a call that simulates and returns the file."""

    def run(name: str, *words: object) -> Path:
        path = tmp_path / f"{name}.json"
        assert ntbbench("simulate", *words, "-o", path).code == 0
        return path

    return run


def notes_of(ntbbench: Command, *words: object) -> str:
    report = ntbbench("compare", *words, "--format", "json").report
    return " ".join(report["environment"]["notes"])


def test_a_result_gates_against_itself(result_file: Path, tmp_path: Path, ntbbench) -> None:
    """Three replications a side can show nothing, which is said and fails; nothing differs."""
    ran = ntbbench("gate", result_file, result_file)
    out = " ".join(ran.out.split())
    assert ran.code == 3
    assert "0 of 208 regressed; 0 improved" in out and "not tested, for so few" in out
    policy = tmp_path / "policy.toml"
    policy.write_text("fail_untested = false")
    assert ntbbench("gate", result_file, result_file, "--policy", policy).code == 0


def test_a_dearer_copy_is_a_regression(simulated: Simulated, ntbbench: Command) -> None:
    words = (*ONE, "--replications", 8, "--set", "traffic.start=0")
    base = simulated("base", *words)
    slow = simulated("slow", *words, "--set", "receiver.byte=4e-10")
    gate = ("--correction", "none", "--format", "json")
    code, found = compared(ntbbench("gate", base, slow, *gate))
    assert (code, found["throughput"]["verdict"]) == (1, "regressed")
    assert ntbbench("gate", slow, base, *gate).code == 0


def test_what_is_one_number_in_every_sample_is_only_counted(simulated, ntbbench) -> None:
    path = simulated("result", *ONE, "--replications", 8)
    ran = ntbbench("compare", path, path, "-v")
    assert (ran.code, "noisy metrics are one number in every sample" in ran.out) == (0, True)
    shown = [f" {metric} " in ran.out for metric in ("throughput", "drops", "amplification")]
    assert shown == [True, False, False]


def test_what_settles_a_simulation_is_replications(simulated: Simulated, ntbbench: Command) -> None:
    """No machine can be quieted for numbers that depend on the seed alone."""
    words = (*SHORT, "--queues", 4, "--affinity", "spread", "--replications", 8, "--seed")
    sides = simulated("base", *words, 1), simulated("other", *words, 2)
    found = ntbbench("compare", *sides, "--format", "json").report["comparisons"]
    noisy = [c for c in found if c["kind"] == "noisy"]
    warned = {w["code"]: w["remedy"] for c in noisy for w in c["warnings"]}
    assert warned["unstable"] == "simulate more replications"
    assert any(c["verdict"] == "inconclusive" for c in noisy)
    for form in ("text", "md", "mail"):
        text = " ".join(ntbbench("compare", *sides, "--format", form).out.split())
        assert not re.search(r"\bruns\b", text, re.IGNORECASE)
        assert "quiet the machine" not in text


def test_replications_that_drew_the_same_can_be_paired(
    simulated: Simulated, ntbbench: Command
) -> None:
    """Unpaired, flow hashes hide what pairs of the same hashes show: the user is told."""
    words = (*SHORT, "--queues", 2, "--affinity", "spread", "--replications", 8, "--seed")
    base, other = simulated("base", *words, 1), simulated("other", *words, 2)
    dearer = simulated("dearer", *words, 1, "--set", "receiver.byte=202ps")
    alone = notes_of(ntbbench, base, dearer)
    assert "seed 1 on both sides: --paired compares replication by replication" in alone
    assert re.search(r"needs \d+ of them to find a change \(dearer\)", alone)
    assert notes_of(ntbbench, base, dearer, "--paired") == ""
    left = [
        ntbbench("compare", base, dearer, "--format", "json", *how).report["totals"]["inconclusive"]
        for how in ((), ("--paired",))
    ]
    assert left[0] > left[1]
    assert notes_of(ntbbench, base, other) == ""
    different = "seed 1 against seed 2: pairs of replications share no draws"
    assert different in notes_of(ntbbench, base, other, "--paired")


def test_pairs_are_the_replications_of_both_sides(simulated: Simulated, ntbbench: Command) -> None:
    words = (*SHORT, "--queues", 2, "--affinity", "spread", "--replications")
    few, many = simulated("few", *words, 3), simulated("many", *words, 30)
    for sides in ((few, many), (many, few)):
        notes = notes_of(ntbbench, *sides)
        assert re.search(r"--paired .* needs \d+ of them to find a change", notes)


def test_where_nothing_is_open_pairs_are_not_told_of(simulated, ntbbench: Command) -> None:
    path = simulated("one", *ONE, "--replications", 8, "--duration", "20ms")
    ran = ntbbench("compare", path, path, "--threshold", "50%")
    told = ran.code, " 0 inconclusive" in ran.out, "--paired" in ran.out
    assert told == (0, True, False)


def test_runs_of_another_length_are_not_compared(
    result_file: Path, simulated: Simulated, ntbbench: Command
) -> None:
    other = simulated("other", *SMALL, "--duration", "6ms")
    assert ntbbench("compare", result_file, other).code == 5


def test_metrics_have_samples_and_directions(result_file: Path) -> None:
    variant = load_variant(str(result_file))
    series = variant.series["tcp/fallback/spread/q2/hash:throughput"]
    assert (series.unit, series.better) == ("bit/s", "higher")
    assert series.samples is not None
    assert len(series.samples) == 3
    assert variant.series["tcp/fallback/spread/q2/hash:missed"].value == 0
