# SPDX-License-Identifier: BSD-3-Clause
"""Files of every format: each is read by its own reader; a damaged one is refused in one line."""

import gzip
from pathlib import Path

import pytest
from captures import TOOLS
from compare_data import BENCHMARKS
from golden_cases import INPUTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntbbench.compare.readers import READERS, readers
from ntbbench.compare.readers.content import Content
from ntbbench.compare.readers.detect import load_variant
from ntbbench.core.errors import InputError

FILES = {
    "baseline": INPUTS / "baseline.json",
    "own_results": INPUTS / "sweep-base.json",
    "asv": BENCHMARKS / "asv.json",
    "iperf3": TOOLS / "iperf3-tcp.json",
    "latency": BENCHMARKS / "ping.txt",
    "hyperfine": BENCHMARKS / "hyperfine.json",
    "google_benchmark": BENCHMARKS / "google-benchmark.json",
    "pytest_benchmark": INPUTS / "bench-base.json",
    "pyperf": BENCHMARKS / "pyperf.json",
    "jmh": BENCHMARKS / "jmh.json",
    "criterion": BENCHMARKS / "cargo-criterion.json",
    "go_test": BENCHMARKS / "go-test.txt",
    "csv_runs": Path("docs/examples/runs.csv"),
}
# What stands in files of all formats, and what none may have.
PIECES = [
    *(b"null", b"NaN", b"1e999", b"-1", b"{", b"]", b'"', b"[]", b"{}", b"\xff", b"\n", b"", b"0"),
    *(b"9" * 400, b"\x00", b";", b",", b"\t"),
]


def test_every_reader_of_a_file_has_one_here() -> None:
    assert {"capture_folder", *FILES} == READERS.keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_recognised_by_its_reader_first(name: str) -> None:
    places = [i for i, reader in enumerate(readers()) if reader.recognises(Content(FILES[name]))]
    assert places[0] == [*READERS].index(name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("called", ["r.json", "r.txt", "r.csv", "r"])
def test_the_name_of_a_file_does_not_matter_nor_its_byte_order_mark(
    tmp_path: Path, name: str, called: str
) -> None:
    data = FILES[name].read_bytes()
    expected = load_variant(str(FILES[name]))
    for content in (data, b"\xef\xbb\xbf" + data, gzip.compress(data)):
        (tmp_path / called).write_bytes(content)
        found = load_variant(str(tmp_path / called))
        assert found.source == expected.source
        assert found.series.keys() == expected.series.keys()


@pytest.mark.parametrize("name", ["iperf3", "go_test", "csv_runs"])
def test_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILES[name].name
    path.write_bytes(FILES[name].read_text().encode("utf-16"))
    with pytest.raises(InputError, match="text in UTF-8"):
        load_variant(str(path))


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(["hyperfine", "hyperfine", "jmh", "hyperfine"]):
        (tmp_path / f"{number}.json").write_bytes(FILES[name].read_bytes())
    with pytest.raises(InputError, match=r"2\.json': files of one format; .*0\.json is of another"):
        load_variant(str(tmp_path))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    whole = FILES[name].read_bytes()
    begin = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.sampled_from([0, 1, 2, 10, len(whole)]))
    damaged = whole[:begin] + data.draw(st.sampled_from(PIECES)) + whole[begin + length :]
    path = tmp_path_factory.getbasetemp() / f"{name}{FILES[name].suffix}"
    path.write_bytes(damaged)
    try:
        variant = load_variant(str(path))
    except InputError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error) or error.field == "--runs"
        return
    assert all(series.samples is None or len(series.samples) for series in variant.series.values())
