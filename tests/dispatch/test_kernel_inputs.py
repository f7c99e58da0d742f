# SPDX-License-Identifier: BSD-3-Clause
"""A kernel called with anything wrong says what, with what value, and what is allowed."""

from typing import Any

import numpy as np
import pytest

from ntbbench.core.errors import InputError
from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import _bitset, _msi, _scan
from ntbbench.dispatch.engine.batch import Counters

GOOD: dict[str, Any] = {
    "vectors": np.array([0, 1], np.uint8),
    "rung": np.array([1, 2], np.uint64),
    "masks": np.array([1, 2], np.uint64),
    "qp_bitmap": 3,
    "qp_bitmap_free": 0,
    "active": 3,
    "drain": 1,
}


def prepare(kernel: str, **changed: Any) -> engine.Prepared:
    arguments = GOOD | changed
    stream = [arguments.pop(name) for name in ("vectors", "rung", "masks")]
    return engine.prepare(kernel, *stream, **arguments)


BAD = [
    ("vectors", [0, 1], "list"),
    ("vectors", np.array([0, 1], np.int64), "int64"),
    ("vectors", np.array([0.0, 1.0]), "float64"),
    ("vectors", np.zeros((2, 1), np.uint8), "one dimension"),
    ("vectors", np.zeros(4, np.uint8)[::2], "contiguous"),
    ("vectors", np.array([0, 2], np.uint8), "vectors: 2: below the number of masks, which is 2"),
    ("vectors", np.array([0, 255], np.uint8), "255"),
    ("rung", np.array([1, 2], np.int64), "int64"),
    ("rung", np.array([1, 2], ">u8"), ">u8"),
    ("rung", np.array([1], np.uint64), "rung: 1: one word for each vector (2)"),
    ("rung", np.frombuffer(bytes(17), np.uint8)[1:].view(np.uint64), "aligned"),
    ("masks", np.array([1, 2], np.uint32), "uint32"),
    ("masks", np.zeros(65, np.uint64), "masks: 65: at most 64"),
    ("qp_bitmap", -1, "qp_bitmap: -1: 0 .. 2"),
    ("qp_bitmap", 1 << 64, "qp_bitmap: 18446744073709551616"),
    ("qp_bitmap", 1.0, "qp_bitmap: 1.0: an integer"),
    ("qp_bitmap_free", 1 << 64, "qp_bitmap_free"),
    ("active", "3", "active: '3': an integer"),
    ("active", -(1 << 63), "active"),
    ("drain", 0, "drain: 0: 1 .. 2"),
    ("drain", -3, "drain: -3"),
    ("drain", 1 << 64, "drain"),
    ("drain", 1.5, "drain: 1.5: an integer"),
]


@pytest.mark.parametrize("kernel", engine.KERNELS)
@pytest.mark.parametrize(("field", "value", "told"), BAD)
def test_bad_input_is_named(kernel: str, field: str, value: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare(kernel, **{field: value})
    assert caught.value.field == field
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("kernel", "changed", "told"),
    [
        ("simd", {}, "kernel: 'simd': one of reference, scan, bitset"),
        ("bitset", {"codes": np.zeros(3, np.int8)}, "int8"),
        ("bitset", {"codes": [0, 1]}, "list"),
        ("bitset", {"codes": np.array([0, 2], np.uint8)}, "codes: 2: below the number of vectors"),
        (
            "bitset",
            {
                "codes": np.zeros(3, np.uint8),
                "vectors": np.zeros(65, np.uint8),
                "rung": np.zeros(65, np.uint64),
            },
            "codes: 65: at most 64 different interrupts",
        ),
    ],
)
def test_bad_kernels_and_codes_are_named(kernel: str, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        prepare(kernel, **changed)


@pytest.mark.parametrize("mask", [0, 3, 1 << 63 | 1])
@pytest.mark.parametrize("kernel", ["reference-msi", "msi", "bitset-msi"])
def test_msi_needs_one_qp_a_vector(kernel: str, mask: int) -> None:
    with pytest.raises(InputError, match=r"masks\[1\]: '0x[0-9a-f]+': one bit"):
        prepare(kernel, masks=np.array([1, mask], np.uint64))


# The compiled entries, called past the engine's checks.

ONE = np.uint64(1)
WORDS = np.ones(64, np.uint64)
EVERY_VECTOR = np.arange(64, dtype=np.uint8)
STREAM = np.zeros(2, np.uint8)
RUNG = np.zeros(2, np.uint64)


MASKS = {"masks": WORDS, "qp_bitmap": ONE, "qp_bitmap_free": ONE}
CODES = {"code_vectors": EVERY_VECTOR, "scanned": WORDS, "called": WORDS}
END = {"active": ONE, "drain": ONE, "counters": Counters().block}
# The compiled entries, each with good arguments in their order.
ENTRIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "scan": (_scan.run, {"vectors": STREAM, "rung": RUNG} | MASKS | END),
    "msi": (_msi.run, {"vectors": STREAM, "rung": RUNG, "masks": WORDS} | END),
    "bitset": (_bitset.run, {"codes": STREAM} | CODES | {"rung": RUNG} | END),
    "coded": (_bitset.run_coded, {"codes": STREAM} | CODES | {"rung": WORDS} | END),
}
ALL = tuple(ENTRIES)


