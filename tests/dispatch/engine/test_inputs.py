# SPDX-License-Identifier: BSD-3-Clause
"""A kernel called with anything wrong says what, with what value, and what is allowed."""

from typing import Any

import numpy as np
import pytest

from ntbbench.core.errors import InputError
from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import _bitset, _histogram, _msi, _scan, _softirq
from ntbbench.dispatch.engine.counts import Counters

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
    ("rung", np.array([1], np.uint64), "rung: 1: one word an interrupt"),
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


def test_unknown_kernel_lists_the_names() -> None:
    with pytest.raises(InputError, match=r"kernel: 'simd': one of reference, scan, bitset"):
        prepare("simd")


def test_histogram_needs_a_stream_without_order() -> None:
    with pytest.raises(InputError, match=r"drain: 2: 1 for kernel 'histogram'"):
        prepare("histogram", drain=2)
    with pytest.raises(InputError, match=r"rung: '0x2': only bits that vector 0 schedules"):
        prepare("histogram", rung=np.array([3, 2], np.uint64))
    prepare("histogram", rung=np.array([3, 2], np.uint64), active=1).run()


def test_histogram_takes_64_different_interrupts() -> None:
    rung = np.arange(65, dtype=np.uint64)
    stream = {"vectors": np.zeros(65, np.uint8), "masks": np.array([127], np.uint64)}
    with pytest.raises(InputError, match=r"65 different pairs.*at most 64 for kernel 'histogram'"):
        prepare("histogram", rung=rung, qp_bitmap=127, active=127, **stream)
    rung[64] = 63
    prepare("histogram", rung=rung, qp_bitmap=127, active=127, **stream).run()


@pytest.mark.parametrize("mask", [0, 3, 1 << 63 | 1])
def test_msi_needs_one_qp_a_vector(mask: int) -> None:
    with pytest.raises(InputError, match=r"masks\[1\]: '0x[0-9a-f]+': one bit"):
        prepare("msi", masks=np.array([1, mask], np.uint64))


# The compiled entries, called past the engine's checks.

U64_MASKS = np.ones(64, np.uint64)


def compiled(changed: dict[int, Any], run: Any = _scan.run) -> None:
    arguments = [
        np.zeros(2, np.uint8), np.zeros(2, np.uint64), U64_MASKS, 1, 0, 1, 1, Counters().block,
    ]  # fmt: skip
    for position, value in changed.items():
        arguments[position] = value
    run(*arguments)


def read_only() -> np.ndarray:
    block = Counters().block
    block.flags.writeable = False
    return block


COMPILED_BAD = [
    (0, np.zeros(2, np.int8), "Buffer dtype mismatch"),
    (0, np.zeros(4, np.uint8)[::2], "not C-contiguous"),
    (0, np.zeros(3, np.uint8), "rung: 2 words for 3 vectors"),
    (1, np.zeros((1, 2), np.uint64), "wrong number of dimensions"),
    (1, np.zeros(2), "Buffer dtype mismatch"),
    (2, np.ones(65, np.uint64), "db_vector_masks: 65 masks: allowed 64"),
    (6, 0, "drain: 0: allowed 1"),
    (7, np.zeros(453, np.uint64), "counters: 453 words: allowed 454"),
    (7, np.zeros(454, np.int64), "Buffer dtype mismatch"),
    (7, read_only(), "read-only"),
    (7, np.arange(454, dtype=np.uint64), r"counters\[2\]: 2 interrupts: allowed below drain"),
]


@pytest.mark.parametrize("run", [_scan.run, _bitset.run])
@pytest.mark.parametrize(("position", "value", "told"), COMPILED_BAD)
def test_compiled_kernels_check_their_buffers(
    run: Any, position: int, value: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        compiled({position: value}, run)


@pytest.mark.parametrize("run", [_scan.run, _bitset.run])
@pytest.mark.parametrize("position", [3, 4, 5, 6])
@pytest.mark.parametrize("word", [-1, 1 << 64])
def test_compiled_kernels_refuse_words_beyond_64_bits(run: Any, position: int, word: int) -> None:
    with pytest.raises(OverflowError):
        compiled({position: word}, run)


def test_compiled_msi_and_histogram_check_their_tables() -> None:
    stream, rung = np.zeros(2, np.uint8), np.zeros(64, np.uint64)
    with pytest.raises(ValueError, match=r"qp_masks\[0\]: 0x0: allowed one bit"):
        _msi.run(stream, np.zeros(2, np.uint64), rung, 1, 1, Counters().block)
    vectors = np.zeros(64, np.uint8)
    with pytest.raises(ValueError, match="code_vectors, code_rung: 63, 64 codes: allowed as many"):
        _histogram.run(stream, vectors[1:], rung, U64_MASKS, 1, 0, 1, Counters().block)
    with pytest.raises(ValueError, match=r"code_vectors\[0\]: 64: allowed 0 .. 63"):
        _histogram.run(stream, vectors + np.uint8(64), rung, U64_MASKS, 1, 0, 1, Counters().block)
    with pytest.raises(ValueError, match=r"code_rung\[0\]: 0x2: allowed bits of its vector"):
        _histogram.run(stream, vectors, rung + np.uint64(2), U64_MASKS, 3, 0, 3, Counters().block)
    block = Counters().block
    block[1] = 4
    with pytest.raises(ValueError, match=r"counters\[0:2\]: 0, 4: allowed 0, 0"):
        _histogram.run(stream, vectors, rung, U64_MASKS, 1, 0, 1, block)
    with pytest.raises(ValueError, match="counters: 3 words"):
        _softirq.run(np.zeros(3, np.uint64))


@pytest.mark.parametrize("kernel", ["scan", "bitset", "histogram"])
def test_a_stream_changed_behind_the_engine_touches_no_foreign_memory(kernel: str) -> None:
    # Counts are then wrong, as documented; the sanitizers of the checked build watch the rest.
    vectors = np.zeros(1000, np.uint8)
    prepared = prepare(kernel, vectors=vectors, rung=np.ones(1000, np.uint64))
    vectors[:] = 255
    prepared.run()
    assert prepared.counts().vector_interrupts.shape == (2,)
