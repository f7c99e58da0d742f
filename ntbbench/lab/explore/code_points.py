# SPDX-License-Identifier: BSD-3-Clause
"""Points in the code of the pair: the start of each function and each access to memory in it.

Read from the disassembly of the modules, so that no name of a driver's function is known here. An
access by the stack pointer or the frame pointer is nobody else's, and a per-CPU one neither.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ntbbench.lab.commands import BuildError, run

# The guest's number of a register: its place in the order of the instruction set.
REGISTERS = (
    *("%rax", "%rcx", "%rdx", "%rbx", "%rsp", "%rbp", "%rsi", "%rdi"),
    *(f"%r{number}" for number in range(8, 16)),
)
NONE = len(REGISTERS)
PRIVATE = {None, "%rsp", "%rbp", "%rip"}  # bases whose memory no other CPU has, or none knows
FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(?:lock )?(\S+) *([^#<]*)")
MEMORY = re.compile(r"(?:%(\w\w):)?(-?0x[0-9a-f]+)?\((%\w+)?(?:,(%\w+),(\d))?\)")
# Without an access of their own, or one that a breakpoint cannot stand before.
SKIPPED = re.compile(r"lea|nop|call|jmp|prefetch|rep|movs[bwlq] |stos|cmps|scas")
WRITES = re.compile(r"mov|set")
READS = re.compile(r"cmp(?!xchg)|test|bt(?![src])|push")
READ, WRITE, BOTH, ENTRY = "r", "w", "m", "-"
MODULES = ("pci-epf-vntb.ko", "ntb_hw_epf.ko", "ntb.ko", "ntb_transport.ko", "ntb_netdev.ko")
Line = tuple[str, int]  # of a source: file, number


@dataclass(frozen=True)
class CodePoint:
    """One place in the code where a CPU can be held."""

    module: str  # as the kernel has it
    function: str
    offset: int  # bytes from its start
    access: str  # READ, WRITE, BOTH, or ENTRY: the function's start
    # what the address is made of: base, index, scale, displacement
    operand: tuple[int, int, int, int] = (NONE, NONE, 1, 0)
    line: Line = ("", 0)
    text: str = ""  # of the source's line

    @property
    def name(self) -> str:
        """How a schedule names it."""
        return f"{self.module}:{self.function}+{self.offset:#x}"

    def guest_line(self, number: int) -> str:
        """Return the line that makes it point `number` of the guest."""
        place = f"{self.module}:{self.function} {self.offset} {self.access}"
        return f"point {number} {place} {' '.join(map(str, self.operand))}"


def code_points(modules: Path) -> list[CodePoint]:
    """Return the points of a folder's modules; BuildError: one cannot be disassembled.

    A function that begins with an access has one point there.
    """
    found = (point for name in MODULES for point in _points_of(modules / name))
    return list({point.name: point for point in found}.values())


def _points_of(module: Path) -> Iterator[CodePoint]:
    told = run(["objdump", "-d", "--no-show-raw-insn", "-j", ".text", module])
    if told.status:
        raise BuildError(f"{module.name}: {told.last_words}")
    name = module.stem.replace("-", "_")
    function, start = "", 0
    for line in told.stdout.splitlines():
        if found := FUNCTION.match(line):
            start, function = int(found[1], 16), found[2]
            yield CodePoint(name, function, 0, ENTRY)
        elif (found := INSTRUCTION.match(line)) and function:
            access = access_of(found[2], found[3])
            if access is not None:
                yield CodePoint(name, function, int(found[1], 16) - start, *access)


def access_of(mnemonic: str, operands: str) -> tuple[str, tuple[int, int, int, int]] | None:
    """Return how an instruction accesses memory, and by which address; None: not at all, or only
    what is its CPU's own."""
    memory = MEMORY.search(operands)
    if memory is None or memory[1] or memory[3] in PRIVATE or SKIPPED.match(mnemonic):
        return None
    is_target = operands.strip().endswith(memory[0])
    kind = BOTH
    if READS.match(mnemonic) or not (is_target or "x" in mnemonic[:2]):
        kind = READ
    elif WRITES.match(mnemonic):
        kind = WRITE
    index = REGISTERS.index(memory[4]) if memory[4] else NONE
    displacement = int(memory[2] or "0", 16)
    return kind, (REGISTERS.index(memory[3]), index, int(memory[5] or 1), displacement)


def located(
    points: Sequence[CodePoint], modules: Path, sources: Mapping[str, Path]
) -> list[CodePoint]:
    """Return the points with the lines of source that they are of.

    `sources`: C files by their name. Of code that was inlined the line is that of the C file.
    """
    lines = {name: path.read_text(errors="replace").splitlines() for name, path in sources.items()}
    found: list[CodePoint] = []
    for name in MODULES:
        module = name.removesuffix(".ko").replace("-", "_")
        mine = [point for point in points if point.module == module]
        for point, line in zip(mine, _lines_of(mine, modules / name, sources), strict=True):
            text = lines[line[0]][line[1] - 1].strip() if line[1] else ""
            found.append(replace(point, line=line, text=text))
    order = {point.name: number for number, point in enumerate(points)}
    return sorted(found, key=lambda point: order[point.name])


def _lines_of(
    points: Sequence[CodePoint], module: Path, sources: Mapping[str, Path]
) -> Iterator[Line]:
    """Yield the innermost line of each point that is in one of `sources`."""
    if not points:
        return
    starts = _starts(module)
    asked = [f"{starts[point.function] + point.offset:#x}" for point in points]
    told = run(["addr2line", "-a", "-i", "-j", ".text", "-e", module, *asked])
    for chain in re.split(r"^0x[0-9a-f]+\n", told.stdout, flags=re.MULTILINE)[1:]:
        places = (place.partition(" (")[0].rpartition(":") for place in chain.splitlines())
        known = ((Path(file).name, int(number)) for file, _, number in places if number.isdigit())
        yield next((line for line in known if line[0] in sources), ("", 0))


def _starts(module: Path) -> dict[str, int]:
    told = run(["nm", module])
    symbols = (line.split() for line in told.stdout.splitlines())
    return {words[2]: int(words[0], 16) for words in symbols if len(words) == 3}
