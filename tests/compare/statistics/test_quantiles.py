# SPDX-License-Identifier: BSD-3-Clause
"""Quantiles above the median: their intervals, their exact test, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from compare_data import pytest_benchmark, written
from scipy import stats

from ntbbench.compare.policy import Quantile
from ntbbench.compare.statistics import quantiles
from ntbbench.core.errors import InputError


@pytest.mark.parametrize(("share", "n"), [(0.5, 6), (0.5, 7), (0.9, 50), (0.99, 501)])
def test_a_quantile_is_numpys(share: float, n: int) -> None:
    samples = np.sort(np.random.default_rng(n).normal(size=(4, n)))
    expected = np.quantile(samples, share, axis=1)
    assert quantiles.quantile_of(samples, share) == pytest.approx(expected)


@pytest.mark.parametrize(("share", "n"), [(0.9, 50), (0.99, 500), (0.99, 1000)])
def test_intervals_hold_the_truth_and_the_test_its_level(share: float, n: int) -> None:
    rng = np.random.default_rng(1)
    base, candidate = (90 + 10 * rng.lognormal(0, 0.5, (1000, n)) for _ in range(2))
    found = quantiles.ratio_of_quantiles(base, candidate, 500, share)
    assert 0.92 < ((found.low <= 1) & (found.high >= 1)).mean() < 0.985
    p = quantiles.quantile_test(base, candidate, share)
    assert (p < 0.05).mean() < 0.065
    assert (p >= quantiles.quantile_floors(base, candidate, share)).all()
    slower = quantiles.quantile_test(base, candidate * 1.3, share)
    assert (slower < 0.05).mean() > 0.9


def test_the_test_is_the_hypergeometric_of_the_table() -> None:
    base = np.arange(50.0)[None, :]
    candidate = base + 10.5
    joint = np.quantile(np.concatenate([base, candidate], axis=1), 0.9)
    table = [[(x > joint).sum(), (x <= joint).sum()] for x in (base, candidate)]
    smaller = stats.fisher_exact(table, alternative="less").pvalue
    assert quantiles.quantile_test(base, candidate, 0.9)[0] == pytest.approx(2 * smaller)


@pytest.mark.parametrize(("text", "share"), [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)])
def test_names_of_quantiles(text: str, share: float) -> None:
    kind = Quantile("of the samples")
    assert kind.parse("quantile", text) == pytest.approx(share)
    assert kind.show(share) == text


@pytest.mark.parametrize("text", ["p49", "p100", "99", "p", "p99.99", 0.99, True, "p9"])
def test_what_is_no_quantile(text: object) -> None:
    with pytest.raises(InputError, match=r"p50 to p99\.9"):
        Quantile("of the samples").parse("quantile", text)


def table(path: Path, n: int, factor: float) -> Path:
    """A table whose medians agree while the slowest twentieth of one side is slower."""
    rng = np.random.default_rng(7)
    base, candidate = rng.normal(100, 1, (2, n))
    base[::20] += 50
    candidate[::20] += 50 * factor
    rows = "\n".join(f"{a},{b}" for a, b in zip(rng.permutation(base), candidate, strict=True))
    path.write_text(f"before,after\n{rows}\n")
    return path


def test_the_tail_is_compared_and_told_by_its_name(ntbbench, tmp_path: Path) -> None:
    runs = table(tmp_path / "lat.csv", 1000, 1.4)
    assert ntbbench("gate", "--runs", runs).code == 0
    ran = ntbbench("gate", "--runs", runs, "--quantile", "p99", "-v")
    assert ran.code == 1
    assert "ratio of 99th percentiles" in " ".join(ran.out.split())
    policy = tmp_path / "p.toml"
    policy.write_text('quantile = "p99"')
    assert ntbbench("gate", "--runs", runs, "--policy", policy).code == 1


def test_too_few_samples_are_refused_in_one_line(ntbbench, tmp_path: Path) -> None:
    runs = table(tmp_path / "lat.csv", 20, 1.4)
    ran = ntbbench("compare", "--runs", runs, "--quantile", "p99")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "at least 500 samples; 'lat' has 20" in ran.err
    for more in (["--paired"], ["--test", "welch"]):
        runs = table(tmp_path / "lat.csv", 600, 1.4)
        ran = ntbbench("compare", "--runs", runs, "--quantile", "p99", *more)
        assert (ran.code, more[-1] in ran.err) == (2, True)


def test_of_joined_files_each_has_its_quantile(ntbbench, tmp_path: Path, monkeypatch) -> None:
    for side, factor in (("a", 1.0), ("b", 1.5)):
        (tmp_path / side).mkdir()
        for i in range(6):
            record = pytest_benchmark(10 * i + ord(side), 60, test_scan=1e-3)
            data = record["benchmarks"][0]["stats"]["data"]
            data[::6] = [2e-3 * factor] * len(data[::6])
            written(tmp_path / side / f"{i}.json", record)
    sides = tmp_path / "a", tmp_path / "b"
    assert ntbbench("gate", *sides).code == 0
    ran = ntbbench("gate", *sides, "--quantile", "p90", "-v")
    assert ran.code == 1
    assert "medians of each run's 90th percentile" in " ".join(ran.out.split())
    monkeypatch.chdir(tmp_path)  # where the second measurement is kept
    again = f"cp {tmp_path / 'b' / '0.json'} {{output}}"
    ran = ntbbench("gate", *sides, "--quantile", "p90", "--confirm", again, "--format", "json")
    assert [c["verdict"] for c in ran.report["confirmation"]["comparisons"]] == ["regressed"]
    assert "of at least 500 samples" in ntbbench("gate", *sides, "--quantile", "p99").err
