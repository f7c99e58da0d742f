# SPDX-License-Identifier: BSD-3-Clause
"""The closed list of warnings of a comparison, each with its remedy."""

import re

from ntbbench.compare.records import Warned

FEW = 5  # below it a 95 % interval of a median does not exist: 1 - 2 / 2^5 is 94 %
ONE_PROCESS = "one-process"
NO_DIRECTION = "no-direction"
NOT_READ = "not-read"
UNSTABLE = 0.10  # interquartile range over median

# code: (message, remedy)
CAUTIONS: dict[str, tuple[str, str]] = {
    "too-few-samples": (f"fewer than {FEW} samples on a side", f"take at least {FEW} runs of each"),
    "cannot-reach-alpha": (
        "with so few samples no difference, however large, is significant",
        "take more runs, compare fewer metrics at a time, or try --test mann-whitney",
    ),
    "outliers": (
        "samples lie outside Tukey's outer fences, wider for few samples; they are kept",
        "look for what else ran; pin the CPU and its frequency",
    ),
    "bimodal": (
        "the samples form two separate groups",
        "find the second state (frequency, placement, SMT sibling) and fix it",
    ),
    "drifting": (
        "the samples rise or fall with time",
        "warm up longer; interleave base and candidate and use --paired",
    ),
    "unstable": (
        f"the interquartile range exceeds {UNSTABLE:.0%} of the median",
        "quiet the machine; use longer runs",
    ),
    "unequal-spread": (
        "one side varies far more than the other; the rank test then answers to more than a shift "
        "and gives false alarms more often than alpha says",
        "find out why one side is noisier; look at the distributions; try --test welch",
    ),
    "zero-variance": (
        "all samples of a side are equal",
        "check that the clock is fine enough; if this is a count, treat it as exact",
    ),
    "zero-values": (
        "a sample is zero, so a ratio to it is undefined",
        "measure longer, or in a finer unit",
    ),
    "incomplete-pairs": (
        "rows without a number on both sides make no pair and were left out",
        "fill the rows, or compare without --paired",
    ),
    "undefined-samples": (
        "some runs have no value of this metric, for they counted nothing; the others are compared",
        "run longer, or find out why nothing was counted",
    ),
    ONE_PROCESS: (
        "all samples come from one process or one connection, so what differs between processes "
        "is not in the interval",
        "repeat in fresh processes, a file each in a folder; see `ntbbench calibrate`",
    ),
    "dependent-samples": (
        "the samples are not independent; the test and the interval allow for it",
        "run fresh processes of both sides in turn: `ntbbench ab`",
    ),
    "averaged-by-process": (
        "the values of one process are not independent: each process counts as one sample",
        "none needed",
    ),
    "repeated-document": (
        "a document of iperf3 is there more than once; it is one run and counts once",
        "give each run once",
    ),
    "contradicting-totals": (
        "a total at the end of a run contradicts its intervals",
        "find out which is wrong: was the file edited, or put together? measure again",
    ),
    "impossible-loss": (
        "a loss below 0 or above 100 % is no loss; it is not compared, and the throughput is",
        "look at the counts of both ends: which is wrong?",
    ),
    "duplicate-keys": (
        "a key is there twice in one object, with different values",
        "find out which is right, or measure again with a newer iperf3",
    ),
    "missing": (
        "the metric exists on one side only",
        "run the missing benchmark, or take it out of the baseline on purpose",
    ),
    "unfinished": (
        "a result is not complete: the run was interrupted, or its guest died",
        "finish it (`--resume`), or mend what killed the guest",
    ),
    NOT_READ: (
        "a metric has no usable number on a side; the rest of its file is read",
        "look at the benchmark: it failed, divided by zero, or was saved without its samples",
    ),
    NO_DIRECTION: (
        "less is taken for better of what looks like a rate, which `gate` refuses; say the "
        'direction by --higher-is-better, --lower-is-better, or better = "higher" in a policy',
        "say which way is better",
    ),
    "fewer-packets": (
        "fewer packets arrived, and less of this for fewer packets is no improvement",
        "find out where they are lost; what they cost can be compared where all arrive",
    ),
    "more-packets": (
        "more packets arrived, and more of this for more packets, but not for each, is no harm",
        "compare with a base in which all packets arrive",
    ),
    "forced": (
        "the two sides come from environments that differ, and --force compared them all the same",
        "measure both sides on the same machine with the same build",
    ),
    "small-difference": (
        "significant, yet smaller than the threshold",
        "lower the threshold if so small a change matters",
    ),
}

# Of these the remedy is about the machine, which has no part in what was simulated.
OF_THE_MACHINE = ("outliers", "bimodal", "drifting", "unstable")
MORE_REPLICATIONS = "simulate more replications"
RUNS = re.compile(r"\bruns\b")  # as the list has them of benchmarks


# How to run one benchmark in several processes, by the format of its results. A side that is a
# folder has one sample a file.
GATHER = {
    "pytest-benchmark": "for i in 1 2 3 4 5; do pytest --benchmark-json=after/$i.json; done",
    "pyperf": "for i in 1 2 3 4 5; do python bench.py -o after/$i.json; done",
    "iperf3": "for i in 1 2 3 4 5; do iperf3 -c HOST -J > after/$i.json; done",
    "Google Benchmark": "for i in 1 2 3 4 5; do ./bench --benchmark_out=after/$i.json; done",
    "go test": "for i in 1 2 3 4 5; do go test -bench . > after/$i.txt; done",
    "criterion": "for i in 1 2 3 4 5; do cargo criterion --message-format=json > after/$i.json; "
    "done",
    "JMH": "java -jar benchmarks.jar -f 5 -rf json -rff after/1.json",
    "ntbbench.sweep/1": "for i in 1 2 3 4 5; do ntbbench sweep -o after/$i.json; done",
}


def gather_more(source: str) -> str:
    """Return the commands that give each side several processes, for results of `source`."""
    run = GATHER.get(source, "run each side in at least 5 processes, a file each in a folder")
    return f"mkdir before after; {run}; the same for before/; ntbbench gate before after"


def replications(text: str) -> str:
    """Return a text on runs as one on the replications of a simulation."""
    return RUNS.sub("replications", text)


def warned(code: str, detail: str = "", *, simulated: bool = False, remedy: str = "") -> Warned:
    """Return the warning `code`, with what is particular to this case.

    A caution of a series may hold that itself, behind `: `.
    """
    code, _, told = code.partition(": ")
    detail = detail or told
    message, usual = CAUTIONS[code]
    remedy = remedy or usual
    message = f"{message}: {detail}" if detail else message
    if simulated and code in OF_THE_MACHINE:
        remedy = MORE_REPLICATIONS
    if simulated:
        message, remedy = replications(message), replications(remedy)
    return Warned(code=code, message=message, remedy=remedy)
