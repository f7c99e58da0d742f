# SPDX-License-Identifier: BSD-3-Clause
"""Signals as exceptions, and what ends with a block: children with their group, folders."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import is_running, until

from ntbbench.core import ending
from ntbbench.core.ending import (
    ENDING,
    SAME_REQUEST,
    Ended,
    child_process,
    held_back,
    scratch_folder,
    signals_raise,
)


@pytest.fixture(autouse=True)
def signals_as_from_a_terminal() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_an_exception_and_the_next_one_soon_after_the_same(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0]
    monkeypatch.setattr(ending, "monotonic", lambda: now[0])
    with signals_raise():
        with pytest.raises(Ended) as ended:
            os.kill(os.getpid(), number)
        assert ended.value.number == number
        now[0] = SAME_REQUEST - 1
        os.kill(os.getpid(), number)  # timeout(1) sends two
        now[0] = SAME_REQUEST
        with pytest.raises(Ended):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_what_the_caller_ignores_stays_ignored() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    with signals_raise():
        for number in ENDING:
            os.kill(os.getpid(), number)


def test_a_signal_waits_until_a_block_is_done() -> None:
    done = []
    with signals_raise(), pytest.raises(Ended), held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(1)
    assert done == [1]


def test_a_thread_has_no_signals_to_hold_back() -> None:
    done = []

    def work() -> None:
        with signals_raise(), held_back(), scratch_folder() as folder:
            done.append(folder.is_dir())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_scratch_folder_is_removed_whole_before_a_signal_ends_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, seen = os.unlink, []

    def interrupted(*words: object, **options: object) -> None:
        if not seen:
            seen.append(1)
            os.kill(os.getpid(), signal.SIGTERM)
        unlink(*words, **options)

    with signals_raise(), pytest.raises(Ended), scratch_folder(tmp_path) as folder:
        for name in "abc":
            (folder / name).touch()
        monkeypatch.setattr(os, "unlink", interrupted)
    assert seen == [1]
    assert list(tmp_path.iterdir()) == []


FORKS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""


@pytest.mark.parametrize("last", ["", "time.sleep(600)"])
def test_a_child_ends_with_its_group(last: str) -> None:
    words = [sys.executable, "-c", FORKS + last]
    with child_process(words, stdout=subprocess.PIPE) as child:
        grandchild = int(child.stdout.readline())
        assert is_running(grandchild)
    assert child.returncode is not None
    until(lambda: not is_running(grandchild))


CLEANS_UP = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open("cleaned", "w").close(), sys.exit()))
print(flush=True)
time.sleep(600)
"""
REFUSES = CLEANS_UP.replace('lambda *_: (open("cleaned", "w").close(), sys.exit())', "1")


@pytest.mark.parametrize(("code", "cleans"), [(CLEANS_UP, True), (REFUSES, False)])
def test_an_exception_lets_a_child_clean_up_and_ends_it(
    code: str, cleans: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "GRACE", 30.0 if cleans else 0.1)
    words = [sys.executable, "-c", code]
    with (
        pytest.raises(ZeroDivisionError),
        child_process(words, stdout=subprocess.PIPE, cwd=tmp_path) as child,
    ):
        child.stdout.readline()
        raise ZeroDivisionError
    assert child.returncode == (0 if cleans else -signal.SIGKILL)
    assert (tmp_path / "cleaned").exists() == cleans


def test_a_signal_while_a_child_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, popen = [], subprocess.Popen

    def interrupted(*words: object, **options: object) -> "subprocess.Popen[bytes]":
        begun.append(popen(*words, **options))
        os.kill(os.getpid(), signal.SIGTERM)
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with signals_raise(), pytest.raises(Ended), child_process(["sleep", "600"]):
        raise AssertionError("the signal came before")
    assert begun[0].returncode == -signal.SIGTERM
