# SPDX-License-Identifier: BSD-3-Clause
"""Which pci-epf-ntb joins two hosts: a kernel's, a tree's, a file."""

from pathlib import Path

import pytest

from ntbbench.core.errors import InputError
from ntbbench.lab.hosts.joint_source import NTB_FUNCTION, OPTION, joint_source
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.pair.boot.left import SOC
from ntbbench.lab.pair.sources import DebianSource, SourceManifest


@pytest.fixture
def kernel(tmp_path: Path) -> DebianSource:
    """A kernel's source whose pci-epf-ntb.c was unpacked before."""
    place(tmp_path / "source", "of the kernel")
    manifest = SourceManifest(package="linux-source-7.3", version="7.3.4-1", sha256="0")
    return DebianSource(tmp_path / "source", manifest)


def place(root: Path, text: str) -> Path:
    path = root / NTB_FUNCTION
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def found(kernel: DebianSource, spec: str) -> str:
    source = joint_source(Cache(kernel.folder / "cache"), spec, kernel, print)
    assert (source.place, source.spec, source.title) == (SOC, spec, "pci-epf-ntb")
    return source.path.read_text()


def test_after_is_the_kernels_own(kernel: DebianSource) -> None:
    assert found(kernel, "after") == "of the kernel"


def test_a_file_and_a_tree_are_ones_own(kernel: DebianSource, tmp_path: Path) -> None:
    path = place(tmp_path / "linux", "mine")
    assert found(kernel, str(tmp_path / "linux")) == found(kernel, str(path)) == "mine"


@pytest.mark.parametrize("spec", ["nothing.c", "debian:", "before "])
def test_what_names_nothing_is_refused(kernel: DebianSource, spec: str) -> None:
    with pytest.raises(InputError) as refused:
        found(kernel, spec)
    assert (refused.value.field, refused.value.value) == (OPTION, spec)
