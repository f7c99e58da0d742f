# SPDX-License-Identifier: BSD-3-Clause
"""The terminal's report: 80 columns of ASCII whatever the names and numbers, and the story."""

import re

import report_records
from hypothesis import given
from hypothesis import strategies as st
from report_records import ok, result, timing, unavailable

from ntbbench.dispatch.records import Caution, SweepResult
from ntbbench.dispatch.scenario import Scenario
from ntbbench.dispatch.sweep import run_sweep
from ntbbench.ntb.devices.catalogue import hardware_names
from ntbbench.ntb.netdev import create_queues
from ntbbench.ntb.transport import qp_count
from ntbbench.report import text


def lines_of(found: SweepResult) -> list[str]:
    shown = text.render(found)
    assert shown.endswith("\n")
    lines = shown.removesuffix("\n").split("\n")
    for line in lines:
        assert len(line) <= 80, line
        assert line.isascii()
        assert line.isprintable()
        assert line == line.rstrip()
    return lines


def block(lines: list[str], title: str) -> list[str]:
    """Return the lines from the one that starts with `title` to the next empty one."""
    start = next(at for at, line in enumerate(lines) if line.startswith(title))
    end = next((at for at in range(start, len(lines)) if not lines[at]), len(lines))
    return lines[start:end]


def test_the_story_at_a_glance() -> None:
    summary = "\n".join(block(lines_of(report_records.story()), "Summary"))
    rows = re.findall(r"^(\S+)\n  fallback +(.*)\n  per-vector +(.*)$", summary, re.MULTILINE)
    found = {hardware: (before.split()[:4], after.split()[:4]) for hardware, before, after in rows}
    assert found == {
        "ntb_hw_epf-legacy": (["8", "16", "16", "8.00"], ["8", "16", "16", "8.00"]),
        "ntb_hw_epf-v4": (["8", "16", "16", "8.00"], ["8", "16", "16", "1.00"]),
        "pci-epf-vntb-legacy": (["8", "16", "16", "8.00"], ["8", "16", "16", "8.00"]),
        "pci-epf-vntb-v4": (["8", "16", "16", "8.00"], ["8", "16", "16", "1.00"]),
        "generic": (["8", "16", "16", "8.00"], ["8", "16", "16", "1.00"]),
    }
    assert "87.5%  22.5 (22.0-23.1)" in summary


def test_amplification_over_queues() -> None:
    table = block(lines_of(report_records.story()), "Wakeup amplification")
    start = table.index("ntb_hw_epf-v4")
    assert [line.split() for line in table[start + 1 : start + 7]] == [
        ["fallback", "4", "4", "1.00", "2.00", "-", "-"],
        ["8", "8", "1.00", "2.00", "4.00", "-"],
        ["16", "16", "1.00", "2.00", "4.00", "8.00"],
        ["per-vector", "4", "4", "1.00", "1.00", "-", "-"],
        ["8", "8", "1.00", "1.00", "1.00", "-"],
        ["16", "16", "1.00", "1.00", "1.00", "1.00"],
    ]
    assert table[2].split() == ["dispatch", "door-", "vec-", "Q=1", "Q=2", "Q=4", "Q=8"]
    assert len({len(line) for line in table[start + 1 : start + 7]}) == 1  # aligned


def test_cost_with_its_interval() -> None:
    table = block(lines_of(result([ok(ns=timing(23.14)), ok(queues=8, ns=timing(0.5))])), "Cost")
    assert "ns a dispatch" in table[0]
    assert table[-1].endswith("23.1 +-3%  0.50 +-3%")


def test_an_interval_beyond_the_median_is_told_in_medians() -> None:
    wild = timing(10.0)
    wild = type(wild)(median=10.0, low=9.0, high=42.0, samples=wild.samples)
    table = block(lines_of(result([ok(ns=wild)])), "Cost")
    assert table[-1].endswith("10.0 +-3x")
    assert "+-3x: three medians away" in " ".join(table[1:3])


def test_counts_only_have_no_cost() -> None:
    lines = lines_of(report_records.story(timed=False))
    assert not any(line.startswith("Cost") for line in lines)
    assert "counts only, not timed" in " ".join(lines[:3])


def test_reasons_are_told_once_with_what_was_asked_and_created() -> None:
    shown = block(lines_of(report_records.story()), "Unavailable")
    assert shown[1] == "  ENOSPC: Q queues requested, 3 possible: db_valid_mask"
    whole = " ".join(" ".join(shown).split())
    assert (
        "ntb_hw_epf-legacy, ntb_hw_epf-v4, pci-epf-vntb-legacy, pci-epf-vntb-v4, generic: "
        "fallback, per-vector; doorbells/vectors 4/4; queues asked 4,8, created 1" in whole
    )
    assert whole.count("ENOSPC") == 2


def test_the_models_own_reasons_are_merged() -> None:
    qps = qp_count(0xF, mw_count=None, spad_count=None, use_msi=False, max_num_clients=0)
    points = [
        unavailable(queues=asked, reason=create_queues(asked, qps).error) for asked in (4, 8, 65)
    ]
    assert all(point.reason.startswith("ENOSPC: ") for point in points)
    shown = " ".join(" ".join(block(lines_of(result(points)), "Unavailable")).split())
    assert "queues asked 4,8, created 1" in shown
    assert "ENOSPC: Q queues requested, 3 possible" in shown


