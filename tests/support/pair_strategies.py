# SPDX-License-Identifier: BSD-3-Clause
"""Hypothesis strategies for the driver pair, and the devices that its tests put together."""

from hypothesis import strategies as st

from ntbbench.pair.drivers.patches import Driver, Side, driver, prefix, root_fix, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.setting import Setting

EP_PATCHES = side_patches("ep")
RC_PATCHES = side_patches("rc")


def subsets(side: Side) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.sampled_from(side_patches(side)))


def drivers(side: Side) -> st.SearchStrategy[Driver]:
    """Any subset of a side's patches, or the root fix."""
    return st.one_of(subsets(side).map(lambda s: driver(side, s)), st.just(root_fix(side)))


def settings() -> st.SearchStrategy[Setting]:
    return st.builds(
        Setting,
        ep_slots=st.one_of(st.sampled_from([3, 4, 31, 32]), st.integers(3, 32)),
        rc_vectors=st.one_of(st.sampled_from([4, 5, 31, 32]), st.integers(4, 32)),
        mw_count=st.integers(1, 4),
        doorbell=st.sampled_from(list(Doorbell)),
    )


def whole(side: Side) -> Driver:
    return prefix(side, len(side_patches(side)))


def unpatched(side: Side) -> Driver:
    return prefix(side, 0)
