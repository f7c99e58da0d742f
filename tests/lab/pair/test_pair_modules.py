# SPDX-License-Identifier: BSD-3-Clause
"""The modules of a boot: which driver is which, what does not build, one folder of several."""

from pathlib import Path

import children
import pytest

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.packages.modules import ModuleSet
from ntbbench.lab.pair import pair_modules
from ntbbench.lab.pair.boot.left import DriverSource
from ntbbench.lab.pair.pair_kernel import (
    PairKernel,
)
from ntbbench.lab.pair.pair_modules import asks_for_doorbells, check_driver, imported
from ntbbench.lab.pair.sources import (
    DRIVERS,
    DebianSource,
    SourceManifest,
)

NAMES = {"ep": "pci-epf-vntb.ko", "rc": "ntb_hw_epf.ko"}
VNTB = ("ntb_register_device", "__pci_epf_register_driver", "__pci_register_driver")
EPF = ("ntb_register_device", "__pci_register_driver")


def built(folder: Path, side: str, *calls: str) -> Path:
    """Compile a file that calls these functions, and return the folder."""
    declared = "".join(f"void {name}(void);\n" for name in calls)
    called = "".join(f"\t{name}();\n" for name in calls)
    text = f"{declared}static void own(void) {{}}\nvoid start(void)\n{{\n\town();\n{called}}}\n"
    (folder / "driver.c").write_text(text)
    command = ["gcc", "-c", "-o", folder / NAMES[side], folder / "driver.c"]
    children.run(command, check=True)
    return folder


@pytest.mark.parametrize(
    ("side", "calls", "right"),
    [
        ("ep", VNTB, True),
        ("rc", EPF, True),
        ("rc", ("printk",), True),  # it fails before it registers anything
        ("ep", EPF, False),  # ntb_hw_epf where pci-epf-vntb was asked for
        ("rc", VNTB, False),
        ("ep", ("printk",), False),
    ],
)
def test_a_driver_is_told_by_its_imports(tmp_path, side, calls, right) -> None:
    path = tmp_path / "x.c"
    path.write_text("ntb_register_device(ntb);")
    source = DriverSource(side, "x.c", "x.c", path, ())
    folder = built(tmp_path, side, *calls)
    if right:
        check_driver(source, folder)
        return
    with pytest.raises(InputError) as caught:
        check_driver(source, folder)
    name = Path(NAMES[side]).stem
    assert str(caught.value) == f"--{side}-driver: '{path}': a driver as {name}.c"


def test_an_endpoint_that_fails_before_it_registers_is_told_by_its_text(tmp_path: Path) -> None:
    path = tmp_path / "x.c"
    path.write_text("ntb_register_device(ntb); pci_epf_register_driver(&driver);")
    check_driver(DriverSource("ep", "x.c", "x.c", path, ()), built(tmp_path, "ep", "printk"))


def test_only_a_driver_that_asks_for_them_has_interrupts_for_doorbells(tmp_path: Path) -> None:
    assert not asks_for_doorbells(built(tmp_path, "ep", *VNTB))
    assert asks_for_doorbells(built(tmp_path, "ep", *VNTB, "pci_epf_alloc_doorbell"))
    assert imported(tmp_path / NAMES["ep"]) == {*VNTB, "pci_epf_alloc_doorbell"}


def test_what_is_no_module_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.ko").write_text("text")
    with pytest.raises(BuildError, match=r"^x\.ko: .*(format|recognized)"):
        imported(tmp_path / "x.ko")


@pytest.mark.parametrize(
    ("own", "file", "told"),
    [(True, "msi.c", True), (True, "pci-epf-vntb.c", False), (False, "msi.c", False)],
)
def test_a_tree_whose_stack_is_for_another_kernel_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, file: str, told: bool
) -> None:
    def fails(_cache: Cache, wanted: ModuleSet, _say: object) -> Path:
        if file in wanted.sources:
            raise BuildError(f"tree: {file}:109:9: error: implicit declaration")
        return tmp_path

    monkeypatch.setattr(pair_modules, "build_modules", fails)
    manifest = SourceManifest(package="linux-source-7.3", version="7.3.4-1", sha256="0")
    built = PairKernel("debian:7.3", "run", tmp_path, DebianSource(tmp_path, manifest))
    ep, rc = (
        DriverSource(side, "after", "here", tmp_path / Path(name).name, ())
        for side, name in DRIVERS.items()
    )
    with pytest.raises(BuildError, match=f"{file}:109") as error:
        tree = tmp_path if own else None
        pair_modules.build_pair(Cache(tmp_path), built, ep, rc, tree=tree, say=print)
    hint = "a kernel of linux-source-7.3 7.3.4-1; --ep-driver and --rc-driver take"
    assert (hint in str(error.value)) == told


def test_merged_modules_are_links_to_those_of_each_build(tmp_path: Path) -> None:
    built = [tmp_path / name for name in ("stack", "ep", "rc")]
    for folder in built:
        folder.mkdir()
        (folder / f"{folder.name}.ko").write_text(folder.name)
    (built[0] / pair_modules.SYMBOLS).touch()
    whole = pair_modules.merged(Cache(tmp_path / "cache"), built, print)
    assert {path.name: path.read_text() for path in whole.iterdir()} == {
        f"{folder.name}.ko": folder.name for folder in built
    }
    assert pair_modules.merged(Cache(tmp_path / "cache"), built, print) == whole
    assert pair_modules.merged(Cache(tmp_path / "cache"), built[:2], print) != whole
