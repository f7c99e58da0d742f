# SPDX-License-Identifier: BSD-3-Clause
"""Results of ntbbench itself: of a point is compared what its record declares.

Only the axes and the compared fields are read, so that results of neighbouring versions compare.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from string import Formatter
from typing import Any, ClassVar, get_args, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET, Raw, Struct, UnsetType, defstruct

from ntbbench.compare.readers.checked import LARGEST_COUNT, exact_value, samples_of
from ntbbench.compare.records import Place
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import COMPARED, Better, Declared, Kind, declared

Metrics = Iterable[tuple[str, dict[str, Any]]]  # what is measured, and the fields of its Series
NUMBERS = (int, float)
OK = "ok"


class Results:
    """A kind of result. What its records declare is compared; a kind adds what they cannot say."""

    schema: str  # of its files; those of other versions begin alike
    result: type[Struct]
    points = "points"  # the field of the result that holds them
    point: type[Struct]
    name: str  # of a point, by its axes; an axis that is None is left out with the text before it
    strict: Sequence[str] = ()  # fields of the result that must agree
    context: Sequence[str] = ()  # fields of the result that are told where they differ
    also: Sequence[str] = ()  # more fields of the result that the methods read
    needed: Sequence[str] = ()  # more fields of a point that they read
    later: Sequence[str] = ()  # axes that files of older versions lack
    # Axes whose values follow from those of another: points that differ in it have other ones.
    follows: ClassVar[Mapping[str, Sequence[str]]] = {}
    unlimited: Sequence[str] = ()  # axes that the name leaves out where they are 0
    statuses: Sequence[str] = ()  # worst first; of a point that is not `ok` no more is compared
    order: Sequence[str] = ()  # the compared fields that come first
    kinds: Sequence[Kind] = COMPARED  # of fields that are compared
    zeros: Sequence[str] = ()  # counts of nothing where they are None
    joined: Sequence[str] = ()  # lists that are one metric, which `metrics` makes
    each: Sequence[str] = ()  # lists by QP whose items are metrics
    sums: Sequence[str] = ()  # lists by QP whose sum is a metric
    called: ClassVar[Mapping[str, str]] = {}  # metrics that are not called as their field
    served = ""  # the field that counts the packets to which less work may be due
    common: ClassVar[Mapping[str, Any]] = {}  # fields of the Series of every metric
    repeats = False  # points of one name are numbered, not refused

    def __init__(self, without: Collection[str] = ()) -> None:
        """Prepare the reading; of points that are named `without` some axes."""
        about = declared(self.point).items()
        known = {  # by the record's own name, whatever a file calls it
            name: msgspec.structs.replace(field, name=name)
            for name, field in about
            if field.kind in self.kinds and name != "status"
        }
        ordered = dict.fromkeys((*self.order, *known))
        # The compared fields in the order of their metrics; of joined lists the first.
        self._fields = tuple(known[name] for name in ordered if name not in self.joined[1:])
        self._values = _values_of([about.name for about in self._fields])
        # The name as texts with the axis behind each.
        parts = Formatter().parse(self.name)
        named = [(text, axis) for text, axis, _, _ in parts if axis is not None]
        self.axes = [axis for _, axis in named]
        self._axes = [(text, axis) for text, axis in named if axis not in without]
        if without:
            self._axes[0] = (self._axes[0][0].removeprefix("/"), self._axes[0][1])
        self._tail = self.name.rpartition("}")[2]
        self._axis_values = attrgetter(*(axis for _, axis in self._axes))
        self._alike = {way: {"better": way, **self.common} for way in get_args(Better)}
        self._known: dict[str, tuple[str, ...]] = {}
        # Types of axes that are written as they are, but where they are 0 or empty.
        self._as_it_is = (str, int) if type(self).written is Results.written else (str,)
        # Whether every number is a count that is a metric as it is.
        special = self.served or self.common or self.called
        self._quick = not special and type(self).lacks is Results.lacks
        self._result = self._record_read()

    def side(self, result: Any, label: str) -> Variant:
        """Return the side of a comparison that a result is, without its metrics."""
        strict, context = (
            {name: str(getattr(result, name)) for name in names}
            for names in (self.strict, self.context)
        )
        cautions = () if getattr(result, "complete", True) else ("unfinished",)
        return Variant(label, result.schema, {}, strict, context, cautions=cautions)

    def names(self, result: Any) -> Iterable[str]:
        """Return the name of each point."""
        return map(self.name_of, getattr(result, self.points))

    def written(self, axis: str, value: Any) -> object:
        """Return an axis that is no text as the name of a point has it; None: it is left out."""
        if value is UNSET or (not value and axis in self.unlimited):
            return None
        return ",".join(map(str, value)) if isinstance(value, list) else value

    def place(self, point: Any) -> Place | None:
        """Return where a point lies in the heatmaps."""
        return None

    def lacks(self, point: Any, name: str) -> bool:
        """Return whether a field says nothing of a point, whatever it holds."""
        return False

    def status(self, value: str, where: str) -> dict[str, Any]:
        """Return the status of a point as a metric."""
        return _ranked(f"{where}:status", value, self.statuses)

    def metrics(self, about: Declared, value: Any, point: Any, where: str) -> Metrics:
        """Yield the metrics of a field."""
        quantity = self.called.get(about.name, about.name.removesuffix("_per_qp"))
        field = f"{where}:{quantity}"
        if isinstance(value, bool):
            yield quantity, {"value": str(value).lower(), "rank": int(value)}
        elif isinstance(value, str):
            yield quantity, _ranked(field, value, about.ranks)
        elif isinstance(value, NUMBERS) and about.kind == "series":
            samples = samples_of([value], where, quantity)
            yield quantity, {"kind": "noisy", "unit": about.unit, "samples": samples}
        elif isinstance(value, NUMBERS):
            yield quantity, {"value": _count(field, value)}
        else:
            counts = [_count(field, number) for number in value]
            if about.name in self.sums:
                yield quantity, {"value": sum(counts)}
            for qp_num, number in enumerate(counts if about.name in self.each else ()):
                yield f"{quantity} of QP {qp_num}", {"value": number}

    def more(self, variant: Variant, point: Any, name: str, where: str) -> None:
        """Add the metrics that are computed of several fields."""

    def end(self, variant: Variant, result: Any) -> None:
        """Add what is of the whole result."""

    def read(self, data: bytes, label: str, where: str) -> Variant:
        """Return the side that a file is; msgspec's errors say what is wrong with it."""
        return self.variant(self.decode(data), label, where)

    def decode(self, data: bytes) -> Any:
        """Return what is read of a file."""
        return msgspec.json.decode(data, type=self._result)

    def variant(self, result: Any, label: str, where: str) -> Variant:
        """Return the side that a decoded result is."""
        variant = self.side(result, label)
        seen: Counter[str] = Counter()
        for point, name in zip(getattr(result, self.points), self.names(result), strict=True):
            seen[name] += 1
            if seen[name] > 1 and not self.repeats:
                raise InputError(where, name, "each point once")
            # An axis that a device ignores multiplies all the same: equal points are numbered.
            self._add(variant, point, name if seen[name] == 1 else f"{name}#{seen[name]}", where)
        self.end(variant, result)
        return variant

    def name_of(self, point: Any) -> str:
        """Return the name of a point."""
        parts, known = [], self._as_it_is
        for (text, axis), value in zip(self._axes, self._axis_values(point), strict=True):
            shown = value if value and value.__class__ in known else self.written(axis, value)
            if shown is not None:
                parts.append(f"{text}{shown}")
        return "".join(parts) + self._tail

    def _add(self, variant: Variant, point: Any, name: str, where: str) -> None:
        here = f"{where}: {name}"
        if (place := self.place(point)) is not None:
            variant.places[name] = place
        if self.statuses:
            add(variant, f"{name}:status", self._alike["higher"], self.status(point.status, here))
            if point.status != OK:
                variant.partial.add(name)
                return
        series, quick = variant.series, self._quick
        for about, metric, value in zip(
            self._fields, self._metrics(name), self._values(point), strict=True
        ):
            kind = value.__class__
            if (kind is int or kind is float) and quick and 0 <= value < LARGEST_COUNT:
                series[metric] = Series(
                    metric=metric, kind="exact", better=about.better, value=value
                )
                continue
            none = value is None and about.name not in self.zeros
            if none or value is UNSET or self.lacks(point, about.name):
                variant.partial.add(name)
                continue
            known = self._known_of(about, point)
            read = 0 if value is None else value
            for quantity, fields in self.metrics(about, read, point, here):
                add(variant, f"{name}:{quantity}", known, fields)
        self.more(variant, point, name, where)

    def _known_of(self, about: Declared, point: Any) -> Mapping[str, Any]:
        """Return what every metric of a field has: also how many packets its work was for."""
        known = self._alike[about.better]
        if not self.served or about.better != "lower":
            return known
        served = 0 if self.lacks(point, self.served) else getattr(point, self.served)
        return {**known, "served": served, "per_packet": True}

    def _metrics(self, name: str) -> tuple[str, ...]:
        """Return the names of the metrics of a point; both sides share the texts."""
        found = self._known.get(name)
        if found is None:
            found = tuple(f"{name}:{about.name}" for about in self._fields)
            self._known[name] = found
        return found

    def _record_read(self) -> type[Struct]:
        """The records with the fields that are read; of a point its axes must be there."""
        axes = self.axes
        compared = [about.name for about in self._fields]
        types = get_type_hints(self.point)
        parts: list[Any] = [("status", str, OK)] if self.statuses else []
        for name in dict.fromkeys((*axes, *compared, *self.joined, *self.needed)):
            kind = Raw if name in self.joined else types[name]
            asked = name in axes and name not in self.later
            parts.append((name, kind) if asked else (name, kind | UnsetType, UNSET))
        renamed = {f.name: f.encode_name for f in msgspec.structs.fields(self.point)}
        point = defstruct("Point", parts, frozen=True, kw_only=True, gc=False, rename=renamed)
        types = get_type_hints(self.result)
        defaults = {f.name: f.default for f in msgspec.structs.fields(self.result)}
        whole: list[Any] = [("schema", str), (self.points, list[point])]  # type: ignore[valid-type]
        for name in (*self.strict, *self.context, *self.also):
            default = types[name]() if defaults[name] is NODEFAULT else defaults[name]
            whole.append((name, types[name], default))
        return defstruct("Result", whole, kw_only=True)


def _values_of(names: Sequence[str]) -> Callable[[Any], Iterable[Any]]:
    """Return what gives the values of these fields, also where there is but one."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda point: (getattr(point, names[0]),)


def add(variant: Variant, metric: str, known: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Add one metric, exact where nothing else is said."""
    variant.series[metric] = Series(**{"metric": metric, "kind": "exact", **known, **fields})


def _count(field: str, value: float) -> float:
    if value < 0:
        raise InputError(field, value, "a count that is not negative")
    head, _, name = field.rpartition(": ")
    return exact_value(value, head, name)


def _ranked(field: str, value: str, ranks: Sequence[str]) -> dict[str, Any]:
    """Return a word as the value of a metric; those that follow it in `ranks` are better."""
    if value not in ranks:
        raise InputError(field, value, f"one of {', '.join(ranks)}")
    return {"value": value, "rank": ranks.index(value)}
