"""What tells the points of a sweep apart, as numbers with a unit: the coordinates of tables, frames and pictures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from astro_sim.parameter import Parameter, convert, read
from astro_sim.plan import find_model
from foundation.errors import UserError

TIMES = ("duration", "dt", "record_every")  # keywords of `prepare` that are times
HALF = 2  # a grid may have so many times as many places as there are points: else they stand in a row


@dataclass(frozen=True)
class Axis:
    """One thing that was varied: its values in the order given, numbers of `unit` or, with the unit "", texts."""

    name: str
    values: tuple
    unit: str


@dataclass(frozen=True)
class Layout:
    """Where each point stands: `places[name]` is its index along every axis, or one number where they stand in a row.

    `columns` are then what was varied, a value a point; of a grid they are empty.
    """

    axes: tuple[Axis, ...]
    places: Mapping[str, tuple[int, ...]]
    columns: tuple[Axis, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """How many places there are along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def only(self, names: Collection[str]) -> "Layout":
        """A row without the points that are not named."""
        kept = [n for name, (n,) in self.places.items() if name in names]
        axes, columns = (tuple(replace(axis, values=tuple(axis.values[n] for n in kept)) for axis in part)
                         for part in (self.axes, self.columns))
        return Layout(axes, {name: (n,) for n, name in enumerate(axes[0].values)}, columns)


def flat(point: Mapping) -> dict[str, object]:
    """A point's keywords by the names that `grid` takes; what drives an input by a course of its own is told as one."""
    found = {key: value for key, value in point.items() if key not in ("parameters", "initial", "protocol", "options")}
    found |= dict(point.get("parameters") or {})
    found |= {f"initial.{key}": value for key, value in (point.get("initial") or {}).items()}
    found |= {f"option.{key}": value for key, value in (point.get("options") or {}).items()}
    protocol = point.get("protocol") or ()
    for drive in protocol if isinstance(protocol, list | tuple) else (protocol,):
        held = getattr(drive, "kind", None) == "constant" and getattr(drive, "elements", None) is None
        found |= {f"input.{drive.input}": drive.values[0]} if held else {f"protocol {drive}"[:60]: "yes"}
    return found


def unit_of(point: Mapping, key: str) -> str:
    """The unit that a key of `flat` is told in: the declared one; "" for what is no quantity."""
    if key in TIMES:
        return "second"
    if key == "seed":
        return "1"
    model, parameter_set = find_model(point["model"], point.get("parameter_set"))
    kind, _, name = key.partition(".")
    declared = {"initial": model.initial, "input": model.inputs}.get(kind, {}).get(name)
    declared = declared or dict(model.parameters(parameter_set)).get(key)
    return declared.unit if declared else ""


def number(value: object, unit: str, key: str) -> object:
    """A value as a number of the unit; as a text where there is none, or where it is not one number."""
    if value is None or not unit:
        return value if value is None or isinstance(value, int | float | bool) else getattr(value, "name", str(value))
    try:
        if key == "seed":
            return int(value)
        found = convert(value.value, value.unit, unit, key) if isinstance(value, Parameter) else read(value, unit, key)
        return float(f"{found:.15g}")  # 80 nM are 0.08 uM
    except (TypeError, UserError):  # an array: one value an element
        return str(value)


def layout(points: Mapping[str, Mapping], varied: Mapping[str, Mapping[str, object]]) -> Layout:
    """The points as a grid where they fill one, or half of one, each place once; else in a row.

    points: keywords by name; varied: what tells each from the others, by name.
    """
    keys = list(next(iter(varied.values()), {}))
    units = {key: next((unit_of(points[name], key) for name in varied), "") for key in keys}
    rows = {name: tuple(number(values[key], units[key], key) for key in keys) for name, values in varied.items()}
    axes = tuple(Axis(key, _unique([row[n] for row in rows.values()]), units[key]) for n, key in enumerate(keys))
    at = [{value: n for n, value in enumerate(axis.values)} for axis in axes]
    places = {name: tuple(numbers[value] for numbers, value in zip(at, row, strict=True))
              for name, row in rows.items()}
    room = 1
    for axis in axes:
        room *= len(axis.values)
    if axes and len(set(places.values())) == len(rows) and room <= HALF * len(rows) and _whole(axes):
        return Layout(axes, places)
    columns = tuple(Axis(axis.name, tuple(row[n] for row in rows.values()), axis.unit) for n, axis in enumerate(axes))
    return Layout((Axis("point", tuple(rows), ""),), {name: (n,) for n, name in enumerate(rows)}, columns)


def _unique(values: Sequence) -> tuple:
    return tuple(dict.fromkeys(values))


def _whole(axes: Sequence[Axis]) -> bool:
    """Whether every point has a value along every axis."""
    return all(value is not None for axis in axes for value in axis.values)
