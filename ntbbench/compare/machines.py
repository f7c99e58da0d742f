# SPDX-License-Identifier: BSD-3-Clause
"""Whether two results come from one machine, where the name of the CPU does not tell.

A key that neither side has equals nothing. Many Arm machines do not name their CPU; their results
are comparable where all else that is known of both machines agrees.
"""

import re
from collections.abc import Collection

from ntbbench.compare.series import Variant

# What stands in the place of a name: a number, the code of a core's design, an architecture.
NAMELESS = re.compile(
    r"\s*(\d+|0x[0-9a-f]+|unknown|not readable\b.*|arm|aarch64|armv\d.* processor\b.*)?\s*",
    re.IGNORECASE | re.DOTALL,
)


def names_cpu(variant: Variant) -> bool:
    """Return whether a result names the CPU that it was measured on."""
    name = variant.environment.get(variant.cpu)
    return name is not None and NAMELESS.fullmatch(name) is None


def known_machine(variant: Variant) -> dict[str, str]:
    """Return what tells the machine of a result from others: its CPU's name, else all the rest."""
    return variant.environment | ({} if names_cpu(variant) else variant.machine)


def is_open(base: Variant, candidate: Variant, ignore: Collection[str]) -> bool:
    """Return whether the names of the CPUs leave open if two results come from one machine."""
    if base.source != candidate.source or not base.cpu or base.cpu in ignore:
        return False
    return not (names_cpu(base) and names_cpu(candidate))


def difference(base: Variant, candidate: Variant, ignore: Collection[str]) -> str:
    """Return where two machines differ that the names of their CPUs do not tell apart, or ""."""
    if not is_open(base, candidate, ignore):
        return ""
    if names_cpu(base) != names_cpu(candidate):
        names = [repr(side.environment.get(side.cpu, "unknown")) for side in (base, candidate)]
        return f"{base.cpu}: {' against '.join(names)}: only one side names its CPU"
    told = [
        f"{key} {value!r} against {candidate.machine[key]!r}"
        for key, value in base.machine.items()
        if key not in ignore and candidate.machine.get(key, value) != value
    ]
    if not told:
        return ""
    return f"the CPU is not known (no {base.cpu}), and the machines differ: {', '.join(told)}"


def unknown(base: Variant, candidate: Variant, ignore: Collection[str]) -> list[str]:
    """Return notes on what neither side knows, which for that reason was not compared."""
    notes = []
    if is_open(base, candidate, ignore):
        shared = [key for key in base.machine if key in candidate.machine and key not in ignore]
        agree = f"; the machines agree in {', '.join(shared)}" if shared else ", nor the machine"
        notes.append(f"the CPU is not known (no {base.cpu}){agree}")
    known = base.environment.keys() | candidate.environment.keys() | {base.cpu, *ignore}
    lacking = [key for key in base.expects if key not in known]
    if lacking:
        notes.append(f"neither side knows, so not compared: {', '.join(lacking)}")
    return notes
