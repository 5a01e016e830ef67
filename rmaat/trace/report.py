"""The trace verb: every number of a network that is not learned, followed back to the biology that it comes from.

It walks the model as built, so it reports what this network uses. The influence of a biological parameter on a tensor
is measured: each of the record's constants is moved, the network is built again, the tensors are compared, and the
record's stored derivatives say how far a parameter moves the constants.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace

import torch

from derivation.record.record import Entry, Record, in_order
from foundation.errors import UserError, unknown
from rmaat.biology.biology import Biology, Curve
from rmaat.biology.provenance import (
    Analogy,
    Engineering,
    FromRecord,
    Start,
    Traced,
    collect,
    numbers_of,
    orphans,
    source_file,
)
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.trace.text import TraceReport, without_layer

NUDGE = 1e-4  # of a constant, up and down: off by 1e-8 of a tensor's change, large against rounding
SAMPLE = (.5, 1., 8., 64.)  # where curves are compared
NOT_KNOWN = ("assumed", "convention")  # bases that no paper stands behind


def build(config: ModelConfig, record: Record) -> RMAAT:
    """The network as it would be trained; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        return RMAAT(config, Biology.of(record))


def trace(config: ModelConfig, record: Record, tensor: str | None = None) -> TraceReport:
    """What `config` built from `record` takes from biology.

    `tensor` keeps the items of that name or path alone, or of that path in any layer. Raises
    `UserError` listing the names when there is none.
    """
    model = build(config, record)
    found = list(collect(model))
    derived = [item for item in found if isinstance(item.origin, FromRecord)]
    if tensor is not None:
        kept = [item for item in derived if tensor in (item.name, path_of(item), without_layer(path_of(item)))]
        if not derived:
            raise UserError(f"tensor = {tensor}: this network has no tensor from the record; leave --tensor out to see "
                            "what is in the place of the record's")
        if not kept:
            raise unknown("tensor", tensor, {name for item in derived for name in (item.name, path_of(item))})
        derived = kept
    effects = influences(config, record, derived)
    used = {item.origin.entry for item in derived}
    unread = record.entries.keys() - {item.origin.entry for item in found if isinstance(item.origin, FromRecord)}
    without_biology = {} if tensor is not None else {
        "analogies": _unique({"equation": item.origin.equation, "says": item.origin.says} for item in found
                             if isinstance(item.origin, Analogy)),
        "engineering": _declared(found, Engineering), "starts": _declared(found, Start), "nowhere": _nowhere(model)}
    return TraceReport(
        record.hash, record.versions.get("changed"), [_tensor(record, item, effects) for item in derived],
        without_influence=without_influence(record, used, unread if tensor is None else set(), effects=effects),
        not_known=not_known(record, used), outside=outside(config, record, used), **without_biology)


def _declared(found: list[Traced], kind: type) -> list[dict]:
    return [{"path": path_of(item), "file": item.file, "value": summary(item.value), "reason": item.origin.reason}
            for item in found if isinstance(item.origin, kind)]


def _nowhere(model: RMAAT) -> list[dict]:
    """The numbers that nothing declares, with the class that holds each."""
    missing, holders = set(orphans(model)), dict(model.named_modules())
    return [{"path": path, "file": source_file(type(holders[_holder(path, holders)])), "value": summary(value)}
            for path, value in numbers_of(model) if path in missing]


def _holder(path: str, modules: Mapping[str, object]) -> str:
    while path not in modules:
        path = path.rpartition(".")[0]
    return path


def path_of(item: Traced) -> str:
    """A traced number's name as `state_dict` writes it."""
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
                   "influence": effects.get((path_of(item), use.name), 0.)} for use in in_order(entry.parameters)]
    evidence = None if entry.evidence is None else asdict(entry.evidence)
    return {"path": path_of(item), "file": item.file, "value": summary(item.value),
            "equation": item.origin.equation or entry.equation, "entry": item.origin.entry, "meaning": entry.meaning,
            "formula": entry.formula, "basis": entry.basis, "sources": list(entry.sources), "constants": constants,
            "parameters": parameters, "evidence": evidence, "cancels": dict(entry.cancels),
            "validity": [asdict(one) for one in entry.validity],
            "rivals": {name: {"chosen": one.chosen, "weights": {key: rival.weight for key, rival in one.rivals.items()},
                              "loss": one.loss} for name, one in getattr(entry, "comparisons", {}).items()}}


def _unique(items) -> list[dict]:
    return list({tuple(item.items()): item for item in items}.values())


# ---------------------------------------------------------------------------------------------- what to know


