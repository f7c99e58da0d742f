# SPDX-License-Identifier: BSD-3-Clause
"""Devices that a user describes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.core.options import kinds, shown
from ntbbench.ntb.custom import Device, build_device, device_of, parse_devices
from ntbbench.ntb.device import Hardware


def built(text: str) -> Hardware:
    ((name, device),) = parse_devices([text]).items()
    return build_device(name, device)


@pytest.mark.parametrize(
    ("text", "masks"),
    [
        ("a:doorbells=16,vectors=4,shift=5", [0x1F, 0x3E0, 0x7C00, 0x8000]),
        ("a:doorbells=15,vectors=4,shift=5", [0x1F, 0x3E0, 0x7C00, 0]),
        ("a:doorbells=4", [1, 2, 4, 8]),
        ("a:doorbells=5,vectors=2", [0x7, 0x18]),
        ("a:doorbells=5,shift=2", [0x3, 0xC, 0x10]),
        ("a:masks=0x1f/0x3e0", [0x1F, 0x3E0]),
        ("a:masks=5/10/0", [5, 10, 0]),
        ("a:doorbells=64,vectors=1", [2**64 - 1]),
        ("a:doorbells=64,shift=40", [2**40 - 1, 2**64 - 2**40]),
    ],
)
def test_maps(text: str, masks: list[int]) -> None:
    hardware = built(text)
    assert list(hardware.vector_map.db_vector_masks) == masks
    assert hardware.vector_map.irq_masks == hardware.vector_map.db_vector_masks
    assert hardware.vector_map.db_valid_mask == sum(masks)
    assert (hardware.name, hardware.sized, hardware.vectors) == ("a", "fixed", len(masks))
    assert hardware.doorbells == sum(masks).bit_count()


def test_limits() -> None:
    text = "b.x-1:doorbells=8,mw_count=3,spad_count=16,link_mask=0x100,db_read=zero"
    hardware = built(text)
    assert (hardware.mw_count, hardware.spad_count) == (3, 16)
    assert (hardware.link_mask, hardware.db_read) == (0x100, "zero")
    hardware = build_device("c", Device(doorbells=8))
    assert (hardware.mw_count, hardware.spad_count, hardware.link_mask) == (None, None, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "device: 'a': NAME:key=value"),
        ("a:", "NAME:key=value"),
        (":doorbells=4", "device: '': a name of letters"),
        ("1a:doorbells=4", "a name of letters"),
        ("a\x1b[31m:dorbells=4", r"'a\\x1b\[31m': a name of letters"),
        ("generic:doorbells=4", "a name that no preset has"),
        ("a:dorbells=4", r"did you mean doorbells\?"),
        ("a:doorbells=0", "device a: doorbells: '0': a whole number from 1 to 64"),
        ("a:doorbells=65", "65"),
        ("a:vectors=4", "doorbells .with vectors and shift. or masks"),
        ("a:doorbells=16,vectors=3,shift=5", "vectors x shift of at least 16"),
        ("a:doorbells=4,masks=1/2", "masks alone"),
        ("a:masks=1/3", "device a: masks: '0x3': vector 1 overlaps"),
        ("a:masks=0", "at least one doorbell bit"),
        ("a:masks=0x10000000000000000", "a whole number from 0 to 18446744073709551615"),
        ("a:masks=1//2", "device a: masks: ''"),
        ("a:masks=" + "/".join(["0"] * 64 + ["1"]), "65: 1 to 64 masks"),
        ("a:doorbells=4,link_mask=8", "link_mask: '0x8': bits outside the doorbells"),
        ("a:doorbells=4,db_read=legacy", "db_read: 'legacy': unknown; known: latched, zero"),
        ("a:doorbells=4,mw_count=-1", "mw_count: '-1'"),
        ("a:doorbells=4,doorbells=5", "given twice"),
    ],
)
def test_bad_devices(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_devices([text])
    assert "\x1b" not in str(caught.value)


def test_a_name_is_given_once() -> None:
    with pytest.raises(InputError, match="--device: 'a': each device once"):
        parse_devices(["a:doorbells=4", "b:doorbells=4", "a:doorbells=5"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "doorbells"),
        (3, "^device a: 3: a table of keys"),
        ({"doorbells": -3}, "doorbells: -3"),
        ({"doorbells": True}, "doorbells: True"),
        ({"doorbells": 4, "shift": 0}, "shift: 0"),
        ({"doorbells": 4, "vectors": 65}, "vectors: 65"),
        ({"masks": []}, "masks: 0: 1 to 64 masks"),
        ({"masks": 3}, "masks: 3: 1 to 64 masks"),
        ({"masks": [-1]}, "masks: -1"),
        ({"masks": [1.5]}, "masks: 1.5"),
        ({"masks": [2**64]}, "masks: 18446744073709551616"),
        ({"masks": ["x"]}, "masks: 'x'"),
        ({"doorbells": 4, "mw_count": -1}, "mw_count: -1"),
        ({"doorbells": 4, "spad_count": 5000}, "spad_count: 5000"),
        ({"doorbells": 4, "db_read": "legacy"}, "known: latched, zero"),
    ],
)
def test_bad_tables(table: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        device_of("a", table)


VALUES = st.sampled_from(["1", "4", "64", "0x1f/0x3e0", "0", "zero", "65", "", "-"])
SETTINGS = st.lists(
    st.builds("{}={}".format, st.sampled_from([*kinds(Device)]), VALUES), max_size=4
)


@given(st.builds("a:{}".format, SETTINGS.map(",".join)) | st.text(max_size=20))
def test_a_device_or_an_input_error(text: str) -> None:
    try:
        ((name, device),) = parse_devices([text]).items()
    except InputError:
        return
    hardware = build_device(name, device)
    valid = hardware.vector_map.db_valid_mask
    assert 0 < valid < 2**64
    assert not hardware.link_mask & valid
    # The device goes through the JSON of a result and back.
    table = {key: value for key, value in shown(device).items() if value is not None}
    assert device_of(name, msgspec.json.decode(msgspec.json.encode(table))) == device
