# SPDX-License-Identifier: BSD-3-Clause
"""A file that is to be compared, read once for all readers, and what such a reader is."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from ntbbench.compare.readers.checked import beginning, read_bytes
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import reading

HEAD = 1 << 16  # bytes of a CSV that are looked at before it is read
JSON_BEGINS = re.compile(rb"\s*(?:\{|\[)")
# What no line of a CSV begins with.
JSON_ONLY = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
Keys = dict[str, Raw]  # of an object; its values stay unread
T = TypeVar("T")


class Content:
    """What an input holds; a pipe is read once, a table only as far as it must be.

    Parameters
    ----------
    path : a file, a pipe, or a folder that is one result, of which only the path is known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    @cached_property
    def data(self) -> bytes:
        """The bytes, unpacked, without a byte order mark; InputError: it cannot be read."""
        return b"" if self.path.is_dir() else read_bytes(self.path)

    @cached_property
    def _table_head(self) -> bytes | None:
        """What a CSV by its name begins with; None of all else."""
        return beginning(self.path, HEAD) if self.path.suffix.lower() == ".csv" else None

    @cached_property
    def is_large_table(self) -> bool:
        """Whether this is a CSV by its name, and no JSON; it may be too large to hold."""
        return self._table_head is not None and not JSON_ONLY.match(self._table_head)

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB."""
        return self.data[:HEAD] if self._table_head is None else self._table_head

    @cached_property
    def is_json(self) -> bool:
        """Whether the text begins as JSON does."""
        return JSON_BEGINS.match(self.head) is not None and not self.is_large_table

    @cached_property
    def keys(self) -> Keys:
        """The keys of the outermost object, of several documents the first's; else none."""
        if not self.is_json:
            return {}
        try:
            return self.decode(Keys)
        except (msgspec.ValidationError, RecursionError):
            return {}
        except msgspec.DecodeError:  # several documents, or a damaged one
            return _first_document(self.data)

    def decode(self, kind: type[T], line: bytes | None = None) -> T:
        """Return the JSON, or a line of it, as `kind`; null stands for NaN and what is infinite.

        Python writes `NaN` and `Infinity`, which JSON does not know.
        msgspec.DecodeError: it is no JSON, or none of this kind.
        """
        text = self.data if line is None else line
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as error:
            finite = self._finite if line is None else _finite(line)
            if finite is None:
                raise error from None
            return msgspec.json.decode(finite, type=kind)

    @cached_property
    def _finite(self) -> bytes | None:
        return _finite(self.data)

    @cached_property
    def first_item(self) -> Keys:
        """The keys of the first object in the outermost list; none where there is no such."""
        if not self.is_json or self.keys:
            return {}
        try:
            return first_of(self.decode(Raw))
        except (msgspec.DecodeError, RecursionError):
            return {}

    def first(self, name: str) -> Keys:
        """Return the keys of the first object in the list `name`; none where there is no such."""
        return first_of(self.keys[name]) if begins(self.keys, name, b"[") else {}


@dataclass(frozen=True)
class ResultReader:
    """One format. `read` and `together` raise InputError for what is damaged."""

    recognises: Callable[[Content], bool]
    read: Callable[[Content, str], Variant]  # with the label of the variant
    # Reads all files of a side, where a file is not simply one run; with the label and their name.
    together: Callable[[Sequence[Content], str, str], Variant] | None = None


def begins(keys: Keys, name: str, mark: bytes) -> bool:
    """Return whether a value is there and begins with a bracket or a quote."""
    return name in keys and bytes(keys[name])[:1] == mark


def first_of(items: bytes | Raw) -> Keys:
    """Return the keys of the first object of a list."""
    listed = msgspec.json.decode(items, type=list[Raw])
    one = next((item for item in listed if bytes(item)[:1] == b"{"), None)
    return {} if one is None else msgspec.json.decode(one, type=Keys)


def _finite(text: bytes) -> bytes | None:
    """Return the JSON with null for what is not finite; None: it is none all the same."""
    try:
        return msgspec.json.encode(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _first_document(data: bytes) -> Keys:
    text = data.decode("utf-8", "replace").lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
        found: Any = msgspec.json.decode(text[:end].encode(), type=Keys)
    except (ValueError, RecursionError):
        return {}
    keys: Keys = found
    return keys


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Tell whatever is wrong with a text in one line."""
    with reading(where):
        try:
            yield
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError("input", where, f"a complete result: {error}") from error
