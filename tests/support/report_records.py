# SPDX-License-Identifier: BSD-3-Clause
"""Records for the report tests: small sweeps with known numbers, and hostile names."""

from msgspec import UNSET, UnsetType

from ntbbench.dispatch.records import Caution, OkPoint, Point, SweepResult, Timing, UnavailablePoint

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>",
    "\x1b[31mred\x1b[0m\x07",
    "a|b`c`*d*_e_\\",
    "comma, \"quote\" 'single'",
    "two\nlines\r\nand\ttab",
    "=cmd|' /C calc'!A0",
    "<b>bold</b> &amp; %{x} <extra>extra</extra>",
    "\u202eright to left\u2028\x85é ü 中",
    "x" * 200,
    "@user #12 [link](http://example.org) www.example.org",
)

ENVIRONMENT = {
    "cpu": {"model": "Some CPU @ 2.0 GHz", "flags": ["sse", "avx2"] * 20},
    "kernel": "Linux 6.12.0",
    "governor": None,
    "compiler": {"name": "gcc 12.2.0", "flags": ["-O2", "-Wall"]},
}


def timing(median: float) -> Timing:
    samples = [median * (1 + 0.01 * step) for step in (-2, -1, 0, 1, 3)]
    return Timing(median=median, low=samples[0], high=samples[-1], samples=samples)


def axes(hardware: str, dispatch: str, doorbells: int, queues: int, **changes: object) -> dict:
    found = {"hardware": hardware, "dispatch": dispatch, "workload": "round-robin"}
    found |= {"queues": queues, "queues_requested": queues, "qp_count": doorbells - 1}
    found |= {"doorbells": doorbells, "vectors": doorbells, "drain": 1, "seed": 1}
    found |= {"db_valid_mask": hex((1 << doorbells) - 1), "mw_count": None, "max_num_clients": 0}
    return found | changes


def ok(
    hardware: str = "generic",
    dispatch: str = "fallback",
    doorbells: int = 16,
    queues: int = 4,
    fan_out: int | None = None,
    ns: Timing | UnsetType = UNSET,
    **changes: object,
) -> OkPoint:
    """A point of 1000 interrupts, each of which schedules `fan_out` QPs (default: all queues)."""
    fan = queues if fan_out is None else fan_out
    each = [1000 * fan // queues] * queues
    counts = {
        **dict.fromkeys(("interrupts", "rings", "useful_wakeups", "race_check_runs"), 1000),
        **dict.fromkeys(("scan_iterations", "schedule_calls", "wakeups"), 1000 * fan),
        **dict.fromkeys(("merged", "missed", "misrouted"), 0),
        "spurious_wakeups": 1000 * (fan - 1),
        **{f"{kind}amplification": float(fan) for kind in ("", "effective_", "expected_")},
        "spurious_ratio": (fan - 1) / fan,
        **dict.fromkeys(("qp_schedule_calls", "qp_wakeups"), each),
        "qp_spurious_wakeups": [1000 * (fan - 1) // queues] * queues,
        "qp_useful_wakeups": [1000 // queues] * queues,
        "vector_interrupts": [1000],
        **{key: [1000 * fan] for key in ("vector_schedule_calls", "vector_wakeups")},
        "ns_per_dispatch": ns,
    }
    return OkPoint(**{**axes(hardware, dispatch, doorbells, queues), **counts, **changes})


def unavailable(
    hardware: str = "generic",
    dispatch: str = "fallback",
    doorbells: int = 4,
    queues: int = 8,
    reason: str | None = None,
    **changes: object,
) -> UnavailablePoint:
    text = f"ENOSPC: {queues} queues requested, {doorbells - 1} possible: db_valid_mask"
    fields = {**axes(hardware, dispatch, doorbells, queues), "queues": 1, **changes}
    return UnavailablePoint(**fields, reason=text if reason is None else reason)


def result(points: list[Point], **changes: object) -> SweepResult:
    fields = {"environment": ENVIRONMENT, "scenario": {"queues": [1, 2]}, "points": points}
    return SweepResult(**{**fields, **changes})


def story(timed: bool = True) -> SweepResult:
    """The default sweep's shape: legacy amplifies in both modes, v4 under per-vector does not."""
    points: list[Point] = []
    for hardware, spoilt in (
        ("ntb_hw_epf-legacy", True),
        ("ntb_hw_epf-v4", False),
        ("pci-epf-vntb-legacy", True),
        ("pci-epf-vntb-v4", False),
        ("generic", False),
    ):
        for dispatch in ("fallback", "per-vector"):
            for doorbells in (4, 8, 16):
                for queues in (1, 2, 4, 8):
                    if queues >= doorbells:
                        points.append(unavailable(hardware, dispatch, doorbells, queues))
                        continue
                    fan = queues if spoilt or dispatch == "fallback" else 1
                    cost = timing(3.1 + 2.4 * fan + 0.01 * doorbells) if timed else UNSET
                    points.append(ok(hardware, dispatch, doorbells, queues, fan, cost))
    cautions = [
        Caution(
            code="unstable",
            message=f"the interval is {30 + n} % of the median",
            remedy="close other programs, or raise --repeats",
            point=n,
        )
        for n in (0, 1, 5, 8, 9)
    ]
    few = Caution(code="few-repeats", message="5 repeats", remedy="raise --repeats")
    return result(points, warnings=[few, *cautions])


def hostile() -> SweepResult:
    """Every hostile string as hardware name, dispatch, workload, reason, warning, environment."""
    points: list[Point] = []
    for text in HOSTILE:
        points.append(ok(text, queues=2, ns=timing(123.4), workload=text))
        points.append(ok(text, "per-vector", queues=64, fan_out=1, ns=timing(999.5), workload=text))
        points.append(ok(text, text, queues=3, workload=text))
        points.append(unavailable(text, text, queues=32, reason=text, workload=text))
    cautions = [Caution(code=t, message=t, remedy=t, point=0) for t in HOSTILE]
    environment = {text: {text: text, "list": [text]} for text in HOSTILE}
    return result(points, warnings=cautions, environment=environment, complete=False)
