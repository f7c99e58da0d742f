# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a series: a field is a key of the JSON."""

from typing import Annotated, Any

from msgspec import Struct

from ntbbench.core.fields import axis, fact
from ntbbench.core.fields import verdict as conclusion
from ntbbench.lab.pair.records import PairFinding, PairObserved, PairPoint

SERIES_SCHEMA = "ntbbench.series/1"


class SeriesPoint(PairPoint, frozen=True, kw_only=True):
    """One direction of a commit's drivers with a peer; the drivers are named by their parts in it.

    `ep_driver` and `rc_driver` are `new` (of the commit), `base`, or a peer as it was asked for.
    """

    commit: Annotated[int, axis("commit", "its number in the series; 0: the base")]
    subject: Annotated[str, axis("subject", "of the commit")]
    boot: Annotated[str, fact("boot", "what ran, as a digest: equal ones were booted once")] = ""


class SeriesCommit(Struct, frozen=True, kw_only=True):
    """What became of one commit; number 0 is the base."""

    number: Annotated[int, axis("commit", "its number in the series; 0: the base")]
    subject: Annotated[str, axis("subject", "of the commit")]
    commit: Annotated[str, fact("id", "of the commit, or of the mail")] = ""
    files: Annotated[list[str], fact("files", "of the lab's that it changes")] = []
    left_out: Annotated[list[str], fact("left out", "files that it changes and nothing here runs")]
    kernel: Annotated[str, fact("kernel", "the commit whose tree it is; empty: as asked for")] = ""
    applies: Annotated[bool, conclusion("applies", "to what the commits before it left")]
    builds: Annotated[bool | None, conclusion("builds", "every module of it")] = None
    works: Annotated[
        bool | None,
        conclusion("works", "links and loses nothing, with its own drivers on both sides"),
    ] = None
    peers: Annotated[
        bool | None, conclusion("peers", "works with each peer that the base works with")
    ] = None
    api: Annotated[
        bool | None,
        conclusion("API", "its two drivers answer the API probe as patches of the pair"),
    ] = None
    agrees: Annotated[bool | None, conclusion("model", "the model agrees in every point")] = None
    findings: Annotated[list[str], fact("findings", "what is wrong")] = []
    changes: Annotated[list[str], fact("changes", "against the commit before")] = []
    check_boot: Annotated[str, fact("check", "what the debug kernel ran; empty: nothing")] = ""
    checked: Annotated[
        list[PairFinding], fact("check findings", "what the debug kernel complained of")
    ] = []
    observed: list[PairObserved] = []  # what its own drivers answered, each with the other


class SeriesResult(Struct, frozen=True, kw_only=True):
    """A series, commit by commit."""

    schema: str = SERIES_SCHEMA
    scenario: dict[str, Any] = {}  # what was asked, for --resume
    kernel: Annotated[str, fact("kernel", "uname -r of the guest")]
    kernel_source: Annotated[str, fact("asked for", "debian:7.3")]
    accelerator: Annotated[str, fact("accelerator", "tcg or kvm")]
    deterministic: Annotated[bool, fact("deterministic", "two runs count the same")]
    base: Annotated[str, fact("base", "what the series stands on")]
    # its NTB core, transport and network device run; else those of the kernel
    whole: Annotated[bool, fact("NTB stack of the base", "no: the kernel's own")]
    environment: dict[str, str] = {}
    complete: Annotated[bool, conclusion("complete", "no: interrupted")] = True
    bisectable: Annotated[
        bool | None,
        conclusion("bisectable", "every commit applies, builds, links and works by itself"),
    ] = None
    boots: Annotated[int, fact("boots", "different ones; the rest ran the same code")] = 0
    commits: list[SeriesCommit]
    points: list[SeriesPoint]
    # ep_driver, rc_driver: the commits up to which EP and RC go
    prefixes: list[SeriesPoint] = []
    no_patch: Annotated[list[str], fact("no patch", "mails or commits that were left out")] = []
    checks: Annotated[list[str], fact("debug options", "of the kernel of the check")] = []
    warnings: list[str] = []
