# SPDX-License-Identifier: BSD-3-Clause
"""The warnings of a result, those that share a remedy told together."""

from dataclasses import dataclass

from ntbbench.dispatch.records import Caution, SweepResult


@dataclass(frozen=True)
class CautionGroup:
    """Warnings of one code and one remedy; `messages` say what and where, in order."""

    code: str
    remedy: str
    messages: tuple[str, ...]

    def head(self, count: int) -> list[str]:
        """Return the first `count` messages, and how many more there are."""
        rest = len(self.messages) - count
        more = [f"and {rest} more, in the JSON"] if rest > 0 else []
        return [*self.messages[:count], *more]


def cautions_of(result: SweepResult) -> list[CautionGroup]:
    """Return the warnings of `result`, grouped, in the order of the first of each group."""
    found: dict[tuple[str, str], list[str]] = {}
    for caution in result.warnings:
        messages = found.setdefault((caution.code, caution.remedy), [])
        messages.append(_message(result, caution))
    return [CautionGroup(*key, tuple(messages)) for key, messages in found.items()]


def _message(result: SweepResult, caution: Caution) -> str:
    """Return the message, after the point that it speaks of."""
    if caution.point is None or not 0 <= caution.point < len(result.points):
        return caution.message
    point = result.points[caution.point]
    return (
        f"{point.hardware}, {point.dispatch}, doorbells {point.doorbells}, "
        f"vectors {point.vectors}, queues {point.queues_requested}: {caution.message}"
    )