def call(entry: str, **changed: Any) -> None:
    run, arguments = ENTRIES[entry]
    assert set(changed) <= set(arguments)
    run(*(arguments | changed).values())


def read_only() -> np.ndarray:
    block = Counters().block
    block.flags.writeable = False
    return block


ENTRIES_BAD: list[tuple[tuple[str, ...], str, Any, str]] = [
    (("scan", "msi"), "vectors", np.zeros(2, np.int8), "Buffer dtype mismatch"),
    (("scan", "msi"), "vectors", np.zeros(4, np.uint8)[::2], "not C-contiguous"),
    (("bitset", "coded"), "codes", np.zeros(4, np.uint8)[::2], "not C-contiguous"),
    (ALL, "rung", np.zeros((1, 2), np.uint64), "wrong number of dimensions"),
    (ALL, "rung", np.zeros(2), "Buffer dtype mismatch"),
    (("scan", "msi", "bitset"), "rung", np.zeros(3, np.uint64), "rung: 3 words: allowed 2"),
    (("coded",), "rung", RUNG, "rung: 2 words: allowed 64"),
    (("scan", "msi"), "masks", np.ones(65, np.uint64), "masks: 65 words: allowed 64"),
    (("bitset", "coded"), "called", np.ones(63, np.uint64), "masks: 63 words: allowed 64"),
    (("bitset",), "code_vectors", np.zeros(65, np.uint8), "code_vectors: 65: allowed 64 or less"),
    (("bitset", "coded"), "scanned", RUNG, "scanned: 2 words: allowed 64"),
    (("msi",), "masks", np.zeros(64, np.uint64), r"qp_masks\[0\]: 0x0: allowed one bit"),
    (ALL, "drain", 0, "drain: 0: allowed 1"),
    (ALL, "counters", np.zeros(453, np.uint64), "counters: 453 words: allowed 451"),
    (ALL, "counters", np.zeros(451, np.int64), "Buffer dtype mismatch"),
    (ALL, "counters", read_only(), "read-only"),
]


@pytest.mark.parametrize(
    ("entry", "name", "value", "told"),
    [(entry, *bad) for entries, *bad in ENTRIES_BAD for entry in entries],
)
def test_compiled_kernels_check_their_buffers(entry: str, name: str, value: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call(entry, **{name: value})


@pytest.mark.parametrize("entry", ALL)
@pytest.mark.parametrize("word", [-1, 1 << 64])
def test_compiled_kernels_refuse_words_beyond_64_bits(entry: str, word: int) -> None:
    words = [name for name, value in ENTRIES[entry][1].items() if value is ONE]
    assert {"active", "drain"} <= set(words)
    for name in words:
        with pytest.raises(OverflowError):
            call(entry, **{name: word})


@pytest.mark.parametrize("kernel", ["scan", "bitset"])
@pytest.mark.parametrize("coded", [False, True])
def test_a_stream_changed_behind_the_engine_touches_no_foreign_memory(kernel, coded) -> None:
    # Counts are then wrong, as documented; the sanitizers of the checked build watch the rest.
    stream = np.zeros(1000, np.uint8)
    how = {"codes": stream} if coded else {"vectors": stream, "rung": np.ones(1000, np.uint64)}
    prepared = prepare(kernel, **how)
    stream[:] = 255
    prepared.run()
    assert len(prepared.counts().vector_interrupts) == 2
