# SPDX-License-Identifier: BSD-3-Clause
"""What the guest tests boot, file by file: counted as they run, told at their end.

`pytest -m guest --boots-page docs/guest-boots.md` writes it as a page too.
"""

import resource
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ntbbench.lab import guest_task

OPTION = "--boots-page"
HEAD = ("| tests of | tests | boots | processor s |", "|---|---|---|---|")
ABOUT = """# What CI boots

`make test-guest` boots these kernels in QEMU; `.ci/run` runs it beside its other steps, but for the
rehearsal. The seconds are those of processors: of guests, and of the modules that are built for
them. `pytest -m guest --boots-page docs/guest-boots.md` wrote this page; each run prints the table
of its own.

"""


@dataclass
class Booted:
    """What the tests of a file ran."""

    tests: int = 0
    boots: int = 0  # of this process: a command in one of its own is not seen
    seconds: float = 0.0  # of processor, of all child processes


FOUND: dict[str, Booted] = {}  # by file, in this session


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, type=Path, help="write what the guest tests booted to this page")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    if not item.get_closest_marker("guest"):
        return (yield)
    file, before, boot = item.nodeid.partition("::")[0], spent(), guest_task.boot
    booted = FOUND.setdefault(file, Booted())

    def counting(*asked: Any) -> Any:
        booted.boots += 1
        return boot(*asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guest_task, "boot", counting)
        result = yield
    booted.tests += 1
    booted.seconds += spent() - before
    return result


def spent() -> float:
    """Return the seconds of processor that ended child processes took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table(found: Mapping[str, Booted]) -> list[str]:
    """Return the lines of a table, the longest first, of the files whose tests boot anything."""
    rows = sorted(found.items(), key=lambda one: one[1].seconds, reverse=True)
    rows = [(file, booted) for file, booted in rows if booted.boots]
    booted = [one for _, one in rows]
    total = Booted(
        sum(one.tests for one in booted),
        sum(one.boots for one in booted),
        sum(one.seconds for one in booted),
    )
    told = ((f"`{file}`", one) for file, one in rows)
    return [*HEAD, *(_row(*one) for one in told), _row("all", total)]


def _row(name: str, one: Booted) -> str:
    return f"| {name} | {one.tests} | {one.boots} | {one.seconds:.0f} |"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not FOUND:
        return
    lines = table(FOUND)
    terminalreporter.section("guests booted")
    terminalreporter.write("".join(f"{line}\n" for line in lines))
    page = config.getoption(OPTION)
    if page is not None:
        page.write_text(ABOUT + "".join(f"{line}\n" for line in lines))
