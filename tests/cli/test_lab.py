# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab` as a user types it: what it refuses, before anything is fetched or booted."""

from pathlib import Path

import pytest

from ntbbench.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("run --vectors 17", "--vectors: 17: a whole number from 0 to 16"),
        ("run --vectors x", "--vectors: 'x': a whole number from 0 to 16"),
        ("run --queues 15", "--queues: '15': a whole number from 1 to 14"),
        ("run --queues 2 --senders 2", "--senders: 2: a whole number from 0 to 1"),
        ("run --db-read latch", "--db-read: 'latch': unknown; did you mean latched?"),
        ("run --order turns", "--order: 'turns': unknown; did you mean turn?"),
        ("run --gap -1", "--gap: '-1': a whole number from 0 to 1000000"),
        ("run --packets 0", "--packets: '0': a whole number from 1 to 100000"),
        ("run --packets 100000", "--packets: 100000: at most "),
        ("run --flows 4", "--flows: '4': an option of --client netdev only"),
        ("run --client netdev --senders 0", "--senders: '0': an option of --client lab only"),
        ("run --client netdev --gap 100", "--gap: '100': a whole number from 700 to 100000"),
        ("netdev --gap 100", "--gap: '100': a whole number from 700 to 100000"),
        ("netdev --flows 65", "--flows: '65': a whole number from 1 to 64"),
        ("netdev --queues 0", "--queues: '0': a whole number from 1 to 14"),
        ("netdev --vectors 17", "--vectors: 17: a whole number from 0 to 16"),
        ("run --kernel 6.12", "--kernel: '6.12': debian:VERSION"),
        ("run --image bzImage", "--image: 'bzImage': goes together with --kbuild"),
        ("run --image x --kbuild . --kernel debian:6.12", "--kernel: 'debian:6.12': not with"),
        ("run --image x --kbuild .", "--image: 'x': a kernel's bzImage"),
        ("netdev --source .", "--source: '.': a kernel tree with drivers/ntb/core.c"),
        ("run -o missing/x.json", "output: 'missing/x.json': cannot be written"),
        ("run --format mad", "--format: 'mad': unknown; did you mean md?"),
    ],
)
def test_bad_options_are_one_line(
    arguments: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab", *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ntbbench: {told}")
