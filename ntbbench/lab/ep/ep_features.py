# SPDX-License-Identifier: BSD-3-Clause
"""What the endpoint controller claims to a function driver, and does: declared once.

Source: struct pci_epc_features and struct pci_epc_bar_desc, include/linux/pci-epc.h of Linux 7.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.options import Count, Counts, Flag, Kind, Word, default_of, kinds

BARS = 6  # PCI_STD_NUM_BARS
SIZES = {"B": 1, "K": 1 << 10, "M": 1 << 20}
PAGE = 4096
BAR_MIN, BAR_MAX = 128, 8 << 20  # bytes: pci-epf-core.c; epc_loop has 16 MiB for all six
WINDOW_MAX = 16 << 20  # epc_loop_memory.c: window_size
OUTBOUND = 64 << 20  # of all windows
WINDOWS_MAX = 16  # epc_loop.h: EPC_LOOP_REACHES
MSI_MAX, MSIX_MAX = 32, 2048
NONE, NO, YES = "none", "no", "yes"
OPTION = "--features"
ITEM = re.compile(r",(?=[A-Za-z0-9_-]+=)")  # between two features: a value may have commas
DOORBELLS = (NO, "msi", "embedded")


@dataclass(frozen=True)
class Size(Count):
    """A power of two of bytes: `4096`, `64K`, `1M`."""

    units: dict[str, int] = field(default_factory=lambda: SIZES, hash=False)
    metavar: ClassVar[str] = "SIZE"

    def parse(self, name: str, value: object) -> int:
        """Return the bytes."""
        try:
            size = super().parse(name, value)
        except InputError:
            size = 0
        if size.bit_count() != 1:
            raise InputError(name, value, self.allowed)
        return size

    def show(self, value: int) -> object:
        """Return the size with a unit."""
        return size_text(value)

    @property
    def allowed(self) -> str:
        """The range."""
        return f"a power of two from {size_text(self.low)} to {size_text(self.high)}"


@dataclass(frozen=True)
class YesNo(Flag):
    """A feature that is there or is not."""

    metavar: ClassVar[str] = "yes|no"
    allowed: ClassVar[str] = "yes, no"

    def parse(self, name: str, value: object) -> bool:
        """Return the flag."""
        if value not in (YES, NO):
            raise InputError(name, value, self.allowed)
        return value == YES

    def show(self, value: Any) -> object:
        """Return the word."""
        return YES if value else NO


@dataclass(frozen=True)
class UpTo(Count):
    """How many there are at most; `no` is none, `yes` as many as there can be."""

    def parse(self, name: str, value: object) -> int:
        """Return the number."""
        words = {NO: 0, YES: self.high}
        try:
            return words[str(value)] if value in words else super().parse(name, value)
        except InputError:
            raise InputError(name, value, self.allowed) from None

    def show(self, value: int) -> object:
        """Return the number, or `no`."""
        return value or NO

    @property
    def allowed(self) -> str:
        """The range and the words."""
        return f"{self.low} to {self.high}, yes, no"


@dataclass(frozen=True)
class Bars(Counts):
    """Numbers of BARs: `1,3`, or `none`."""

    low: int = 0
    high: int = BARS - 1
    text: str = ""

    def parse(self, name: str, value: object) -> tuple[int, ...]:
        """Return them, sorted."""
        try:
            return () if value == NONE else tuple(sorted(set(super().parse(name, value))))
        except InputError:
            raise InputError(name, value, self.allowed) from None

    def show(self, value: tuple[int, ...]) -> object:
        """Return the text that `parse` reads back."""
        return ",".join(map(str, value)) or NONE

    @property
    def allowed(self) -> str:
        """The form."""
        return f"BARs from {self.low} to {self.high} such as 1,3, or {NONE}"


@dataclass(frozen=True)
class BarSizes(Size):
    """Sizes of BARs: `2:64K,4:1M`, or `none`; a BAR that is not named has 0."""

    low: int = BAR_MIN
    high: int = BAR_MAX
    text: str = ""
    metavar: ClassVar[str] = "N:SIZE,..."

    def parse(self, name: str, value: object) -> tuple[int, ...]:  # type: ignore[override]
        """Return the bytes of each BAR."""
        sizes = [0] * BARS
        for item in [] if value == NONE else str(value).split(","):
            bar, _, size = item.partition(":")
            if bar not in map(str, range(BARS)) or sizes[int(bar)]:
                raise InputError(name, value, self.allowed)
            try:
                sizes[int(bar)] = super().parse(name, size)
            except InputError:
                raise InputError(name, value, self.allowed) from None
        return tuple(sizes)

    def show(self, value: tuple[int, ...]) -> object:  # type: ignore[override]
        """Return the text that `parse` reads back."""
        return ",".join(f"{n}:{size_text(size)}" for n, size in enumerate(value) if size) or NONE

    @property
    def allowed(self) -> str:
        """The form."""
        return f"BAR:SIZE,... each BAR once, each size {super().allowed}, or {NONE}"


class EpFeatures(Struct, frozen=True):
    """What an endpoint controller can do, and what a function driver must put up with."""

    align: Annotated[
        int, Size(PAGE, 1 << 20, "alignment of what a BAR or an outbound window leads to")
    ] = PAGE
    unaligned: Annotated[
        bool, YesNo("the controller says what to map for an address that is not aligned")
    ] = True
    reserved: Annotated[tuple[int, ...], Bars(text="BARs that the controller keeps")] = ()
    disabled: Annotated[tuple[int, ...], Bars(text="BARs that there are not")] = ()
    wide: Annotated[tuple[int, ...], Bars(high=BARS - 2, text="BARs of 64 bits: two each")] = ()
    fixed: Annotated[tuple[int, ...], BarSizes(text="the one size that a BAR can have")] = (
        0,
    ) * BARS
    msi: Annotated[int, UpTo(1, MSI_MAX, "MSIs")] = MSI_MAX
    msix: Annotated[int, UpTo(1, MSIX_MAX, "MSI-Xs")] = MSIX_MAX
    intx: Annotated[bool, YesNo("INTx")] = True
    doorbell: Annotated[
        str, Word(DOORBELLS, "what a write to a BAR can interrupt: an MSI, or an embedded register")
    ] = "msi"
    dynamic: Annotated[bool, YesNo("a BAR can be led elsewhere while the host uses it")] = True
    linkup: Annotated[bool, YesNo("the function is told when the host comes")] = False
    windows: Annotated[int, Count(1, WINDOWS_MAX, "outbound windows")] = 8
    window: Annotated[int, Size(PAGE, WINDOW_MAX, "bytes that one can lead to")] = 1 << 20


PLAIN = EpFeatures()
PLAIN_NAME = "plain"
WIDE = "64bit"  # of `wide`: no name in Python


def features_by_name() -> dict[str, tuple[str, Kind]]:
    """Return the field and the kind of each feature, by the name that a user writes."""
    return {WIDE if key == "wide" else key: (key, kind) for key, kind in kinds(EpFeatures).items()}


def size_text(size: int) -> str:
    """Return a size as `Size` reads it: 4K."""
    unit = next(name for name in ("M", "K", "B") if size % SIZES[name] == 0)
    return f"{size // SIZES[unit]}{unit.replace('B', '')}"


def parse_features(text: str) -> EpFeatures:
    """Return the features of `align=64K,reserved=1,3,msix=no`; `plain`: the defaults.

    InputError: an unknown feature, a value that is not allowed, or two that exclude each other.
    """
    known = features_by_name()
    found: dict[str, object] = {}
    for item in [] if text == PLAIN_NAME else ITEM.split(text):
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(OPTION, text, f"{PLAIN_NAME}, or NAME=VALUE,...: {', '.join(known)}")
        if name not in known:
            raise unknown(OPTION, name, known)
        key, kind = known[name]
        if key in found:
            raise InputError(OPTION, text, f"{name} once")
        found[key] = kind.parse(f"{OPTION} {name}", value)
    features = replace(PLAIN, **found)
    _check_together(text, features)
    return features


@dataclass(frozen=True)
class Controllers(Kind):
    """Features of controllers, each as `parse_features` reads them."""

    text: str
    metavar: ClassVar[str] = "NAME=VALUE,..."
    repeated: ClassVar[bool] = True
    allowed: ClassVar[str] = "features as listed below"

    def parse(self, name: str, value: object) -> tuple[str, ...]:
        """Return the texts; no two are the same."""
        texts = value if isinstance(value, list) else [value]
        for text in map(str, texts):
            parse_features(text)
            if texts.count(text) > 1:
                raise InputError(name, text, "every controller once")
        return tuple(map(str, texts))


def _check_together(text: str, features: EpFeatures) -> None:
    """Raise InputError for features that exclude each other."""
    upper = {bar + 1 for bar in features.wide}
    fixed = {bar for bar, size in enumerate(features.fixed) if size}
    gone = {*features.reserved, *features.disabled}
    rules = {
        f"window={size_text(features.window)} at least as large as align": features.align
        <= features.window,
        f"windows of {size_text(OUTBOUND)} together": features.windows * features.window
        <= OUTBOUND,
        "a BAR reserved or disabled, once": not {*features.reserved} & {*features.disabled},
        "no BAR of its own after one of 64 bits": not upper & {*features.wide, *fixed, *gone},
        "a BAR that is there to be fixed or of 64 bits": not gone & {*features.wide, *fixed},
        "a BAR for the test's registers": len(gone | upper) < BARS,
    }
    for allowed, holds in rules.items():
        if not holds:
            raise InputError(OPTION, text, allowed)


def module_parameters(features: EpFeatures) -> str:
    """Return the features as parameters of epc_loop.ko."""
    doorbell = "poll" if features.doorbell == NO else features.doorbell
    values: Mapping[str, object] = {
        "translates": 1,
        "doorbell": doorbell,
        "reserved_bars": _mask(features.reserved),
        "disabled_bars": _mask(features.disabled),
        "only_64bit_bars": _mask(features.wide),
        "fixed_bars": ",".join(map(str, features.fixed)),
        "align": features.align,
        "unaligned": int(features.unaligned),
        "msi": int(features.msi > 0),
        "msix": features.msix,
        "intx": int(features.intx),
        "dynamic": int(features.dynamic),
        "linkup": int(features.linkup),
        "windows": features.windows,
        "window": features.window,
    }
    return " ".join(f"{name}={value}" for name, value in values.items())


def shown_features(features: EpFeatures) -> dict[str, str]:
    """Return every feature as a user writes it."""
    return {
        name: str(kind.show(getattr(features, key)))
        for name, (key, kind) in features_by_name().items()
    }


def shown_sizes(bar_sizes: tuple[int, ...]) -> str:
    """Return sizes of BARs as a user writes them."""
    return str(BarSizes().show(bar_sizes))


def _mask(bars: tuple[int, ...]) -> int:
    return sum(1 << bar for bar in bars)


def feature_lines() -> list[str]:
    """Return a line for each feature: its name, what it is, what is allowed and the default."""
    return [
        f"{name:<10}{kind.text} ({kind.allowed}; default {default_of(PLAIN, key)})"
        for name, (key, kind) in features_by_name().items()
    ]
