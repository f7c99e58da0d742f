# SPDX-License-Identifier: BSD-3-Clause
"""ntb_transport's QP count, ntb_netdev's queues, and the vector map."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.ntb.transport import create_queues, qp_count, queue_bits
from ntbbench.ntb.vectormap import VectorMap, bits_of

U64 = st.integers(0, 2**64 - 1)
COUNTS = st.none() | st.integers(0, 80)


@pytest.mark.parametrize(
    ("mask", "mw_count", "spad_count", "use_msi", "clients", "expected", "limit"),
    [
        (0xFFFF, None, None, False, 0, 15, "ilog2(db_valid_mask 0xffff) = 15"),
        (0xFFFF, None, None, True, 0, 14, "= 15, 1 of them for use_msi"),
        (0x7FFF, 2, 16, False, 0, 2, "2 memory windows (mw_count 2)"),
        (0x7FFF, 1, 16, False, 0, 1, "1 memory window (mw_count 1)"),
        (0x7FFF, 2, 16, True, 0, 1, "1 memory window (mw_count 2, the last one kept for MSI)"),
        # 8 scratchpads: (8 - 4) / 2 windows, whatever the device has.
        (0x7FFF, 3, 8, False, 0, 2, "2 memory windows (8 scratchpads hold the sizes of 2)"),
        (0x7FFF, 3, 7, False, 0, 1, "7 scratchpads hold the sizes of 1"),
        (0x7FFF, 3, 6, False, 0, 1, "6 scratchpads hold the sizes of 1"),
        (0x7FFF, 3, 5, False, 0, 0, "does not bind (EINVAL): 5 scratchpads, at least 6 needed"),
        (0x7FFF, 0, 16, False, 0, 0, "0 memory windows (mw_count 0)"),
        # max_num_clients below ilog2: the windows are not looked at.
        (0x7FFF, 2, 16, False, 8, 8, "max_num_clients = 8"),
        (0x7FFF, 2, 16, False, 13, 13, "max_num_clients = 13"),
        # Not smaller than ilog2: it does not apply, the windows do.
        (0x7FFF, 2, 16, False, 14, 2, "2 memory windows"),
        (0x7FFF, 2, 16, False, 100, 2, "2 memory windows"),
        # use_msi needs a second window; without one nothing is taken.
        (0xFF, 1, 16, True, 4, 4, "max_num_clients = 4"),
        (0xFF, 1, None, True, 0, 1, "1 memory window (mw_count 1)"),
        (0x1, None, None, False, 0, 0, "ilog2(db_valid_mask 0x1) = 0"),
        (0x3, None, None, True, 0, 0, "ilog2(db_valid_mask 0x3) = 1, 1 of them for use_msi"),
        # ilog2(0) is -1, and the unsigned count wraps: QPs, but none in qp_bitmap.
        (0, 3, 8, False, 0, 0, "db_valid_mask is 0"),
        (0, 3, 8, False, 2, 0, "db_valid_mask is 0"),
        (0, None, None, False, 0, 0, "db_valid_mask is 0"),
        (0x1, None, None, True, 0, 0, "ilog2(db_valid_mask 0x1) = 0"),
        (2**64 - 1, None, None, False, 0, 63, "= 63"),
    ],
)
def test_qp_count(mask, mw_count, spad_count, use_msi, clients, expected, limit) -> None:
    qps = qp_count(
        mask, mw_count=mw_count, spad_count=spad_count, use_msi=use_msi, max_num_clients=clients
    )
    assert qps.qp_count == expected
    assert qps.qp_bitmap == 2**expected - 1
    assert limit in qps.limit


@given(U64, COUNTS, COUNTS, st.booleans(), st.integers(0, 70))
def test_qp_count_never_exceeds_a_limit(mask, mw_count, spad_count, use_msi, clients) -> None:
    qps = qp_count(
        mask, mw_count=mw_count, spad_count=spad_count, use_msi=use_msi, max_num_clients=clients
    )
    assert qps.qp_count == qps.qp_bitmap.bit_count()
    assert qps.qp_bitmap & ~mask == 0
    assert qps.limit
    if mask.bit_length() > 1 + use_msi:
        # The top bit is never a QP's; below it, one of the limits decides.
        assert qps.qp_bitmap.bit_length() < mask.bit_length()
        if not clients and mw_count is not None:
            assert qps.qp_count <= mw_count
    if spad_count is not None and spad_count < 6:
        assert qps.qp_count == 0
    if use_msi and mw_count is not None and mw_count <= 1:
        assert not qps.use_msi


@pytest.mark.parametrize(
    ("mw_count", "spad_count", "fitting"),
    [(2, 16, 5), (3, 8, 0), (4, 128, 59), (2, 17, 5), (64, 16, 0)],
)
def test_qps_with_an_msi_descriptor(mw_count: int, spad_count: int, fitting: int) -> None:
    qps = qp_count(
        0x7FFF, mw_count=mw_count, spad_count=spad_count, use_msi=True, max_num_clients=0
    )
    assert qps.msi_qp_count == fitting


@pytest.mark.parametrize(
    ("mask", "mw_count", "requested", "created", "said"),
    [
        *((0xFF, 4, requested, requested, None) for requested in (1, 4)),
        (0xFF, 4, 5, 1, "ENOSPC: 5 queues requested, 4 possible: 4 memory windows (mw_count 4)"),
        (1, None, 1, 0, "ENOSPC: 1 queue requested, 0 possible: doorbell bits"),
        (2**64 - 1, None, 32, 32, None),
        # A QP is found with a 32-bit ffs(); ethtool itself refuses more than 64.
        (
            2**64 - 1,
            None,
            33,
            1,
            "ENOSPC: 33 queues requested, 32 possible: a QP is found with a 32",
        ),
        (2**64 - 1, None, 65, 1, "; ethtool refuses more than 64 with EINVAL"),
    ],
)
def test_queues_that_exist(mask, mw_count, requested, created, said) -> None:
    qps = qp_count(mask, mw_count=mw_count, spad_count=None, use_msi=False, max_num_clients=0)
    queues = create_queues(requested, qps)
    assert (queues.created, queues.error is None) == (created, said is None)
    assert said is None or said in queues.error
    assert ("EINVAL" in (queues.error or "")) == (requested > 64)


def test_queues_take_the_lowest_bits_of_a_mask_with_holes() -> None:
    qps = qp_count(0x2D, mw_count=None, spad_count=None, use_msi=False, max_num_clients=0)
    assert queue_bits(qps.qp_bitmap) == [0, 2, 3]
    assert queue_bits(0xF_0000_000F) == [0, 1, 2, 3]


def test_msi_takes_no_window_where_there_is_none() -> None:
    found = qp_count(0xFF, mw_count=0, spad_count=16, use_msi=True, max_num_clients=0)
    assert (found.use_msi, found.qp_count) == (False, 0)


@pytest.mark.parametrize(("clients", "code"), [("4294967295", 0), ("4294967296", 2)])
def test_max_num_clients_is_a_word_of_32_bits(clients: str, code: int) -> None:
    assert main(["hardware", "ntb_hw_amd", "--max-num-clients", clients]) == code


@given(st.lists(st.integers(0, 63), unique=True, max_size=64), st.integers(1, 64))
def test_every_bit_finds_its_interrupt(bits: list[int], sources: int) -> None:
    masks = [sum(1 << bit for bit in bits[source::sources]) for source in range(sources)]
    valid = sum(1 << bit for bit in bits)
    vector_map = VectorMap(valid, tuple(masks), sources, tuple(masks))
    for bit in range(64):
        source = vector_map.irq_of_bit[bit]
        assert (source >= 0) == (bit in bits)
        assert source < 0 or masks[source] >> bit & 1
    fallback = vector_map.as_fallback()
    assert fallback.db_vector_masks == (valid,) * sources
    assert (fallback.irq_masks, fallback.db_vector_count) == (tuple(masks), 1)


@given(st.integers(0, 2**64 - 1))
def test_bits_of(mask: int) -> None:
    bits = bits_of(mask)
    assert bits == sorted(set(bits))
    assert sum(1 << bit for bit in bits) == mask


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2**64, (2**64 - 1,), 1, (0,)), "db_valid_mask: 18446744073709551616"),
        ((-1, (0,), 1, (0,)), "db_valid_mask: -1"),
        ((0, (2**64,), 1, (0,)), r"irq_masks\[0\]"),
        ((0, (0,), 1, (-1,)), r"db_vector_masks\[0\]: -1"),
        ((1, (1,), 1, ()), "db_vector_masks: 0: one mask per interrupt source .1."),
        ((0, (0,) * 65, 65, (0,) * 65), "at most 64"),
        ((3, (1, 3), 2, (1, 3)), r"irq_masks\[1\]: '0x3': a bit belongs to one"),
        ((3, (1,), 1, (1,)), "irq_masks: '0x2': a valid bit needs an interrupt"),
    ],
)
def test_refuses(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        VectorMap(*arguments)


@pytest.mark.parametrize(
    ("db_valid_mask", "count", "masks"), [(1, 2, (1, 1)), (2**64 + 1, 1, (1,))]
)
def test_masks_beyond_the_sources_or_the_word(db_valid_mask: int, count: int, masks) -> None:
    with pytest.raises(InputError):
        VectorMap(db_valid_mask, (1,), count, masks)
