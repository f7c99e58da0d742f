# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ab` that nothing was run for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ntbbench.ab.records import AbCommand, AbMetric, AbResult, AbRun, NoiseSource
from ntbbench.ab.schedule import AbPlan, turns
from ntbbench.compare.policy import Policy
from ntbbench.core.options import changed, shown

QUIET = (
    ("governor", "performance", ""),
    ("turbo", "on", "turn it off: its frequency depends on the heat"),
    ("ASLR", "on", ""),
)


def ab_result(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
    *,
    metrics: Sequence[AbMetric] = (AbMetric(name="wall", unit="s", better="lower"),),
    plan: dict[str, Any] | None = None,
    command: str = "./bench",
    policy: Policy | None = None,
    **changes: Any,
) -> AbResult:
    """Return a result whose blocks have the values of `pairs`: (base, candidate), one a metric."""
    asked = changed("", AbPlan(seed=5), plan or {})
    runs = [
        AbRun(
            block=turn.block,
            side=turn.side,
            place=turn.place,
            started=float(2 * block + turn.place - 3),
            environment_bytes=turn.environment_bytes,
            values=list(map(float, base if turn.side == "base" else candidate)),
        )
        for block, (base, candidate) in enumerate(pairs, start=1)
        for turn in turns(asked.seed or 0, block)
    ]
    usual: dict[str, Any] = {
        "ntbbench_version": "0.2.0",
        "base": AbCommand(command=f"{command} old"),
        "candidate": AbCommand(command=f"{command} new"),
        "asked": [],
        "counter": "",
        "plan": shown(asked),
        "policy": shown(policy or Policy(test="sequential")),
        "environment": {"cpu": {"model": "Example 1"}},
        "noise": [NoiseSource(name=n, value=v, advice=a) for n, v, a in QUIET],
        "stopped": "decided" if runs else "",
        "seconds": float(len(runs)),
        "metrics": list(metrics) if runs else [],
        "runs": runs,
    }
    return AbResult(**{**usual, **changes})


def drawn(
    blocks: int, *factors: float, noise: float = 0.005, seed: int = 1
) -> list[tuple[list[float], list[float]]]:
    """Return pairs of times around a second, of metrics whose candidates have these factors."""
    rng = np.random.default_rng(seed)
    size = (blocks, 2, len(factors))
    times = np.round(np.exp(rng.normal(0, noise, size)), 6)
    times[:, 1] *= factors
    return [(base.tolist(), candidate.tolist()) for base, candidate in times]
