# SPDX-License-Identifier: BSD-3-Clause
"""What a built driver takes from the kernel tells which driver it is, whatever it is called."""

import subprocess
from pathlib import Path

import pytest

from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import BuildError
from ntbbench.lab.pair.pair_kernel import asks_for_doorbells, check_driver, imported
from ntbbench.lab.pair.plan import DriverSource

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
    subprocess.run(command, check=True)
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
def test_a_driver_is_told_by_its_imports(
    tmp_path: Path, side: str, calls: tuple[str, ...], right: bool
) -> None:
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
