# SPDX-License-Identifier: BSD-3-Clause
"""Result files: written whole or not at all, and read with one clear line about a bad one."""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import EISDIR
from itertools import chain, count
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.input_file import RESULT_MAX, check_json, read_input
from ntbbench.core.names import encodable

# A ValidationError is a DecodeError too: JSON, but not of the record's form.
BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Record = TypeVar("Record", bound=Struct)
STDOUT = 1
NEW_FILE_MODE = 0o666  # less the umask, as for any other file that a user creates


def write_json(path: Path, record: Struct) -> None:
    """Write `record` as JSON, a line a field and a line an item of a list of records.

    The whole file appears at once, or the old one stays. Two versions of it differ in few lines.
    """
    write_bytes(path, json_of(record))


def write_new_json(path: Path, record: Struct) -> Path:
    """Write `record` to `path`, or to name-2, name-3, ... where that is there, and return the path.

    Two programs never get the same one. InputError: the operating system refuses.
    """
    names = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    try:
        return _link_new(chain([path], names), json_of(record))
    except OSError as error:
        raise _refused(path, error) from None


def json_of(record: Struct) -> bytes:
    """Return `record` as JSON, a line a field and a line an item of a list of records."""
    fields = (
        b'"%s": %s' % (name.encode(), _spread(getattr(record, name)))
        for name in record.__struct_fields__
        if getattr(record, name) is not msgspec.UNSET
    )
    return b"{\n" + b",\n".join(fields) + b"\n}\n"


def encoded(value: object) -> bytes:
    """Return a value as JSON; a file name that is no UTF-8 is no reason to lose a result."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(value, str_keys=True)))


def _encodable(tree: Any) -> Any:
    match tree:
        case str():
            return encodable(tree)
        case dict():
            return {_encodable(key): _encodable(value) for key, value in tree.items()}
        case list() | tuple():
            return [_encodable(item) for item in tree]
        case _:
            return tree


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, force it to the disk, and rename it.

    What a link points to is replaced, not the link. A device or a pipe is written to directly. A
    reader of stdout that leaves early has what it wants, by the name /dev/stdout too.

    InputError: the operating system refuses; the message names `path` and its reason.
    """
    try:
        if is_special(path):
            path.write_bytes(data)
        else:
            _replace(real_path(path), data)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and os.path.samestat(path.stat(), os.fstat(STDOUT)):
            return
        raise _refused(path, error) from None


def append_text(path: Path, text: str) -> None:
    """Add `text` to the end of a file that another program began.

    InputError: the operating system refuses; the message names `path` and its reason.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _refused(path, error) from None


def new_run(folder: Path, kind: str) -> Path:
    """Return a name for a new result below `folder`, which is made if it is missing.

    Another program may take it before it is written: see `write_new_json`.

    InputError: the folder cannot be made.
    """
    names = _names(folder, kind)
    return next(path for name in names if not (path := folder / f"{name}.json").exists())


def new_folder(folder: Path, kind: str) -> Path:
    """Make a new folder below `folder`, which no other program gets, and return it.

    InputError: it cannot be made.
    """
    for name in _names(folder, kind):
        try:
            (folder / name).mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise _refused(folder / name, error) from None
        return folder / name
    raise AssertionError("the names have no end")


def _names(folder: Path, kind: str) -> Iterator[str]:
    """Yield names by the time, the first without a number, below a folder that is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from None
    stem = f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    yield from (stem if number == 1 else f"{stem}-{number}" for number in count(1))


def check_writable(path: Path, option: str = "output") -> None:
    """Make sure, before a run starts, that `path` of an option can be written when it ends.

    InputError: `path` is a folder, or its folder is missing or read-only, or it is `-`, which
    elsewhere means stdout and would be a file of that name.
    """
    if str(path) == "-":
        raise InputError(option, "-", "a file; /dev/stdout prints it")
    try:
        if is_special(path):
            return
        probe = _temporary(real_path(path))
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, NEW_FILE_MODE))
        probe.unlink()
    except OSError as error:
        raise _refused(path, error, option) from None


