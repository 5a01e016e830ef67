"""The trace verb: every number of a network that is not learned, followed back to the biology that it comes from.

It walks the model as built, so it reports what this network uses. The influence of a biological parameter on a tensor
is measured: the record's constants are moved as its stored derivatives say, the network is built again, and the
tensors are compared.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace

import torch

from derivation.record import Entry, ParameterUse, Record, in_order
from foundation.errors import unknown
from rmaat.biology import Biology, Curve
from rmaat.model import RMAAT, ModelConfig
from rmaat.provenance import SIZE, Analogy, Engineering, FromRecord, Start, Traced, collect

NUDGE = .01  # relative change of a parameter; small enough for the stored derivatives, large against rounding
SAMPLE = (.5, 1., 8., 64.)  # where curves are compared


def build(config: ModelConfig, record: Record) -> RMAAT:
    """The network as it would be trained; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        return RMAAT(config, Biology.of(record))


def trace(config: ModelConfig, record: Record, tensor: str | None = None) -> dict:
    """What `config` built from `record` takes from biology, as JSON values.

    `tensor` keeps the items of that name or path alone. Raises `UserError` listing the names when there is none.
    """
    model = build(config, record)
    found = list(collect(model))
    derived = [item for item in found if isinstance(item.origin, FromRecord)]
    if tensor is not None:
        kept = [item for item in derived if tensor in (item.name, path_of(item))]
        if not kept:
            raise unknown("tensor", tensor, sorted({path_of(item) for item in derived}))
        derived = kept
    effects = influences(config, record, derived)
    report = {"record": record.hash, "tensors": [_tensor(record, item, effects) for item in derived]}
    if tensor is None:
        report["analogies"] = _unique({"equation": item.origin.equation, "says": item.origin.says} for item in found
                                      if isinstance(item.origin, Analogy))
        for key, kind in (("engineering", Engineering), ("starts", Start)):
            report[key] = [{"path": path_of(item), "file": item.file, "value": summary(item.value),
                            "reason": item.origin.reason} for item in found if isinstance(item.origin, kind)]
    return report


def path_of(item: Traced) -> str:
    return f"{item.module}.{item.name}".lstrip(".")


def summary(value) -> object:
    """A value short enough for a line: shape and range of a tensor, the formula of a curve."""
    if isinstance(value, torch.Tensor):
        numbers = value.detach().double().flatten()
        if numbers.numel() <= 8:
            return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape),
                    "values": numbers.tolist()}
        return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape),
                "min": numbers.min().item(), "max": numbers.max().item(), "sum": numbers.sum().item()}
    if isinstance(value, Curve):
        return {"formula": value.formula, "constants": dict(value.constants)}
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)


def _tensor(record: Record, item: Traced, effects: dict) -> dict:
    """One derived tensor with its chain: entry, constants, parameters and what they do to it, what cancels."""
    entry = record.entry(item.origin.entry)
    constants = {name: asdict(constant) for name, constant in entry.constants.items()
                 if item.origin.constant in (None, name)}
    parameters = [{**asdict(use),
                   "sensitivity": {name: value for name, value in use.sensitivity.items() if name in constants},
                   "influence": effects[path_of(item), use.name]} for use in in_order(entry.parameters)]
    evidence = None if entry.evidence is None else asdict(entry.evidence)
    return {"path": path_of(item), "file": item.file, "value": summary(item.value),
            "equation": item.origin.equation or entry.equation, "entry": item.origin.entry, "meaning": entry.meaning,
            "formula": entry.formula, "basis": entry.basis, "sources": list(entry.sources), "constants": constants,
            "parameters": parameters, "evidence": evidence, "cancels": dict(entry.cancels)}


def _unique(items) -> list[dict]:
    return list({tuple(item.items()): item for item in items}.values())


# ---------------------------------------------------------------------------------------------- influence


def influences(config: ModelConfig, record: Record, items: list[Traced]) -> dict[tuple[str, str], float]:
    """(path, parameter) -> largest change of the tensor per relative change of the parameter, in its largest value."""
    effects = {}
    before = {path_of(item): numbers(item.value) for item in items}
    for name in sorted({use.name for entry in record.entries.values() for use in entry.parameters}):
        after = {path_of(item): numbers(item.value) for item in collect(build(config, nudged(record, name)))
                 if path_of(item) in before and isinstance(item.origin, FromRecord)}
        for path, value in before.items():
            change = (after[path] - value).abs().max() / value.abs().max()
            effects[path, name] = change.item() / NUDGE
    return effects


