# SPDX-License-Identifier: BSD-3-Clause
"""TOML files that a user wrote: their tables, or one clear line."""

import sys
import tomllib
from pathlib import Path
from typing import Any

from ntbbench.core.errors import InputError


def read_toml(field: str, path: Path) -> dict[str, Any]:
    """Return the table of a TOML file.

    Raises
    ------
    InputError : the file cannot be read, is not TOML, or is nested or numbered without end.
    """
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(field, str(path), error.strerror or "cannot be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(field, str(path), f"not TOML in UTF-8: {error}") from None
    except RecursionError:
        raise InputError(field, str(path), "brackets less deep in each other") from None
    except ValueError:  # of int()
        allowed = f"numbers of at most {sys.get_int_max_str_digits()} digits"
        raise InputError(field, str(path), allowed) from None
