# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` of simulations, and the gains over the base."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from simulate_runs import SHORT, SMALL

from ntbbench.cli.main import main
from ntbbench.compare.readers import load_variant
from ntbbench.datapath.grid.grid_result import load_simulation
from ntbbench.datapath.mask_or_affinity import gains
from ntbbench.datapath.records import OkSimulation


def test_a_result_gates_against_itself(
    result_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three replications a side can show nothing, which is said and fails; nothing differs."""
    assert main(["gate", str(result_file), str(result_file)]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "0 regressed, 0 improved" in out
    assert "not tested, for so few" in out
    policy = tmp_path / "policy.toml"
    policy.write_text("fail_untested = false")
    assert main(["gate", str(result_file), str(result_file), "--policy", str(policy)]) == 0


def test_a_dearer_copy_is_a_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT]
    words += ["--replications", "8", "--set", "traffic.start=0"]
    base, slow = tmp_path / "base.json", tmp_path / "slow.json"
    assert main([*words, "-o", str(base)]) == 0
    assert main([*words, "--set", "receiver.byte=0.4ns", "-o", str(slow)]) == 0
    capsys.readouterr()
    assert main(["gate", str(base), str(slow), "--format", "json", "--correction", "none"]) == 1
    report = json.loads(capsys.readouterr().out)
    verdicts = {c["metric"].rpartition(":")[2]: c["verdict"] for c in report["comparisons"]}
    assert verdicts["throughput"] == "regressed"
    assert main(["gate", str(slow), str(base), "--correction", "none"]) == 0


def test_what_is_one_number_in_every_sample_is_only_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--queues", "1", "--affinity", "single", "--dispatch", "fallback", *SHORT]
    path = tmp_path / "result.json"
    assert main([*words, "--replications", "8", "-o", str(path)]) == 0
    capsys.readouterr()
    assert main(["compare", str(path), str(path)]) == 0
    text = capsys.readouterr().out
    assert "noisy metrics are one number in every sample" in text
    assert ":throughput" in text
    assert ":drops" not in text
    assert ":amplification" not in text


def test_what_settles_a_simulation_is_replications(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No machine can be quieted for numbers that depend on the seed alone."""
    words = ["simulate", "--queues", "4", "--affinity", "spread", *SHORT, "--replications", "8"]
    paths = [tmp_path / "base.json", tmp_path / "other.json"]
    for path, seed in zip(paths, "12", strict=True):
        assert main([*words, "--seed", seed, "-o", str(path)]) == 0
    capsys.readouterr()
    assert main(["compare", *map(str, paths), "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    noisy = [c for c in report["comparisons"] if c["kind"] == "noisy"]
    warned = {w["code"]: w["remedy"] for c in noisy for w in c["warnings"]}
    assert warned["unstable"] == "simulate more replications"
    assert any(c["verdict"] == "inconclusive" for c in noisy)
    assert main(["compare", *map(str, paths)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "replications a side would settle it" in text
    assert "quiet the machine" not in text
    assert "runs a side would settle" not in text
    for form in ("text", "md", "mail"):
        assert main(["compare", *map(str, paths), "--format", form]) == 0
        assert not re.search(r"\bruns\b", capsys.readouterr().out, re.IGNORECASE)


def test_replications_that_drew_the_same_can_be_paired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unpaired, flow hashes hide what pairs of the same hashes show: the user is told."""
    words = ["simulate", "--queues", "2", "--affinity", "spread", *SHORT, "--replications", "8"]
    made = {"base": "1", "dearer": "1", "other": "2"}
    for name, seed in made.items():
        cost = ["--set", "receiver.byte=202ps"] if name == "dearer" else []
        assert main([*words, *cost, "--seed", seed, "-o", str(tmp_path / f"{name}.json")]) == 0
    capsys.readouterr()

    def compared(other: str, *options: str) -> tuple[str, int]:
        sides = [str(tmp_path / f"{name}.json") for name in ("base", other)]
        main(["compare", *sides, "--format", "json", *options])
        report = json.loads(capsys.readouterr().out)
        return " ".join(report["environment"]["notes"]), report["totals"]["inconclusive"]

    alone, open_alone = compared("dearer")
    assert "seed 1 on both sides: --paired compares replication by replication" in alone
    assert re.search(r"needs \d+ of them to find a change \(dearer\)", alone)
    paired, open_paired = compared("dearer", "--paired")
    assert paired == ""
    assert open_paired < open_alone
    assert compared("other")[0] == ""
    assert (
        "seed 1 against seed 2: pairs of replications share no draws"
        in compared("other", "--paired")[0]
    )


@pytest.mark.parametrize("sides", [("few", "many"), ("many", "few")])
def test_pairs_are_the_replications_of_both_sides(
    sides: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--queues", "2", "--affinity", "spread", *SHORT]
    for name, count in {"few": "3", "many": "30"}.items():
        assert main([*words, "--replications", count, "-o", str(tmp_path / f"{name}.json")]) == 0
    capsys.readouterr()
    paths = [str(tmp_path / f"{name}.json") for name in sides]
    assert main(["compare", *paths, "--format", "json"]) == 0
    notes = " ".join(json.loads(capsys.readouterr().out)["environment"]["notes"])
    assert re.search(r"--paired .* needs \d+ of them to find a change", notes)


def test_where_nothing_is_open_pairs_are_not_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.json"
    words = ["--queues", "1", "--affinity", "single", *SHORT, "--replications", "8"]
    assert main(["simulate", *words, "--duration", "20ms", "-o", str(path)]) == 0
    assert main(["compare", str(path), str(path), "--threshold", "50%"]) == 0
    text = capsys.readouterr().out
    assert " 0 inconclusive" in text
    assert "--paired" not in text


@pytest.mark.parametrize(("count", "said"), [(1, "1 replication a"), (2, "2 replications a")])
def test_few_replications_are_told(
    count: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--queues", "1", "--replications", str(count), "-o", str(tmp_path / "x.json")]
    assert main(["simulate", *SHORT, *words]) == 0
    assert said in capsys.readouterr().out


def test_where_no_point_can_be_had_nothing_is_said_of_replications(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--queues", "64", *SHORT, "-o", str(tmp_path / "x.json")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "generic: the device can give none of the points: nothing simulated." in text
    assert "replication" not in text


def test_runs_of_another_length_are_not_compared(result_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    assert main(["simulate", *SMALL, "--duration", "6ms", "-o", str(other)]) == 0
    assert main(["compare", str(result_file), str(other)]) == 5


def test_metrics_have_samples_and_directions(result_file: Path) -> None:
    variant = load_variant(str(result_file))
    series = variant.series["tcp/fallback/spread/q2/hash:throughput"]
    assert (series.unit, series.better) == ("bit/s", "higher")
    assert series.samples is not None
    assert len(series.samples) == 3
    assert variant.series["tcp/fallback/spread/q2/hash:missed"].value == 0


def test_gains_are_ratios_of_the_same_replication(result_file: Path) -> None:
    result = load_simulation(result_file)
    found = gains(result)
    assert len(found) == 2 * 3  # of two queues: all but fallback, single
    for gain in found:
        (base,) = [
            point
            for point in result.points
            if isinstance(point, OkSimulation)
            and (point.dispatch, point.affinity) == ("fallback", "single")
            and (point.queues, point.protocol) == (gain.point.queues, gain.point.protocol)
        ]
        pairs = zip(gain.point.replications, base.replications, strict=True)
        ratios = [run.throughput_bps / under.throughput_bps for run, under in pairs]
        assert gain.ratio.mean == pytest.approx(np.mean(ratios))
        assert gain.ratio.low is not None
        assert gain.ratio.low <= gain.ratio.mean
