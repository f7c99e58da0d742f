# SPDX-License-Identifier: BSD-3-Clause
"""Which kernels and trees the lab builds for, and what it says of those that do not build."""

from dataclasses import replace
from pathlib import Path

import pytest

from ntbbench.cli.main import main
from ntbbench.lab.commands import BuildError
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import Kernel, build


def test_a_kernel_with_its_own_ntb_core_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "auto.conf").write_text("CONFIG_NTB=y\n")
    (tmp_path / "bzImage").touch()
    options = ["--image", str(tmp_path / "bzImage"), "--kbuild", str(tmp_path)]
    assert main(["lab", "run", *options, "-o", str(tmp_path / "x.json")]) == 2
    assert "CONFIG_NTB=n or m" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("makefile", "told"),
    [
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "Linux 7.3.0-rc2, "),
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 9\nEXTRAVERSION =\n", None),
        (None, "the kernel is 6.12.117+deb12-amd64; --source has no Makefile"),
    ],
)
def test_a_tree_that_does_not_build_tells_both_versions_where_they_differ(
    makefile: str | None, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "kernel.release").write_text("6.12.117+deb12-amd64\n")
    if makefile is not None:
        (tmp_path / "Makefile").write_text(makefile)

    def fails(*_: object) -> Path:
        raise BuildError("debian:6.12: ntb_transport.c:1540:26: error: implicit declaration")

    monkeypatch.setattr("ntbbench.lab.packages.modules.build_modules", fails)
    kernel = Kernel("debian:6.12", tmp_path / "image", tmp_path, tmp_path, str(tmp_path))
    for own in (kernel, replace(kernel, source_tree="")):
        with pytest.raises(BuildError, match=r"1540:26: error: implicit declaration") as caught:
            build(Cache(tmp_path / "cache"), own, print)
        if told is not None and own is kernel:
            assert told in str(caught.value)
        else:
            assert "(" not in str(caught.value)
