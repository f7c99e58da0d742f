# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures that several test modules share: the browser, commands run here, a result, a lab."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from compare_runs import Ran
from guest_boots import pytest_addoption, pytest_runtest_protocol, pytest_terminal_summary
from pages import OpenPage, silent_page
from pair_fake import Lab, fake_lab
from playwright.sync_api import Browser, sync_playwright
from simulate_runs import SMALL

from ntbbench.cli.main import main

__all__ = ["pytest_addoption", "pytest_runtest_protocol", "pytest_terminal_summary"]  # hooks

# Tests check results; how long an example takes on a busy machine is no result.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# What only `make test-guest` installs.
EMULATOR = {"qemu-system-x86_64", "busybox", "cpio", "flex", "bison", "bc", "xz"}


@pytest.fixture(autouse=True)
def no_emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Hide the emulator's tools from tests that are not of `make test-guest`: they run without.

    Programs that a test makes itself are found.
    """
    which = shutil.which

    def hidden(name: str, *rest: Any, **options: Any) -> str | None:
        found = which(name, *rest, **options)
        own = found is not None and Path(found).is_relative_to(tmp_path)
        return found if own or name not in EMULATOR else None

    with pytest.MonkeyPatch.context() as patch:
        if not request.node.get_closest_marker("guest"):
            patch.setattr(shutil, "which", hidden)
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless. Without it the reports are untested: that is a failure."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("no chromium on the PATH: install the package `chromium`", pytrace=False)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=executable,
            headless=True,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open HTML files, each as a `silent_page` until the end of the test."""
    with ExitStack() as pages:
        yield lambda path, width=1400: pages.enter_context(silent_page(browser, path, width))


@pytest.fixture(scope="session")
def result_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of `ntbbench simulate`, to be read alone."""
    path = tmp_path_factory.mktemp("simulate") / "result.json"
    words = ["--protocol", "tcp,udp", "--affinity", "single,spread", "-o", str(path)]
    assert main(["simulate", *SMALL, *words]) == 0
    return path


@pytest.fixture
def ntbbench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command in this process."""

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A lab of `ntbbench lab pair` that boots nothing; the current folder is `tmp_path`."""
    return fake_lab(monkeypatch, tmp_path)
