# SPDX-License-Identifier: BSD-3-Clause
"""Which patches explain what was observed of a driver, and which observation none explains."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_recordings import DATA, load, observations
from pair_strategies import subsets

from ntbbench.lab.pair.boot.left import Behaviour, DriverSource
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.observed_patches import Question, behaviour_words, explain, read_observations
from ntbbench.lab.pair.plan import PairSetup
from ntbbench.lab.pair.points import evaluate, observed
from ntbbench.pair.drivers.patches import Driver, Side, driver, number_ranges, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.observations import (
    FILLED,
    LOOKS_UP,
    PROBED,
    expected_observations,
    expected_operations,
    expected_probe,
    normalised,
)

SLOTS = {"ep": 8, "rc": 16}
FILLED_SLOTS = frozenset(range(8))
WHOLE = {"ep": tuple(range(1, 8)), "rc": tuple(range(8, 13))}
WINDOWS = (2, 1 << 20)
SILENT = {"ep": 1, "rc": 8}  # patches that only document
KNOWN = {
    "ep": [set(range(1, count + 1)) for count in range(8)],
    "rc": [*(set(range(8, 8 + count)) for count in range(6)), {9, 10, 11}],
}


def seen_of(side: Side, patches: frozenset[int]) -> dict[str, str]:
    """Return what would be observed of a driver with these patches."""
    own = driver(side, patches)
    return dict(expected_observations(own, SLOTS[side], Doorbell.POLL, FILLED_SLOTS))


def judged(
    side: Side, seen: dict[str, str], wanted: tuple[int, ...] | None = None, hint: str = ""
) -> Behaviour:
    """Return what `seen` is explained by; `hint`: patches that the text shows, by blanks."""
    return explain(
        Question(
            side=side,
            seen=seen,
            slots=SLOTS[side],
            doorbell=Doorbell.POLL,
            filled=FILLED_SLOTS,
            wanted=None if wanted is None else frozenset(wanted),
            said_by=f"--{side}-patches says",
            hint=frozenset(map(int, hint.split())),
            mw_count=WINDOWS[0],
            window_size=WINDOWS[1],
        )
    )


def probed(side: Side, patches: frozenset[int]) -> dict[str, str]:
    """Return `seen_of` and all that the API probe adds."""
    asked = (driver(side, patches), SLOTS[side], Doorbell.POLL, FILLED_SLOTS)
    operations = expected_operations(side, WINDOWS[0], WINDOWS[1])
    return {**seen_of(side, patches), **expected_probe(*asked), **operations}


@given(side=st.sampled_from(["ep", "rc"]), data=st.data())
def test_any_answer_of_the_probe_that_is_another_is_a_finding(side: Side, data) -> None:
    seen = probed(side, frozenset(WHOLE[side]))
    assert judged(side, seen).findings == ()
    key = data.draw(st.sampled_from(sorted(seen.keys() - seen_of(side, frozenset()).keys())))
    if key != PROBED:
        (told,) = judged(side, {**seen, key: seen[key] + "1"}).findings
        assert told.startswith("no known behaviour fits: ") and f"{key}: {seen[key]}1" in told


# --- recorded on the real code ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("boot", "doorbell", "patches"),
    [
        ("before-before", "poll", {"ep": (), "rc": ()}),
        ("after-after", "poll", WHOLE),
        ("6.12.118", "poll", {"ep": (), "rc": (8, 9, 10, 11)}),
        ("msi", "msi", WHOLE),
        ("embedded", "embedded", WHOLE),
        ("probed-before", "poll", {"ep": (), "rc": ()}),
        ("probed-after", "poll", WHOLE),
        ("probed-msi", "msi", WHOLE),
        ("probed-embedded", "embedded", WHOLE),
    ],
)
@pytest.mark.parametrize("side", ["ep", "rc"])
def test_the_drivers_were_seen_to_do_what_the_model_says(boot, doorbell, patches, side) -> None:
    setup = PairSetup(doorbell=doorbell)
    source = DriverSource(side, "some/file.c", "", Path(), ())
    found = observed_driver(source, setup, observations(boot))
    assert found.behaviour is not None
    assert (found.patches, found.behaviour.findings) == (patches[side], ())
    assert found.behaviour.inferred and found.behaviour.alike == 1  # with the documenting patch
    lacking = {LOOKS_UP: "yes"} if boot.endswith("before") and side == "rc" else {LOOKS_UP: "no"}
    assert observations(boot)["rc"].items() >= ({} if side == "ep" else lacking).items()


@pytest.mark.parametrize(("spec", "boot"), [("before", "after-after"), ("after", "before-before")])
@pytest.mark.parametrize("side", ["ep", "rc"])
def test_a_named_driver_that_behaves_as_another_is_a_finding(side, spec, boot) -> None:
    source = DriverSource(side, spec, "", Path(), WHOLE[side] if spec == "after" else ())
    found = observed_driver(source, PairSetup(), observations(boot))
    assert found.patches == source.patches  # the model stays with what the name says
    (told,) = found.findings
    assert told.startswith(f"{side.upper()} driver: behaves as ")
    assert f"which `{spec}` is" in told


# --- inference -------------------------------------------------------------------------------


@given(side=st.sampled_from(["ep", "rc"]), data=st.data())
def test_every_subset_is_found_again_and_only_known_ones_pass(side: Side, data) -> None:
    patches = data.draw(subsets(side))
    found = judged(side, seen_of(side, patches))
    silent = {SILENT[side]}
    assert set(found.patches) - silent == patches - silent
    known = [known - silent for known in KNOWN[side]]
    assert bool(found.findings) == (patches - silent not in known)
    if found.findings:
        assert found.findings[0].startswith("behaves as ")
        assert "no released kernel has that, and no prefix of patches" in found.findings[0]


@pytest.mark.parametrize(
    ("side", "patches", "words"),
    [
        ("ep", {1, 2, 4, 5, 6, 7}, "behaves as the series without patch 3: no released kernel"),
        ("ep", {7}, "behaves as patch 7: no released kernel"),
        ("rc", {8, 9, 11, 12}, "behaves as the series without patch 10: no released kernel"),
        ("rc", {12}, "behaves as patch 12: no released kernel"),
    ],
)
def test_orders_that_break_the_pair_are_told_in_those_words(side, patches, words) -> None:
    (told,) = judged(side, seen_of(side, frozenset(patches))).findings
    assert told.startswith(words)


def test_the_text_chooses_between_sets_that_behave_alike() -> None:
    seen = seen_of("rc", frozenset({9, 10, 11}))
    assert judged("rc", seen).patches == (8, 9, 10, 11)
    assert judged("rc", seen, hint="9 10 11").patches == (9, 10, 11)
    assert judged("rc", seen, hint="9 10 11").words == "patches 9-11 (as Linux 6.1.192, 6.12.117)"
    for hint in ("12", "8 9 10 11 12", "9"):  # it makes nothing fit that was not seen
        assert judged("rc", seen, hint=hint).patches == (8, 9, 10, 11)


@given(side=st.sampled_from(["ep", "rc"]), data=st.data())
def test_what_the_user_says_is_held_against_what_was_seen(side: Side, data) -> None:
    real, said = data.draw(subsets(side)), data.draw(subsets(side))
    found = judged(side, seen_of(side, real), wanted=tuple(said))
    silent = {SILENT[side]}
    assert bool(found.findings) == (real - silent != said - silent)
    assert set(found.patches) == said  # the model follows what was said
    if found.findings:
        told = f"not as {behaviour_words(side, said)}, which --{side}-patches says: "
        assert told in found.findings[0]


@pytest.mark.parametrize("side", ["ep", "rc"])
def test_an_observation_that_no_patches_have_is_named(side: Side) -> None:
    """Whatever is changed in what the drivers of 7.3 show, is told by its name and both values."""
    right = dict(observations("after-after")[side])
    for key, value in right.items():
        if key in (LOOKS_UP, "takes db_count 2", "takes db_count after the bind"):
            continue
        found = judged(side, {**right, key: "0xabc"})
        assert set(found.patches) == set(WHOLE[side])
        assert found.findings == (
            f"no known behaviour fits: {key}: 0xabc instead of {value or 'none'}",
        )


def test_many_differences_are_told_by_their_number() -> None:
    right = observations("after-after")["ep"]
    wrong = {key: "0x7" if key.startswith("db_vector_mask") else v for key, v in right.items()}
    (told,) = judged("ep", wrong).findings
    assert told.count(" instead of ") == 3 and told.endswith("; 30 more")


def test_an_observation_that_is_missing_fits_nothing() -> None:
    seen = dict(observations("after-after")["rc"])
    del seen["slot 3, vectors"]
    assert "slot 3, vectors: none instead of 1" in judged("rc", seen).findings[0]


def test_several_events_of_one_interrupt_have_no_order() -> None:
    told = {"slot 2, vectors": "1 0", "slot 2, db_read in the events": "0x2 0x3"}
    other = {"slot 2, vectors": "0 1", "slot 2, db_read in the events": "0x1 0x3"}
    assert normalised(told) == normalised(other) != told
    one = {"slot 2, vectors": "0", "slot 2, db_read in the events": "0x1"}
    assert normalised(one) == one


# --- what was not observed, or only in part ----------------------------------------------------


def test_an_endpoint_that_did_not_bind_is_explained_by_its_configfs() -> None:
    setup = PairSetup(ep_slots=2)
    for answer, patches in (("no", WHOLE["ep"]), ("yes", ())):
        source = DriverSource("ep", "file.c", "", Path(), ())
        found = observed_driver(source, setup, {"ep": {"takes db_count 2": answer}})
        assert (found.patches, found.findings) == (patches, ())


def test_a_db_count_of_0_that_binds_tells_a_missing_check() -> None:
    own = Driver("ep", frozenset(), frozenset())
    seen = expected_observations(own, 0, Doorbell.POLL, frozenset())
    source = DriverSource("ep", "file.c", "", Path(), ())
    found = observed_driver(source, PairSetup(ep_slots=0), {"ep": seen})
    assert found.behaviour is not None
    assert (found.patches, found.findings, found.behaviour.prerequisites) == ((), (), frozenset())


def test_a_driver_that_was_not_observed_keeps_its_hint() -> None:
    source = DriverSource("rc", "file.c", "", Path(), (9, 10))
    assert observed_driver(source, PairSetup(), observations("msi") | {"rc": {}}) == source


def test_several_cpus_tell_no_slots_of_the_root_complex() -> None:
    """Another CPU may poll before the observer looks."""
    seen = observations("after-after")
    seen["rc"]["peer_db_set(0x1), slots"] = ""
    source = DriverSource("rc", "file.c", "", Path(), ())
    assert observed_driver(source, PairSetup(), seen).findings
    assert not observed_driver(source, PairSetup(cpus=2), seen).findings


def test_a_slot_that_the_endpoint_does_not_fill_is_its_own_fault() -> None:
    seen = observations("after-after")
    seen["ep"][FILLED] = "0 1 2 3 4 5 6"
    seen["rc"]["peer_db_set(0x20), slots"] = ""
    ep, rc = (
        observed_driver(DriverSource(side, "file.c", "", Path(), ()), PairSetup(), seen)
        for side in ("ep", "rc")
    )
    assert rc.findings == ()
    assert "slots filled: 0 1 2 3 4 5 6 instead of 0 1 2 3 4 5 6 7" in ep.findings[0]


@pytest.mark.parametrize("line", ["ep", "xx a=b", "ep db_valid_mask", ""])
def test_a_line_that_is_no_observation_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}$"):
        read_observations([line])


# --- points --------------------------------------------------------------------------------------


def test_a_finding_makes_every_point_disagree_and_is_in_the_result() -> None:
    recordings = load(DATA / "after-after")
    seen = observations("after-after")
    seen["ep"]["db_vector_mask(2)"] = "0x0"
    ep = observed_driver(replace(recordings.ep, spec="my.c"), recordings.plan.setup, seen)
    rc = observed_driver(recordings.rc, recordings.plan.setup, seen)
    wrong = replace(recordings, ep=ep, rc=rc)
    for point in evaluate(wrong):
        assert point.agrees is False
        assert point.notes[0] == (
            "EP driver: no known behaviour fits: db_vector_mask(2): 0x0 instead of 0x4"
        )
        assert point.rc_behaves == "patches 8-12 (all)"
        assert point.ep_behaves == "none known; nearest is patches 1-7 (all)"
    of_ep, of_rc = observed(wrong)
    assert (of_ep.side, of_ep.driver, len(of_ep.findings)) == ("ep", "my.c", 1)
    assert of_rc.observations["db_valid_mask"] == "0x3fff" and of_rc.findings == []


@pytest.mark.parametrize("inferred", [False, True])
def test_lost_doorbells_of_an_unnamed_driver_are_a_finding(inferred: bool) -> None:
    """The model says of `before` with 3 slots that it loses some; that excuses no other driver."""
    recordings = load(DATA / "before-after-slots-3")
    own = Behaviour((), frozenset(), "no patch of the series", inferred=inferred)
    (lost,) = (
        point
        for point in evaluate(replace(recordings, ep=replace(recordings.ep, behaviour=own)))
        if point.verdict == "missed"
    )
    assert lost.agrees is not inferred
    told = "the doorbells are missed: no set of patches makes that right"
    assert (told in lost.notes) is inferred


# --- words ---------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 99)))
def test_ranges_name_each_number_once(numbers: set[int]) -> None:
    found: list[int] = []
    for part in filter(None, number_ranges(numbers).split(",")):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    assert found == sorted(numbers)


@pytest.mark.parametrize("side", ["ep", "rc"])
def test_words_tell_every_set_from_the_others(side: Side) -> None:
    numbers = side_patches(side)
    sets = [
        frozenset(n for i, n in enumerate(numbers) if chosen >> i & 1)
        for chosen in range(1 << len(numbers))
    ]
    assert len({behaviour_words(side, patches) for patches in sets}) == len(sets)