def check_no_input(field: str, path: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output in the place of a file that is read; links are followed.

    InputError: `path` is one of `inputs` or in a folder that is; `field` is the option it is from.
    """
    real = real_path(path)
    if path.is_file() and not {real, *real.parents}.isdisjoint(map(real_path, inputs)):
        raise InputError(field, str(path), "another file: this one is an input")


def real_path(path: Path) -> Path:
    """Return `path` with every link followed; links that lead round in a circle stay.

    `Path.resolve()` raises a RuntimeError at such a circle before Python 3.13.
    """
    return Path(os.path.realpath(path))


def load_as(path: Path, known: str, record: type[Record]) -> Record:
    """Return the record in a result file of the schema `known`; `-` is stdin.

    InputError: the file cannot be read, is truncated, is not a result of ntbbench, or is of another
    kind or a version that this ntbbench does not know.
    """
    return decoded_as(read_result(path), path, known, record)


def decoded_as(data: bytes, path: Path, known: str, record: type[Record]) -> Record:
    """Return the record in the content of a result file; InputError as of `load_as`."""
    schema = schema_of(data, path)
    if schema != known:
        raise InputError(str(path), schema, f"schema {known!r}, which this ntbbench reads")
    try:
        return msgspec.json.decode(data, type=record)
    except BAD_JSON as error:
        raise InputError(str(path), known, f"damaged: {error}") from None


def read_result(path: Path) -> bytes:
    """Return the content of a result file; InputError: it cannot be read or is too large."""
    data = read_input(path, "result file", RESULT_MAX, pipes=True)
    check_json(data, path)
    return data


class _Header(Struct):
    schema: str


def schema_of(data: bytes, path: Path) -> str:
    """Return the `schema` in the content of a result file of any kind.

    InputError: it is truncated, or not a result of ntbbench.
    """
    try:
        return msgspec.json.decode(data, type=_Header).schema
    except msgspec.ValidationError:
        allowed = "a result of ntbbench: a JSON object with a schema; other tools' go to `compare`"
    except BAD_JSON as error:
        allowed = f"a result of ntbbench, but this is not whole JSON: {error}"
    raise InputError("result file", str(path), allowed)


def _spread(value: object) -> bytes:
    if not isinstance(value, list) or not value:
        return encoded(value)
    return b"[\n" + b",\n".join(encoded(item) for item in value) + b"\n]"


def is_special(path: Path) -> bool:
    """Tell whether `path` leads to a device or a pipe; OSError where it leads to a folder.

    The links are the kernel's to follow: /dev/stdout may lead to a pipe, which has no name.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(EISDIR, "Is a directory")
    return not stat.S_ISREG(mode)


def _temporary(target: Path) -> Path:
    return target.with_name(f".ntbbench-{secrets.token_hex(4)}.tmp")


@contextmanager
def _written(target: Path, data: bytes) -> Iterator[Path]:
    """Yield a temporary file beside `target` that holds `data`; it is gone or renamed after that.

    It has the permissions of the file that it will replace.
    """
    temporary = _temporary(target)
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, NEW_FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            with suppress(OSError):  # no such file, or not ours to give
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself is on the disk only after this
    finally:
        os.close(folder)


def _replace(target: Path, data: bytes) -> None:
    """Put `data` into place; after a crash there is the old file or the new one, never half."""
    with _written(target, data) as temporary:
        temporary.replace(target)


def _link_new(names: Iterator[Path], data: bytes) -> Path:
    """Put `data` into the first place that is free, and return it."""
    first = next(names)
    with _written(first, data) as temporary:
        for name in chain([first], names):
            with suppress(FileExistsError):
                os.link(temporary, name)
                return name
    raise AssertionError("the names have no end")


def _refused(path: Path, error: OSError, option: str = "output") -> InputError:
    return InputError(option, str(path), f"cannot be written: {error.strerror or error}")
