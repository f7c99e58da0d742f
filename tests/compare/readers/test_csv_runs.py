# SPDX-License-Identifier: BSD-3-Clause
"""Tables of runs: how one was read is told, never guessed; what numbers its rows is no metric."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.compare.readers.csv_runs import load_runs
from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError

SEMICOLONS = "read with ';' between cells and ',' as the decimal sign"


def loaded(folder: Path, text: str, name: str = "t.csv") -> Variant:
    (folder / name).write_text(text, encoding="utf-8")
    return load_variant(str(folder / name))


def columns(variant: Variant) -> dict[str, list[float]]:
    return {n: s.samples.tolist() for n, s in variant.series.items() if s.samples is not None}


@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.json", "t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1.5,2\n1.25,3\n", None),
        ("a;b\n1.5;2\n1.25;3\n", "read with ';' between cells and '.' as the decimal sign"),
        ("a;b\n1,5;2\n1,25;3\n", SEMICOLONS),
        ("a\tb\n1.5\t2\n1.25\t3\n", "read with tabs between cells and '.' as the decimal sign"),
        ("a\tb\n1,5\t2\n1,25\t3\n", "read with tabs between cells and ',' as the decimal sign"),
    ],
)
def test_how_a_table_was_read_is_told(
    tmp_path: Path, text: str, told: str | None, mark: str, name: str
) -> None:
    variant = loaded(tmp_path, mark + text, name)
    assert columns(variant) == {"a": [1.5, 1.25], "b": [2, 3]}
    assert variant.notes == (() if told is None else (told,))


def test_names_may_hold_what_separates_elsewhere(tmp_path: Path) -> None:
    assert columns(loaded(tmp_path, "time, s;rate\n1,5;2\n")) == {"time, s": [1.5], "rate": [2]}
    assert columns(loaded(tmp_path, '"a;b",c\n1.5,2\n')) == {"a;b": [1.5], "c": [2]}
    assert columns(loaded(tmp_path, "a,b\tc\n2\t1,5\n")) == {"a,b": [2], "c": [1.5]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a;b\n1,234;1,300\n", "decimal points: a comma may stand for thousands here"),
        ("a;b\n1,5;2.5\n", "one decimal sign in all cells, as in '1,5'"),
        ("a;b\n2.5;2\n1,5;2\n", "one decimal sign in all cells, as in '2.5'"),
        ("a;b\n1,5,2;2\n", "a decimal number"),
        ("a;b\n1.234,5;2\n", "a decimal number"),
        ("ms\n1,5\n", "in a single column write decimal points"),
        ("a,\tb\n1,\t2\n", "commas, semicolons or tabs between cells"),
        ("a;b,c\n", "commas, semicolons or tabs between cells"),
        ("1,5;2\n2,5;3\n", "is the header missing?"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(ntbbench, tmp_path: Path, text, told) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    ran = ntbbench("gate", "--runs", path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert str(path) in ran.err
    assert told in ran.err


@pytest.mark.parametrize("cell", ["0,123", "12,34", "1234,567", ",5", "1,2345", "1e3,5", "1,5e3"])
def test_a_comma_that_groups_no_thousands_settles_it(tmp_path: Path, cell: str) -> None:
    if cell == "1e3,5":  # no number at all
        with pytest.raises(InputError, match="a decimal number"):
            loaded(tmp_path, f"a;b\n{cell};2\n")
        return
    variant = loaded(tmp_path, f"a;b\n1,234;2\n{cell};3\n")
    assert columns(variant)["a"] == [1.234, float(cell.replace(",", "."))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (",a,b\n0,1,2\n1,3,4\n", "the first column, '', is an index and is not compared"),
        ("Unnamed: 0,a,b\n0,1,2\n1,3,4\n", "the first column, 'Unnamed: 0', is an index"),
        ("run,a,b\n1,1,2\n2,3,4\n", "the first column, 'run', is the number of the run"),
        ("Run,a,b\n3,1,2\n9,3,4\n", "the first column, 'Run', is the number of the run"),
        ("run,a,b\n2,1,2\n1,3,4\n", "the first column, 'run', is the number of the run"),
        (";a;b\n0;1,0;2\n1;3;4\n", "the first column, '', is an index and is not compared"),
    ],
)
def test_row_numbers_are_no_metric(tmp_path: Path, text: str, told: str) -> None:
    variant = loaded(tmp_path, text)
    assert columns(variant) == {"a": [1, 3], "b": [2, 4]}
    assert variant.notes[-1].startswith(told)
    base, *others = load_runs([tmp_path / "t.csv"])
    assert (base.label, [other.label for other in others]) == ("a", ["b"])
    assert base.notes[-1].startswith(f"t: {told}")


def test_a_column_of_measurements_is_a_metric_whatever_its_name(tmp_path: Path) -> None:
    assert "run" in columns(loaded(tmp_path, "run,a\n1.5,1\n1.75,2\n"))
    assert "run" in columns(loaded(tmp_path, "run,a\n2,1\n2,2\n"))
    assert "run" in columns(loaded(tmp_path, "run,a\n3,1\n1,2\n"))
    assert "run" in columns(loaded(tmp_path, "run\n1\n2\n"))
    assert "run" in columns(loaded(tmp_path, "a,run\n1,1\n1,2\n"))


@pytest.mark.parametrize(
    "text", [",a\n1,2\n2,3\n", ",a\n0,2\n,3\n", "Unnamed: 0,a\n5,2\n", "a,\n0,1\n"]
)
def test_a_nameless_column_that_is_no_index_is_refused(ntbbench, tmp_path: Path, text) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    ran = ntbbench("gate", "--runs", path)
    assert (ran.code, ran.out, f"{path}: column " in ran.err) == (2, "", True)


def test_the_report_says_how_it_read(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("run;a;b\n" + "".join(f"{i};1,{i}5;1,{i}6\n" for i in range(1, 9)))
    ran = ntbbench("compare", path, "--format", "json")
    assert ran.code == 0
    assert ran.report["environment"]["notes"][0] == f"t: {SEMICOLONS} (a)"


def test_history_and_calibrate_say_it_on_stderr(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;2,5\n")
    store = tmp_path / "h.sqlite"
    ran = ntbbench("history", "add", path, "--commit", "abc", "--store", store)
    assert (ran.code, SEMICOLONS in ran.err) == (0, True)


@given(rows=st.lists(st.tuples(*[st.floats(0.01, 1e6)] * 3), min_size=1, max_size=6),
       separator=st.sampled_from(";\t"))  # fmt: skip
def test_the_same_numbers_are_read_with_any_signs(rows, separator, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("csv")
    header = ("x", "y", "z")
    plain = "\n".join([",".join(header), *(",".join(f"{v:.4f}" for v in row) for row in rows)])
    other = "\n".join(
        [separator.join(header)]
        + [separator.join(f"{v:.4f}".replace(".", ",") for v in row) for row in rows]
    )
    one, two = (loaded(folder, text, f"{n}.csv") for n, text in (("a", plain), ("b", other)))
    for name in header:
        np.testing.assert_array_equal(one.series[name].samples, two.series[name].samples)


@pytest.mark.parametrize("name", ["README.md", "notes.txt", "README"])
def test_prose_is_no_damaged_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("# ntbbench; what it is\n\nIt compares results, and gates them; 3 ways.\n")
    with pytest.raises(InputError, match="or a CSV of runs"):
        load_variant(str(path))
