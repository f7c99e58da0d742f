# SPDX-License-Identifier: BSD-3-Clause
"""What a guest's kernel said last, in one line: why it died, or where it hangs."""

import re

PANIC = re.compile(r"Kernel panic - not syncing: .*")
# What ends a kernel, before what it may live on with: a debug kernel says that first.
CAUSES = (
    re.compile(r"kernel BUG at .*|BUG: (?:unable to handle|kernel NULL pointer) .*|Oops: .*"),
    re.compile(r"BUG: .*"),
)
PLACE = re.compile(r"RIP: \d+:\S+")
COMPLAINT = re.compile(r"WARNING: .*|BUG: .*")
GAVE_UP = re.compile(r"^@@ failed (.*)$", re.MULTILINE)
REPORTED = re.compile(r"^@@ point (\S+)$(?=[^@]*^@@ end$)", re.MULTILINE)  # as `init` reports it
STAMP = re.compile(r"^\[ *\d+\.\d+\] ")
# The Oops that the lab gives a hung guest. Its stack follows, and with panic_print=0x80 those of
# the tasks that wait.
OOPS = re.compile(r"^.*Oops: invalid opcode.*$", re.MULTILINE)
BLOCKED = re.compile(r"^(?:\[ *\d+\.\d+\] )?task:(\S+) +state:D", re.MULTILINE)
# A frame that the unwinder is sure of: the others have a question mark.
FRAME = re.compile(
    r"^(?:\[ *\d+\.\d+\])? *(?:RIP: 0010:)?(?P<name>[\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+", re.MULTILINE
)
OF_MODULE = re.compile(rf"{FRAME.pattern} \[(?P<module>\w+)\]", re.MULTILINE)
IDLE = re.compile(r" do_idle\+0x")
INTERRUPTED = re.compile(r"<(?:IRQ|SOFTIRQ)>")


def last_words(console: str) -> str:
    """Return in one line why the kernel died: first cause, where, and panic; else its last line."""
    panic = PANIC.search(console)
    if panic is not None:
        cause = cause_of(console)  # the place is that of the cause, not of an earlier warning
        place = PLACE.search(console, cause.end()) if cause is not None else None
        found = (cause, place, panic)
        return "; ".join(match[0].strip() for match in found if match is not None)
    lines = [STAMP.sub("", line).strip() for line in console.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def cause_of(console: str) -> re.Match[str] | None:
    """Return the line that begins the report of why a kernel died; None: only its panic tells."""
    found = (pattern.search(console) for pattern in CAUSES)
    return next((match for match in found if match is not None), None)


def before_oops(console: str) -> str:
    """Return what the kernel of a hung guest said before the Oops of the lab, if there was one."""
    oops = OOPS.search(console)
    return console if oops is None else console[: oops.start()]


def hung_words(console: str, data: str) -> str:
    """Return in one line how far a guest came that hung, and where its kernel was.

    Where it was is one sample: a loop may go through functions that do not keep it.

    Parameters
    ----------
    data : what /init reported.
    """
    reported = REPORTED.findall(data)
    words = _where(console)
    return f"after it had recorded {reported[-1]}: {words}" if reported else words


def stacks_of_hang(console: str) -> tuple[str, dict[str, str]]:
    """Return the stack of a hung guest, and by name those of the tasks that were blocked.

    Both are empty where there was no Oops.
    """
    oops = OOPS.search(console)
    if oops is None:
        return "", {}
    stack, *blocked = BLOCKED.split(console[oops.end() :])
    return stack, dict(zip(blocked[::2], blocked[1::2], strict=True))


def _where(console: str) -> str:
    """Return where the kernel was when the lab made it die.

    A busy kernel shows what it did then; of an idle one the last line may tell more than who waits.
    """
    last = last_words(before_oops(console)) or "it said nothing"
    stack, blocked = stacks_of_hang(console)
    if not stack:
        return f"was not in its kernel; {last}"
    if INTERRUPTED.search(stack) or not IDLE.search(stack):
        return f"was in {_place(stack)}"
    # a task that a module's function holds tells more than one that waits for that task
    tasks = sorted(blocked.items(), key=lambda task: OF_MODULE.search(task[1]) is None)
    waiting = [f"{task} waits in {_place(stack)}" for task, stack in tasks[:1]]
    return "; ".join(["the CPU was idle", *waiting, last])


def _place(stack: str) -> str:
    """Return the innermost function of a module in a stack; else of the kernel."""
    found = OF_MODULE.search(stack)
    if found is not None:
        return f"{found['name']}() of {found['module']}"
    frames = (frame["name"] for frame in FRAME.finditer(stack))
    return next((f"{name}()" for name in frames if "schedule" not in name), "no function")


def complaints(console: str) -> list[str]:
    """Return the kernel's warnings (WARN, lockdep and the like), one line each."""
    return [match.strip() for match in COMPLAINT.findall(console)]