def outside(config: ModelConfig, record: Record, used: set[str] | None = None) -> list[dict]:
    """The ranges of validity that `config` leaves, for the entries that its network uses.

    The number of segments and the distances in a segment are known beforehand; the size of drive and calcium is not.
    """
    if used is None:
        used = {item.origin.entry for item in collect(build(config, record)) if isinstance(item.origin, FromRecord)}
    reached = {"t": float(config.num_segments), "T": float(config.num_segments),
               "distance": float(config.segment_length - 1)}
    return [{"entry": name, **asdict(one), "reached": {key: value for key, value in reached.items() if
                                                       key in record.entry(name).arguments}}
            for name in sorted(used)
            for one in record.entry(name).outside(**{key: value for key, value in reached.items()
                                                     if key in record.entry(name).arguments})]


def warnings(config: ModelConfig, record: Record) -> list[str]:
    """`outside` as sentences."""
    told = []
    for one in outside(config, record):
        low, high = ("any" if end is None else f"{end:g}" for end in (one["low"], one["high"]))
        reached = ", ".join(f"{name} = {value:g}" for name, value in one["reached"].items())
        told.append(f"{one['entry']} is used outside its range: {one['quantity']} from {low} to {high} "
                    f"({one['reason']}); this config reaches {reached}")
    return told


def without_influence(record: Record, used: set[str], unread: set[str], *,
                      effects: dict[tuple[str, str], float]) -> list[dict]:
    """What does nothing here, with the reason: what cancels, what moves no tensor, what is behind unread entries."""
    moving = {name for (_, name), effect in effects.items() if effect}
    found = [{"name": name, "entry": key, "why": why} for key in sorted(used)
             for name, why in record.entry(key).cancels.items()]
    for keys, why in ((used, "moves no tensor of this network"), (unread, "this network does not read the entry")):
        found += [{"name": name, "entry": key, "why": why} for key in sorted(keys)
                  for name in dict.fromkeys(use.name for use in record.entry(key).parameters) if name not in moving]
    return found


def not_known(record: Record, used: set[str]) -> dict:
    """How many parameters rest on what, and those that no paper stands behind."""
    uses = {use.name: use for key in sorted(used) for use in record.entry(key).parameters}
    bases = [use.basis for use in uses.values()]
    return {"counts": {basis: bases.count(basis) for basis in sorted(set(bases))},
            "parameters": [{"name": use.name, "value": use.value, "unit": use.unit, "meaning": use.meaning,
                            "basis": use.basis} for use in uses.values() if use.basis in NOT_KNOWN],
            "entries": {key: record.entry(key).basis for key in sorted(used) if not record.entry(key).parameters}}


# ---------------------------------------------------------------------------------------------- influence


def influences(config: ModelConfig, record: Record, items: list[Traced]) -> dict[tuple[str, str], float]:
    """(path, parameter) -> largest change of the tensor per relative change of the parameter, in its largest value."""
    before = {path_of(item): numbers(item.value) for item in items}
    changes: dict[tuple[str, str], torch.Tensor | float] = {}
    for key in sorted({item.origin.entry for item in items}):
        entry = record.entry(key)
        for name in entry.constants:
            slopes = _slopes(config, record, key, constant=name, paths=before.keys())
            for use in entry.parameters:  # one that acts through several constants stands there several times
                for path, slope in slopes.items():
                    step = slope * use.sensitivity.get(name, 0.) * use.value
                    changes[path, use.name] = changes.get((path, use.name), 0.) + step
    return {(path, name): (change.abs().max() / before[path].abs().max()).item()
            for (path, name), change in changes.items()}


def _slopes(config: ModelConfig, record: Record, entry: str, *, constant: str,
            paths: Iterable[str]) -> dict[str, torch.Tensor]:
    """d(tensor)/d(constant) of every tensor, from two networks built anew."""
    value = record.entry(entry).constants[constant].value
    step = NUDGE * (abs(value) or 1.)
    up, down = ({path_of(item): item.value for item in collect(build(config, moved))
                 if isinstance(item.origin, FromRecord)}
                for moved in (with_constant(record, entry, constant, value=value + change) for change in (step, -step)))
    return {path: (numbers(up[path]) - numbers(down[path])) / (2 * step) for path in paths}


def with_constant(record: Record, entry: str, constant: str, *, value: float) -> Record:
    """`record` with one constant of one entry at another value."""
    old = record.entry(entry)
    constants = {**old.constants, constant: replace(old.constants[constant], value=value)}
    return replace(record, entries={**record.entries, entry: replace(old, constants=constants)})


def numbers(value) -> torch.Tensor:
    """What is compared: a tensor's values, a curve's at sample points."""
    if isinstance(value, Curve):
        points = torch.tensor(SAMPLE, dtype=torch.float64)
        return value(**dict.fromkeys(value.entry.arguments, points))
    return torch.as_tensor(value, dtype=torch.float64)


def elasticities(entry: Entry) -> Iterator[tuple[str, str, str | None, float]]:
    """(parameter, constant, through, relative change of the constant per relative change of the parameter)."""
    for use in in_order(entry.parameters):
        for name, slope in use.sensitivity.items():
            yield use.name, name, use.through, slope * use.value / entry.constants[name].value