def test_merging_keeps_every_unavailable_point() -> None:
    points = [
        unavailable("a", "fallback", 4, 4, reason="r"),
        unavailable("a", "fallback", 4, 8, reason="r"),
        unavailable("a", "fallback", 8, 8, reason="r"),
        unavailable("a", "msi", 8, 8, reason="r"),
        unavailable("b", "msi", 8, 8, reason="r"),
    ]
    shown = block(lines_of(result(points)), "Unavailable")
    assert shown[1:] == [
        "  r",
        "    a: fallback; doorbells/vectors 4/4; queues asked 4,8, created 1",
        "    a: fallback, msi; doorbells/vectors 8/8; queues asked 8, created 1",
        "    b: msi; doorbells/vectors 8/8; queues asked 8, created 1",
    ]


def test_lost_doorbells_are_told_loudly() -> None:
    assert "Missed doorbells: 0, misrouted: 0" in lines_of(report_records.story())
    lines = lines_of(result([ok(missed=5, misrouted=2), ok(queues=8)]))
    found = block(lines, "MISSED")
    assert len(found) == 2
    assert "queues 4: missed 5, misrouted 2" in found[1]


def test_an_interrupted_sweep_says_how_to_go_on() -> None:
    lines = lines_of(result([ok()], complete=False))
    assert "ntbbench sweep --resume" in " ".join(lines[:4])


def test_warnings_of_one_kind_are_grouped() -> None:
    cautions = [Caution(code="c", message=f"m{n}", remedy="do it", point=0) for n in range(9)]
    cautions.append(Caution(code="whole", message="everywhere", remedy="nothing"))
    cautions.append(Caution(code="stale", message="no such point", remedy="nothing", point=99))
    shown = block(lines_of(result([ok()], warnings=cautions)), "Warnings")
    assert shown == [
        "Warnings",
        "  c: do it",
        "    generic, fallback, doorbells 16, vectors 16, queues 4: m0",
        "    generic, fallback, doorbells 16, vectors 16, queues 4: m1",
        "    generic, fallback, doorbells 16, vectors 16, queues 4: m2",
        "    and 6 more, in the JSON",
        "  whole: nothing",
        "    everywhere",
        "  stale: nothing",
        "    no such point",
    ]


def test_environment_in_a_few_lines() -> None:
    assert block(lines_of(report_records.story()), "Environment") == [
        "Environment",
        "  cpu: model Some CPU @ 2.0 GHz; flags 40 entries, in the JSON",
        "  kernel: Linux 6.12.0",
        "  governor: none",
        "  compiler: name gcc 12.2.0; flags -O2, -Wall",
    ]


def test_circumstances_that_differ_are_in_the_title() -> None:
    points = [ok(workload=w, drain=d) for w in ("uniform", "zipf:s=1.1") for d in (1, 8)]
    lines = lines_of(result([*points, ok("ntb_hw_amd")]))
    table = block(lines, "Wakeup amplification")
    assert "generic, workload zipf:s=1.1, drain 8" in table
    assert "ntb_hw_amd" in table


def test_equal_points_are_all_shown() -> None:
    table = block(lines_of(result([ok("ntb_hw_idt")] * 3)), "Wakeup amplification")
    assert sum(line.endswith("4.00") for line in table) == 3


def test_many_queue_counts_take_several_tables() -> None:
    points = [ok(queues=q, doorbells=64, ns=timing(123.4)) for q in range(1, 33)]
    lines = lines_of(result([*points, unavailable(doorbells=8, queues=32)]))
    shown = " ".join(lines)
    assert all(f"Q={count} " in f"{shown} " for count in range(1, 33))
    assert sum(line.startswith("Wakeup amplification, continued") for line in lines) == 3


def test_hostile_names_fit_and_hide_nothing() -> None:
    shown = "\n".join(lines_of(report_records.hostile()))
    assert "\\x1b[31mred\\x1b[0m\\x07" in shown
    assert "two\\nlines\\r\\nand\\ttab" in shown
    assert "\\u202eright" in shown


names = st.text(min_size=1, max_size=120)


@given(names, names, st.integers(0, 10**12), st.floats(1e-3, 1e6), st.integers(1, 64))
def test_any_name_and_number_fits(
    hardware: str, reason: str, interrupts: int, median: float, queues: int
) -> None:
    lines_of(
        result(
            [
                ok(hardware, queues=queues, ns=timing(median), interrupts=interrupts),
                ok(hardware, reason[:20], queues=64, doorbells=64, ns=timing(median)),
                unavailable(hardware, reason=reason),
            ],
            environment={reason: {hardware: [reason]}},
        )
    )


def test_a_real_sweep_of_every_device_fits() -> None:
    scenario = Scenario(
        hardware=list(hardware_names()),
        queues=[1, 2, 15, 64],
        doorbells=[16],
        dispatch=["fallback", "per-vector", "msi"],
        workload=["zipf", "burst"],
        interrupts=200,
        repeats=0,
        drain=4,
    )
    found = run_sweep(scenario)
    lines = lines_of(found)
    asked = {point.hardware for point in found.points}
    assert asked == set(hardware_names())
    shown = " ".join(lines)
    assert all(name in shown for name in asked)
    assert "ENOSPC: Q queues requested" in shown
