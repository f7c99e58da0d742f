# SPDX-License-Identifier: BSD-3-Clause
"""A small edit of one file of Linux 7.3: a rewrite that changes nothing, or a bug.

It is patterns and their replacements. A pattern that the source no longer has is refused, so no
edit can come to nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
Step = tuple[str, str] | Callable[[str], str]  # a text and what replaces it, or a function


# Which command must tell a bug: the defaults of `lab pair run`, the same in another setting or
# between two hosts, the debug kernel of `lab pair check`, or none yet, where it takes several CPUs.
RUN, SETTING = "lab pair run", "lab pair run, another setting"
HOSTS = "lab pair run --function ntb"
CHECK, EXPLORE = "lab pair check", "several CPUs"


@dataclass(frozen=True)
class Edit:
    """One edit."""

    name: str
    side: str  # `ep` (pci-epf-vntb), `rc` (ntb_hw_epf), `core`, `transport`, `ntb` (pci-epf-ntb)
    steps: tuple[Step, ...]
    told: str = ""  # of a bug, what a finding must say (a regular expression)
    by: str = RUN
    setup: Mapping[str, object] = field(default_factory=dict)  # the other setting

    def apply(self, source: str) -> str:
        """Return the edited source; ValueError where a pattern is not there or changes nothing."""
        for step in self.steps:
            edited = step(source) if callable(step) else replaced(source, *step)
            if edited == source:
                raise ValueError(f"{self.name}: a step changes nothing")
            source = edited
        return source


def replaced(source: str, old: str, new: str) -> str:
    if old not in source:
        raise ValueError(f"not in the source: {old!r}")
    return source.replace(old, new)


def renamed(**names: str) -> Callable[[str], str]:
    """Return what gives each of these words another name, wherever it stands."""

    def rename(source: str) -> str:
        for old, new in names.items():
            found = re.subn(rf"\b{old}\b", new, source)
            if not found[1]:
                raise ValueError(f"not in the source: {old}")
            source = found[0]
        return source

    return rename


def uncommented(source: str) -> str:
    return COMMENT.sub(" ", source)


def in_another_style(source: str) -> str:
    """Return the source with blanks for tabs and every brace on a line of its own."""
    lines = []
    for line in source.expandtabs(4).splitlines():
        opens = re.fullmatch(r"( *)(.*\S) \{", line)
        macro = line.endswith("\\") or line.lstrip().startswith("#") or "{" not in line
        lines += [line] if macro or not opens else [opens[1] + opens[2], opens[1] + "{"]
    return "\n".join(lines) + "\n"


# Text that both drivers have.
VECTOR_MASK = """	if (db_vector < 0 || db_vector >= nr_vec)
		return 0;

	return BIT_ULL(db_vector);
"""
ENUM = """enum epf_irq_slot {
	EPF_IRQ_LINK = 0,
	EPF_IRQ_RESERVED_DB, /* Historically skipped slot */
	EPF_IRQ_DB_START,
};
"""
NO_FIT = "no known behaviour fits: .*"
