"""The trace report for a reader: what came out first, then the chains, in at most 100 columns."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from foundation.table import Table
from rmaat.biology.provenance import SIZE

RIVALS_TOLD = 3
PAGE = 100  # columns
LONG = 60  # of a formula: longer ones may not fit in a line


@dataclass(frozen=True, repr=False)
class TraceReport:
    """What a network takes from biology, as JSON values; a table in a notebook.

    `tensors` are the derived ones with their chains, `without_influence` what does nothing and why, `not_known` what no
    paper stands behind, `outside` the ranges that the config leaves. `analogies`, `engineering` and `starts`, the
    numbers without biology, and `nowhere`, those of a part of a user's own that nothing declares, are None where one
    tensor was asked for.
    """

    record: str
    changed: str | None
    tensors: list[dict]
    without_influence: list[dict]
    not_known: dict
    outside: list[dict]
    analogies: list[dict] | None = None
    engineering: list[dict] | None = None
    starts: list[dict] | None = None
    nowhere: list[dict] | None = None

    def to_json(self) -> dict:
        """The report as JSON values."""
        return {name: value for name, value in vars(self).items() if name == "changed" or value is not None}

    def table(self) -> Table:
        """Each tensor (those of equal layers once), its entry, and the parameter that moves it most."""
        layers: dict[str, list[dict]] = {}
        for tensor in self.tensors:
            layers.setdefault(without_layer(tensor["path"]), []).append(tensor)
        rows = [(f"{path}, {len(same)} layers" if same[1:] else path, same[0]["entry"], _strongest(same[0]))
                for path, same in layers.items()]
        return Table(("tensor", "entry", "moved most, for +1 %, by"), rows,
                     f"record {self.record[:12]}" + (f", {self.changed}" if self.changed else ""))

    def __str__(self) -> str:
        return text(self)

    def __repr__(self) -> str:
        return f"<trace of {len(self.tensors)} derived tensors, record {self.record[:12]}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _strongest(tensor: dict) -> str:
    """The parameter that moves a tensor most, and by how much."""
    most = max(tensor["parameters"], key=lambda use: use["influence"], default={"influence": 0.})
    return f"{most['name']}, {most['influence']:.2g} %" if most["influence"] else "no parameter"


def without_layer(path: str) -> str:
    """blocks.3.attention.feedback -> attention.feedback"""
    parts = path.split(".")
    return ".".join(parts[2:]) if parts[0] == "blocks" else path


def text(report: TraceReport) -> str:
    """The report as lines; a chain that several tensors share is told once."""
    lines = [str(report.table()), "", *_known(report), "", chains(report)]
    lines += ["", "without influence", *(f"  {item['name']} ({item['entry']}): {item['why']}"
                                        for item in report.without_influence)]
    if report.analogies is not None:
        lines += ["", "analogies (a meaning, no number claimed)"]
        lines += [f"  ({item['equation']}) {item['says']}" for item in report.analogies]
        lines += ["", "engineering (no biology)", *_declared(report.engineering)]
        lines += ["", "where learning starts (no biology)", *_declared(report.starts)]
    if report.nowhere:
        lines += ["", "declared nowhere (name them in the `origins` of their class)"]
        lines += [f"  {item['path']} = {_short(item['value'])}   {item['file']}" for item in report.nowhere]
    return "\n".join(_wrapped(line) for line in lines)


def chains(report: TraceReport) -> str:
    """From tensor to parameter, each chain once."""
    groups: dict[tuple, list[dict]] = {}
    for tensor in report.tensors:
        groups.setdefault((tensor["entry"], tuple(tensor["constants"])), []).append(tensor)
    return "\n\n".join("\n".join(map(_wrapped, _chain(tensors))) for tensors in groups.values())


def _wrapped(lines: str) -> str:
    """Lines of at most a page, what goes on in the next one indented."""
    return "\n".join(line if len(line) <= PAGE else textwrap.fill(
        line, PAGE, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4), drop_whitespace=True,
        break_on_hyphens=False) for line in lines.split("\n"))


def _breakable(formula: str) -> str:
    """A long formula with spaces around + and -, so that lines end between its terms and not within a name."""
    return formula if len(formula) <= LONG else re.sub(r"(?<=[\w)])(?<!\de)([+-])", r" \1 ", formula)


def _chain(tensors: list[dict]) -> Iterator[str]:
    """The tensors of one entry, what the record says of it, and the parameters behind it."""
    first, equal = tensors[0], {}
    for tensor in tensors:
        equal.setdefault(repr({**tensor, "path": None}), []).append(tensor)
    for same in equal.values():
        tensor = same[0]
        yield f"{tensor['path']}   {_short(tensor['value'])}   {tensor['file']}   ({tensor['equation']})"
        if same[1:]:
            yield f"  also {', '.join(other['path'] for other in same[1:])}"
    yield f"  {first['meaning']}"
    yield f"  <- {first['formula']}   {first['basis']}; {', '.join(first['sources'])}"
    if first["evidence"] is not None:
        yield "     held against {compared}: off by at most {max_error:.2g}; {range}".format(**first["evidence"])
    for one in first["validity"]:
        yield f"     holds for {_range(one)}: {one['reason']}"
    for name, one in first["rivals"].items():
        best = sorted(one["weights"].items(), key=lambda item: -item[1])[:RIVALS_TOLD]
        weights = ", ".join(f"{rival} {weight:.2g}" for rival, weight in best)
        yield f"     rivals on {name}: {weights} (Akaike weights, {len(one['weights'])} forms); {one['loss']}"
    for name, constant in first["constants"].items():
        formula = f" = {_breakable(constant['formula'])}" if constant["formula"] else ""
        yield f"     {name}{formula} = {constant['value']:.6g}   {constant['meaning']}"
        if constant["interval"]:
            low, high = constant["interval"]
            yield f"     {name} fitted to the recording: {constant['fitted']:.6g} [{low:.6g}, {high:.6g}]"
    yield from _parameters(tensors)
    for name, why in first["cancels"].items():
        yield f"     .. {name}: {why}"


def _range(one: dict) -> str:
    low, high = one["low"], one["high"]
    if low is None or high is None:
        return f"{one['quantity']} {f'up to {high:g}' if low is None else f'from {low:g}'}"
    return f"{one['quantity']} from {low:g} to {high:g}"


def _parameters(tensors: list[dict]) -> Iterator[str]:
    """A line a parameter, in columns; one that acts through another stands indented below it."""
    uses = tensors[0]["parameters"]
    if not uses:
        return
    rows = [("parameter", "value", "d const", "moves", "basis", "source")]
    for number, use in enumerate(uses):
        most = max(tensor["parameters"][number]["influence"] for tensor in tensors)
        value = f"{use['value']:g} {use['unit']}".removesuffix(" 1")
        rows.append(((" " if use["through"] else "") + use["name"], value, _slopes(use), f"{most:.2g}", use["basis"],
                     use["source"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield "     d const: of the constant for one unit of the parameter; moves: a tensor in % for +1 %"
    for number, row in enumerate(rows):
        cells = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{'<-' if number else '  '} {cells}".rstrip()


def _slopes(use: dict) -> str:
    """By how much one unit of a parameter moves the constants, named where there are several."""
    slopes = use["sensitivity"]
    if len(slopes) == 1:
        return f"{next(iter(slopes.values())):+.3g}"
    return ", ".join(f"{name} {slope:+.3g}" for name, slope in slopes.items()) or "none here"


def _declared(items: list[dict]) -> Iterator[str]:
    """A line for each number and reason; sizes that follow from the config are one line together."""
    same: dict[tuple, list[dict]] = {}
    for item in items:
        size = item["reason"] == SIZE.reason
        key = (SIZE.reason,) if size else (item["file"], item["path"].rpartition(".")[2], item["reason"])
        same.setdefault(key, []).append(item)
    for key, group in same.items():
        values = ", ".join(dict.fromkeys(_short(item["value"]) for item in group))
        more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
        file = "" if key == (SIZE.reason,) else f"{group[0]['file']}: "
        yield f"  {group[0]['path']}{more} = {values}   {file}{group[0]['reason']}"


def _known(report: TraceReport) -> Iterator[str]:
    """What no paper stands behind, and what is used outside its range."""
    counts = ", ".join(f"{count} {basis}" for basis, count in report.not_known["counts"].items()) or "none"
    yield f"parameters in these chains: {counts}"
    for item in report.not_known["parameters"]:
        unit = "" if item["unit"] == "1" else f" {item['unit']}"
        yield f"  {item['basis']}: {item['name']} = {item['value']:g}{unit}   {item['meaning']}"
    for name, basis in report.not_known["entries"].items():
        yield f"  {basis}: the entry {name}, which rests on no parameter"
    for one in report.outside:
        reached = ", ".join(f"{name} = {value:g}" for name, value in one["reached"].items())
        yield f"WARNING: {one['entry']} holds for {_range(one)} ({one['reason']}); this config reaches {reached}"


def _short(value) -> str:
    if isinstance(value, dict) and "formula" in value:
        return "curve"
    if isinstance(value, dict) and "values" in value:
        return f"{value['dtype']} {value['shape']} {' '.join(f'{x:.4g}' for x in value['values'])}"
    if isinstance(value, dict):
        return f"{value['dtype']} {value['shape']} {value['min']:.4g} .. {value['max']:.4g}, sum {value['sum']:.6g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
