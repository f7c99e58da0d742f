# SPDX-License-Identifier: BSD-3-Clause
"""The drivers of a boot with what was observed of each: of either side, or of two hosts."""

from collections.abc import Mapping
from dataclasses import replace

from ntbbench.lab.pair.boot.left import HOST1, HOST2, SOC, Behaviour, DriverSource
from ntbbench.lab.pair.observed_patches import NO_FIT, Question, differences, explain
from ntbbench.lab.pair.plan import EP, RC, AnySetup, HostSetup, named_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.joint_answers import RINGS_SLOT, expected_joint
from ntbbench.pair.observations import FILLED, Observations

# Whose answers a driver's are, where they are not its side's.
PLACES = {HOST1: EP, HOST2: RC, SOC: SOC}


def observed_driver(
    source: DriverSource, setup: AnySetup, observed: Mapping[str, Observations]
) -> DriverSource:
    """Return the driver with the patches that explain the observations of its side, if any.

    `observed`: the observations of either side; of two hosts ep is the first and rc the second.
    """
    seen = observed.get(PLACES.get(source.place, source.side))
    if not seen:
        return source
    if source.place == SOC:
        behaviour = explain_joint(seen, setup)
        return replace(source, behaviour=behaviour)
    question = question_of(source, setup, seen, observed)
    behaviour = explain(question)
    return replace(source, patches=behaviour.patches, behaviour=behaviour)


def question_of(
    source: DriverSource,
    setup: AnySetup,
    seen: Observations,
    observed: Mapping[str, Observations],
) -> Question:
    """Return what is asked of a driver with an NTB device: `seen` was observed of it."""
    if isinstance(setup, HostSetup):
        return hosts_question(source, setup, seen, observed.get(SOC, {}))
    given = setup.ep_patches if source.side == EP else setup.rc_patches
    wanted = named_patches(source.side, source.spec) if given is None else given
    return Question(
        side=source.side,
        seen=seen,
        slots=setup.slots_of(source.side),
        doorbell=setup.doorbell,
        # one word rings all slots of an embedded doorbell; another CPU may poll before the observer
        filled=None
        if setup.doorbell == Doorbell.EMBEDDED or setup.cpus > 1
        else frozenset(map(int, observed.get(EP, {}).get(FILLED, "").split())),
        wanted=None if wanted is None else frozenset(wanted),
        said_by=f"`{source.spec}` is" if given is None else f"--{source.side}-patches says",
        hint=frozenset(source.patches),
        mw_count=setup.mw_count,
        window_size=setup.window_size,
    )


def hosts_question(
    source: DriverSource, setup: HostSetup, seen: Observations, joint: Observations
) -> Question:
    """Return what is asked of a host's driver: where its rings come out is `joint`'s to answer."""
    expected = expected_joint(setup.ep_slots, setup.mw_count, setup.window_size)
    rings = [key for key in expected if RINGS_SLOT in key]
    leads = all(joint.get(key) == expected[key] for key in rings)
    wanted = named_patches(source.side, source.spec)
    return Question(
        side=source.side,
        seen=seen,
        slots=setup.offered,
        doorbell=Doorbell.MSI,
        filled=frozenset(range(setup.offered)) if leads else None,
        wanted=None if wanted is None else frozenset(wanted),
        said_by=f"`{source.spec}` is",
        hint=frozenset(source.patches),
        mw_count=setup.mw_count,
        window_size=setup.window_size,
        mw1_offset=setup.mw1_offset,
    )


def explain_joint(seen: Observations, setup: AnySetup) -> Behaviour:
    """Return whether pci-epf-ntb answers as that of Linux 7.3, and what it answers else."""
    expected = expected_joint(setup.ep_slots, setup.mw_count, setup.window_size)
    differing = [key for key, value in expected.items() if seen.get(key) != value]
    findings = [f"{NO_FIT}{differences(seen, expected, differing)}"] if differing else []
    words = "none known" if differing else "that of Linux 7.3"
    return Behaviour((), frozenset(), words, tuple(findings), inferred=False, observations=seen)
