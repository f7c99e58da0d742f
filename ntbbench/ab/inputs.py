# SPDX-License-Identifier: BSD-3-Clause
"""What a command of `ab` runs, by its content: blocks of two programs are no pairs."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET, UnsetType

from ntbbench.core.errors import InputError


def inputs_of(words: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 by path of a command's program, and of the script that it is given.

    The first argument that names a file is taken for the script; later ones may be written to.
    """
    program = shutil.which(words[0])
    scripts = [word for word in words[1:] if Path(word).is_file()][:1]
    return {path: _sha256(path) for path in (program, *scripts) if path is not None}


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_inputs_same(option: str, before: dict[str, str] | UnsetType, now: dict[str, str]) -> None:
    """Refuse to add blocks of other programs than those before; UNSET: an older file tells none.

    InputError: a file has changed, or another one is run by that name.
    """
    if before is UNSET or before == now:
        return
    path = min({path for path, _ in before.items() ^ now.items()})
    allowed = f"what the finished blocks ran: SHA-256 {before.get(path, 'of another file')}"
    raise InputError(f"{option}: {path}", f"SHA-256 {now.get(path, 'of no file')}", allowed)