def nudged(record: Record, parameter: str) -> Record:
    """`record` as it would be, to first order, with `parameter` larger by the share NUDGE in every entry."""
    return replace(record, entries={name: _nudge(entry, parameter) for name, entry in record.entries.items()})


def _nudge(entry: Entry, parameter: str) -> Entry:
    uses: Iterator[ParameterUse] = (use for use in entry.parameters if use.name == parameter)
    constants = dict(entry.constants)
    for use in uses:
        for name, derivative in use.sensitivity.items():
            constants[name] = replace(constants[name], value=constants[name].value + derivative * NUDGE * use.value)
    return replace(entry, constants=constants)


def numbers(value) -> torch.Tensor:
    """What is compared: a tensor's values, a curve's at sample points."""
    if isinstance(value, Curve):
        points = torch.tensor(SAMPLE, dtype=torch.float64)
        return value(**dict.fromkeys(value.entry.arguments, points))
    return torch.as_tensor(value, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- text


def text(report: dict) -> str:
    """The report for a reader; equal chains of different layers are told once."""
    lines = [f"record {report['record'][:12]}"]
    groups: dict[str, list[dict]] = {}
    for tensor in report["tensors"]:
        groups.setdefault(repr({**tensor, "path": None}), []).append(tensor)
    for tensors in groups.values():
        lines += ["", *_chain(tensors[0], [tensor["path"] for tensor in tensors])]
    if "analogies" in report:
        lines += ["", "analogies (a meaning, no number claimed)"]
        lines += [f"  ({item['equation']}) {item['says']}" for item in report["analogies"]]
        lines += ["", "engineering (no biology)", *_declared(report["engineering"])]
        lines += ["", "where learning starts (no biology)", *_declared(report["starts"])]
    return "\n".join(lines)


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


def _short(value) -> str:
    if isinstance(value, dict) and "formula" in value:
        return "curve"
    if isinstance(value, dict) and "values" in value:
        return f"{value['dtype']} {value['shape']} {' '.join(f'{x:.4g}' for x in value['values'])}"
    if isinstance(value, dict):
        return f"{value['dtype']} {value['shape']} {value['min']:.4g} .. {value['max']:.4g}, sum {value['sum']:.6g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _chain(tensor: dict, paths: list[str]) -> Iterator[str]:
    yield f"{paths[0]}   {_short(tensor['value'])}   {tensor['file']}   ({tensor['equation']})"
    if paths[1:]:
        yield f"  also {', '.join(paths[1:])}"
    yield f"  {tensor['meaning']}"
    yield f"  <- {tensor['formula']}   {tensor['basis']}; {', '.join(tensor['sources'])}"
    if tensor["evidence"] is not None:
        yield "     held against {compared}: off by at most {max_error:.2g}; {range}".format(**tensor["evidence"])
    for name, constant in tensor["constants"].items():
        formula = f" = {constant['formula']}" if constant["formula"] else ""
        yield f"     {name}{formula} = {constant['value']:.6g}   {constant['meaning']}"
        if constant["interval"]:
            low, high = constant["interval"]
            yield f"     {name} fitted to the recording: {constant['fitted']:.6g} [{low:.6g}, {high:.6g}]"
    yield from _parameters(tensor["parameters"])
    for name, why in tensor["cancels"].items():
        yield f"     .. {name}: {why}"


def _parameters(uses: list[dict]) -> Iterator[str]:
    """A line a parameter, in columns; one that acts through another stands indented below it."""
    rows = [("   " * bool(use["through"]) + use["name"], f"{use['value']:g} {use['unit']}".removesuffix(" 1"),
             use["basis"], use["source"],
             ", ".join(f"d {name}/d {use['name']} {slope:+.3g}" for name, slope in use["sensitivity"].items())
             or "moves no constant here", f"+1 % moves this by {use['influence']:.2g} %") for use in uses]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"     <- {cells}".rstrip()
