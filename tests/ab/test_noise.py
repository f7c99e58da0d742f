# SPDX-License-Identifier: BSD-3-Clause
"""What disturbs times, read of files as kernels write them."""

from pathlib import Path

import pytest

from ntbbench.ab.noise import line, noise

QUIET = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
    "sys/devices/system/cpu/smt/active": "0\n",
    "sys/devices/system/cpu/isolated": "2-3\n",
    "proc/loadavg": "0.00 0.01 0.05 1/100 1\n",
    "proc/cpuinfo": "flags\t\t: fpu sse2\n",
    "proc/sys/kernel/randomize_va_space": "2\n",
}


def machine(root: Path, changes: dict[str, str]) -> dict[str, tuple[str, str]]:
    for name, text in {**QUIET, **changes}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return {source.name: (source.value, source.advice) for source in noise(root)}


def test_a_quiet_machine_needs_no_advice(tmp_path: Path) -> None:
    found = machine(tmp_path, {})
    assert {name: value for name, (value, _) in found.items()} == {
        "governor": "performance",
        "turbo": "off",
        "SMT": "off",
        "load": "0.00",
        "virtual machine": "no",
        "ASLR": "on",
        "isolated CPUs": "2-3",
    }
    assert not any(advice for _, advice in found.values())


@pytest.mark.parametrize(
    ("file", "text", "name", "value", "advice"),
    [
        ("cpu0/cpufreq/scaling_governor", "powersave", "governor", "powersave", "set the perf"),
        ("intel_pstate/no_turbo", "0", "turbo", "on", "turn it off"),
        ("smt/active", "1", "SMT", "on", "sibling"),
        ("isolated", "\n", "isolated CPUs", "none", ""),
        ("/proc/loadavg", "900.5 1 1 1/1 1", "load", "900.5", "stop what else runs"),
        ("/proc/cpuinfo", "flags: fpu hypervisor", "virtual machine", "yes", "other guests"),
        ("/proc/sys/kernel/randomize_va_space", "0", "ASLR", "off", "turn it on"),
    ],
)
def test_what_can_be_mended(
    tmp_path: Path, file: str, text: str, name: str, value: str, advice: str
) -> None:
    path = file.lstrip("/") if file.startswith("/") else f"sys/devices/system/cpu/{file}"
    found = machine(tmp_path, {path: text})
    assert found[name][0] == value
    assert advice in found[name][1] and bool(advice) == bool(found[name][1])


def test_the_turbo_of_amd_and_the_name_of_a_guest(tmp_path: Path) -> None:
    boost = {"sys/devices/system/cpu/cpufreq/boost": "1"}
    guest = {"proc/cpuinfo": "flags: hypervisor", "sys/class/dmi/id/product_name": "KVM\n"}
    machine(tmp_path, {**boost, **guest})
    (tmp_path / "sys/devices/system/cpu/intel_pstate/no_turbo").unlink()
    found = {source.name: source.value for source in noise(tmp_path)}
    assert found["turbo"] == "on"
    assert found["virtual machine"] == "yes (KVM)"


def test_what_cannot_be_read_is_said_and_nothing_is_advised(tmp_path: Path) -> None:
    found = noise(tmp_path)
    assert all(source.value.startswith("not readable") for source in found)
    assert not any(source.advice for source in found)


def test_what_is_to_be_mended_comes_first_in_the_line(tmp_path: Path) -> None:
    machine(tmp_path, {"proc/sys/kernel/randomize_va_space": "0"})
    (tmp_path / "proc/loadavg").unlink()
    told = line(noise(tmp_path))
    assert told.startswith("ASLR off, governor performance")
    assert "load unknown" in told
