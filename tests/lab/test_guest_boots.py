# SPDX-License-Identifier: BSD-3-Clause
"""The table of what the guest tests boot, of a session that boots nothing."""

import guest_boots
import pytest
from guest_boots import HEAD, Booted, table

from ntbbench.lab import guest_task

pytest_plugins = ["pytester"]

TESTS = """
    import pytest
    from ntbbench.lab import guest_task

    @pytest.fixture(scope="module")
    def recorded():
        return guest_task.boot("image")

    @pytest.mark.guest
    def test_one(recorded):
        assert recorded == guest_task.boot("again") == "booted"

    @pytest.mark.guest
    def test_another(recorded):
        pass

    def test_none():
        assert guest_task.boot("uncounted") == "booted"
"""


def test_the_longest_is_first_and_what_boots_nothing_is_left_out() -> None:
    found = {"a": Booted(2, 1, 3.4), "b": Booted(1, 5, 40.2), "c": Booted(9)}
    rows = ["| `b` | 1 | 5 | 40 |", "| `a` | 2 | 1 | 3 |", "| all | 3 | 6 | 44 |"]
    assert table(found) == [*HEAD, *rows]


def test_boots_are_counted_of_the_tests_of_a_guest(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_boots, "FOUND", {})
    monkeypatch.setattr(guest_task, "boot", lambda _image: "booted")
    pytester.makepyfile(test_x=TESTS)
    ran = pytester.inline_run(
        "-m", "guest or not guest", "--boots-page=page.md", plugins=[guest_boots]
    )
    ran.assertoutcome(passed=3)
    assert guest_boots.FOUND["test_x.py"].boots == 2
    page = (pytester.path / "page.md").read_text()
    assert page.startswith("# What CI boots\n") and "| `test_x.py` | 2 | 2 | 0 |\n" in page
