# SPDX-License-Identifier: BSD-3-Clause
"""The errors that reach a user as one line, and the exit codes of every command."""

from enum import IntEnum

SIGNALLED = 128  # plus the signal's number: the exit code of who ended by one, as a shell has it


class ExitCode(IntEnum):
    """Exit codes shared by every command; a command may document more."""

    OK = 0
    FINDING = 1
    BAD_INPUT = 2
    INCONCLUSIVE = 3  # `gate`, where its policy says that fails
    MISSING = 4  # `compare`, `gate`: nothing measured, or a benchmark on one side only
    INCOMPARABLE = 5  # `compare`, `gate`: the environments differ
    WORKERS_LOST = 3  # `simulate`: what ran it ended, and what is finished is saved
    LAB_FAILED = 3  # `lab`: a build or a guest failed, so there is nothing to compare
    BISECT_SKIP = 125  # `lab pair run --bisect`: git-bisect(1) skips the commit
    BISECT_STOP = 255  # the same: git-bisect(1) stops
    INTERNAL = 70  # EX_SOFTWARE of sysexits.h
    HUNG_UP = 129  # SIGNALLED + SIGHUP
    INTERRUPTED = 130  # SIGNALLED + SIGINT
    TERMINATED = 143  # SIGNALLED + SIGTERM


class NtbbenchError(Exception):
    """An error in one line; `exit_code` is what the command exits with."""

    exit_code: int = ExitCode.INTERNAL


class InputError(NtbbenchError):
    """Bad input: names the field as the user wrote it, the value and what is allowed.

    The value is shown with repr(), so that control characters cannot reach a terminal.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field}: {value!r}: {allowed}")

    def __reduce__(self) -> "tuple[type[InputError], tuple[str, object, str]]":
        """Let it cross from a worker process; by default only the message would."""
        return type(self), (self.field, self.value, self.allowed)


REMEDY = "--force WHY compares all the same"


class IncomparableError(NtbbenchError):
    """The two sides were not measured under the same conditions; `differences` says where."""

    exit_code = ExitCode.INCOMPARABLE

    def __init__(self, differences: list[str], remedy: str = REMEDY) -> None:
        self.differences = differences
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        shown = "; ".join(differences[:3])
        super().__init__(f"the two sides are not comparable: {shown}{more}; {remedy}")


class ModelDisagreement(NtbbenchError):
    """Two ways to the same number differ: a defect of ntbbench itself, never of the input."""

    exit_code = ExitCode.INTERNAL


class WorkersLost(NtbbenchError):
    """What ran a grid has ended, with what it had under way; all else was kept."""

    exit_code = ExitCode.WORKERS_LOST
