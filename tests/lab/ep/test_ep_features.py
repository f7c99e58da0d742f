# SPDX-License-Identifier: BSD-3-Clause
"""Features of an endpoint controller: read, refused in one line, and given to the module."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.lab.ep.ep_features import (
    PLAIN,
    BarSizes,
    Controllers,
    EpFeatures,
    module_parameters,
    parse_features,
    shown_features,
    shown_sizes,
)


def test_features_of_the_issue_are_read() -> None:
    found = parse_features("align=64K,reserved=1,3,msix=no")
    assert found == EpFeatures(align=65536, reserved=(1, 3), msix=0)
    assert parse_features("plain") == PLAIN


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("algn=4K", "--features: 'algn': unknown; did you mean align?"),
        ("msix", "--features: 'msix': plain, or NAME=VALUE,...: align, unaligned,"),
        ("", "--features: '': plain, or NAME=VALUE"),
        ("align=3K", "--features align: '3K': a power of two from 4K to 1M"),
        ("align=2M", "--features align: '2M': a power of two from 4K to 1M"),
        ("align=", "--features align: '': a power of two from 4K to 1M"),
        ("msix=5000", "--features msix: '5000': 1 to 2048, yes, no"),
        ("msi=-1", "--features msi: '-1': 1 to 32, yes, no"),
        ("intx=maybe", "--features intx: 'maybe': yes, no"),
        ("doorbell=mis", "--features doorbell: 'mis': unknown; did you mean msi?"),
        ("reserved=9", "--features reserved: '9': BARs from 0 to 5 such as 1,3, or none"),
        ("64bit=5", "--features 64bit: '5': BARs from 0 to 4 such as 1,3, or none"),
        ("fixed=2:3", "--features fixed: '2:3': BAR:SIZE,... each BAR once"),
        ("fixed=2:4K,2:8K", "--features fixed: '2:4K,2:8K': BAR:SIZE,... each BAR once"),
        ("windows=17", "--features windows: '17': a whole number from 1 to 16"),
        ("msi=no,msi=3", "--features: 'msi=no,msi=3': msi once"),
        ("window=4K,align=8K", "window=4K at least as large as align"),
        ("windows=16,window=16M", "windows of 64M together"),
        ("reserved=1,disabled=1", "a BAR reserved or disabled, once"),
        ("64bit=0,1", "no BAR of its own after one of 64 bits"),
        ("64bit=0,fixed=1:4K", "no BAR of its own after one of 64 bits"),
        ("reserved=2,fixed=2:4K", "a BAR that is there to be fixed or of 64 bits"),
        ("disabled=0,1,2,3,4,5", "a BAR for the test's registers"),
    ],
)
def test_what_is_no_feature_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        parse_features(text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


sizes = st.integers(12, 20).map(lambda n: 1 << n)
bars = st.sets(st.integers(0, 5), max_size=2).map(lambda found: tuple(sorted(found)))


@given(
    st.builds(
        EpFeatures,
        align=sizes,
        unaligned=st.booleans(),
        reserved=bars,
        msi=st.integers(0, 32),
        msix=st.integers(0, 2048),
        intx=st.booleans(),
        doorbell=st.sampled_from(("no", "msi", "embedded")),
        dynamic=st.booleans(),
        linkup=st.booleans(),
        windows=st.integers(1, 16),
    )
)
def test_what_is_shown_is_read_back(features: EpFeatures) -> None:
    text = ",".join(f"{name}={value}" for name, value in shown_features(features).items())
    assert parse_features(text) == features


def test_the_module_gets_every_feature() -> None:
    words = "reserved=1,3,64bit=4,fixed=2:64K,align=8K,unaligned=no,msi=no,msix=7,doorbell=no"
    given_words = dict(word.split("=") for word in module_parameters(parse_features(words)).split())
    assert given_words == {
        "translates": "1",
        "doorbell": "poll",
        "reserved_bars": "10",
        "disabled_bars": "0",
        "only_64bit_bars": "16",
        "fixed_bars": "0,0,65536,0,0,0",
        "align": "8192",
        "unaligned": "0",
        "msi": "0",
        "msix": "7",
        "intx": "1",
        "dynamic": "1",
        "linkup": "0",
        "windows": "8",
        "window": "1048576",
    }


def test_a_controller_is_booted_once() -> None:
    kind = Controllers("of a controller")
    assert kind.parse("--features", ["plain", "msi=4"]) == ("plain", "msi=4")
    with pytest.raises(InputError, match="every controller once"):
        kind.parse("--features", ["msi=4", "msi=4"])


def test_sizes_of_bars_are_shown_as_they_are_read() -> None:
    found = BarSizes().parse("--bar-sizes", "2:64K,4:8M")
    assert found == (0, 0, 65536, 0, 8 << 20, 0)
    assert shown_sizes(found) == "2:64K,4:8M"
    assert shown_sizes((0,) * 6) == "none"
