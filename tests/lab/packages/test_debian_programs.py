# SPDX-License-Identifier: BSD-3-Clause
"""Programs of Debian for the guest: which packages, and which of their files."""

from pathlib import Path

import pytest

from ntbbench.lab.commands import FetchError
from ntbbench.lab.packages.apt import Package, version_key
from ntbbench.lab.packages.debian_programs import lay_out, with_libraries


def package(name: str, version: str, *depends: str) -> Package:
    return Package(name, version, depends, (), 1)


KNOWN = [
    package("iperf3", "3.12-1", "libiperf0", "adduser"),
    package("iperf3", "3.18-2", "libiperf0", "adduser"),
    package("libiperf0", "3.18-2", "libc6", "zlib1g"),
    package("libc6", "2.41-12", "libgcc-s1"),
    package("libgcc-s1", "14.2", "gcc-14-base", "libc6"),
    package("zlib1g", "1.3", "libc6"),
]


def versions(*names: str) -> list[Package]:
    found = [one for one in KNOWN if one.name in names]
    return sorted(found, key=lambda one: version_key(one.version), reverse=True)


def test_libraries_come_with_a_program_and_nothing_else_does() -> None:
    found = {one.name: one.version for one in with_libraries(versions, ["iperf3"])}
    assert found == {
        "iperf3": "3.18-2",
        "libc6": "2.41-12",
        "libgcc-s1": "14.2",
        "libiperf0": "3.18-2",
        "zlib1g": "1.3",
    }


def test_a_package_that_no_suite_has_is_named() -> None:
    with pytest.raises(FetchError, match="sockperf: no suite has it"):
        with_libraries(versions, ["iperf3", "sockperf"])


def file(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_guest_gets_programs_libraries_and_the_loader(tmp_path: Path) -> None:
    root, folder = tmp_path / "root", tmp_path / "out"
    folder.mkdir()
    file(root, "usr/sbin/ethtool", "program")
    file(root, "usr/share/bash-completion/completions/ethtool", "completion")
    file(root, "usr/lib/x86_64-linux-gnu/libz.so.1.3.1", "library")
    (root / "usr/lib/x86_64-linux-gnu/libz.so.1").symlink_to("libz.so.1.3.1")
    file(root, "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "loader")
    lay_out(root, folder, {"ethtool": "ethtool"})
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert found == {
        "bin/ethtool": "program",
        "lib/libz.so.1": "library",
        "lib64/ld-linux-x86-64.so.2": "loader",
    }


def test_a_package_without_its_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(FetchError, match="dropbear-bin: has no dropbear"):
        lay_out(tmp_path / "root", tmp_path, {"dropbear": "dropbear-bin"})
