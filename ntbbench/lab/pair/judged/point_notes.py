# SPDX-License-Identifier: BSD-3-Clause
"""What a reader of one point should know beside its counts: no verdict depends on it."""

from collections.abc import Iterator

from ntbbench.lab.pair.judged.predict import Prediction
from ntbbench.lab.pair.plan import Traffic
from ntbbench.lab.pair.recording.point_files import RecordedPoint


def cautions(
    recorded: RecordedPoint, predicted: Prediction, traffic: Traffic, expected: int
) -> Iterator[str]:
    """Yield what a reader should know; `expected`: QPs that the model has."""
    if predicted.exact and predicted.bounds is not None:
        yield (
            "a poll found more than one doorbell: whether ksoftirqd preempts it between two "
            "callbacks is the scheduler's choice, so the runs are only bounded"
        )
    open_qps = len(recorded.active(traffic.receiver))
    if open_qps != expected:
        yield f"ntb_netdev runs {open_qps} of {expected} QPs"
    asked = traffic.flows * traffic.packets
    if recorded.sent < asked:
        yield f"{recorded.sent} of {asked} packets sent: the sender's queue stayed stopped"
    yield from _uneven(recorded)
    if recorded.trace.backward:
        yield f"{recorded.trace.backward} doorbells the other way"
    for name, count in recorded.counted.rx_errors.items():
        if count:
            yield f"{name}: {count}"
    yield from recorded.counted.doubts


def _uneven(recorded: RecordedPoint) -> Iterator[str]:
    """Yield where packets, doorbells and arrivals are not one for one."""
    sent, rings = recorded.sent, recorded.trace.rings
    if rings < sent:
        yield (
            f"{sent - rings} of {sent} packets sent rang no doorbell: they did not come to the "
            "transport's ring, the sender's queue stayed stopped"
        )
    if rings > sent:
        yield f"doorbells more than packets sent: {rings - sent}"
    if recorded.received > sent:
        yield (
            f"packets received more than sent: {recorded.received - sent}, of those that gave the "
            "flows their QPs: their doorbells were lost, and they were still in the ring"
        )
