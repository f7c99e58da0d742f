# SPDX-License-Identifier: BSD-3-Clause
"""Which format a file is in, told by its structure: no key that stands elsewhere can mislead it.

Several results may be one variant: each is a run, and a quantile of it one sample.
"""

from functools import cache
from pathlib import Path

import msgspec

from ntbbench.compare.policy import MEDIAN
from ntbbench.compare.readers import FORMATS, readers
from ntbbench.compare.readers.content import Content, ResultReader, readable
from ntbbench.compare.readers.joining import joined
from ntbbench.compare.readers.own_results import schema_of, unknown_schema
from ntbbench.compare.readers.paths import paths_of
from ntbbench.compare.series import Variant
from ntbbench.core.errors import InputError
from ntbbench.core.names import encodable

FOLDERS = "a capture, a folder with .json or .txt files, or target/criterion"
table = cache(readers)


def load_variant(argument: str, quantile: float = MEDIAN) -> Variant:
    """Return the variant of one argument: a file, files joined by commas, or a folder of them.

    Of joined files a sample is the quantile, usually the median, of one of them. InputError: what
    cannot be read, is damaged, or is in no known format.
    """
    paths = paths_of(argument)
    folder = Path(argument)
    names = [folder.absolute().name] if folder.is_dir() else [path.stem for path in paths]
    label = encodable("+".join(names))  # of several files all of them
    contents = [Content(path) for path in paths]
    found = [_reader_of(content) for content in contents]
    for reader, path in zip(found, paths, strict=True):
        if reader is not found[0]:
            allowed = f"files of one format; {paths[0]} is of another"
            raise InputError("input", str(path), allowed)
    if found[0].together is not None:
        with readable(argument):
            return found[0].together(contents, label, argument)
    variants = [_read(found[0], content, label) for content in contents]
    return variants[0] if len(variants) == 1 else joined(variants, paths, quantile)


def _reader_of(content: Content) -> ResultReader:
    """Return the first reader that recognises a file."""
    with readable(content.where):
        for reader in table():
            if reader.recognises(content):
                return reader
        if schema_of(content.keys):
            raise unknown_schema(content)
        if content.is_json:
            content.decode(msgspec.Raw)  # a damaged one is told as such
    raise InputError("input", content.where, FOLDERS if content.path.is_dir() else FORMATS)


def _read(reader: ResultReader, content: Content, label: str) -> Variant:
    """Return the variant of one file; InputError: there is no number in any of its metrics."""
    with readable(content.where):
        variant = reader.read(content, label)
    if variant.unread and not variant.series:
        name, why = next(iter(variant.unread.items()))
        raise InputError(f"{content.where}: {name}", why, "a metric with numbers; none has any")
    return variant
