"""Read a recording's plan back: by the equations that it carries, never by a model that only has the same name."""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from astro_sim.model import Input, Model, Observable, Option, Population, SpikeInput
from astro_sim.model.parts import CLAUSES
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from astro_sim.plan.plan import FIXED, Plan, declared
from astro_sim.plan.preparation import read_plan
from astro_sim.protocols import drive_from_dict
from astro_sim.protocols.text import chosen_elements
from foundation.errors import UserError
from foundation.expression import tree_of
from foundation.reading import content_of

_CLAUSE = re.compile(rf"^({'|'.join(CLAUSES)}): ", re.MULTILINE)
_RECORDED = "as recorded"


def plan_of(meta: Mapping, model: Model | None = None) -> Plan:
    """The plan that a recording's meta describes.

    model: that of the recording; by default `model_of(meta)`. Errors: as of `model_of`, and `DamagedFileError` where a
    meta says what no plan does.
    """
    with content_of("the meta of a recording", "simulate again"):
        return _plan_of(meta, model)


def _plan_of(meta: Mapping, model: Model | None) -> Plan:
    chosen, stored = model_of(meta) if model is None else model, _stored(meta["parameters"])
    units = meta["declared"]["initial_units"]
    initial = {name: _parameter(value) if isinstance(value, dict) else (value, units[name])
               for name, value in meta["initial"].items()}
    several = {name: (values, stored[name].unit) for name, values in meta.get("per_element", {}).items()}
    solver = meta["solver"]
    plan = read_plan(_with_set(chosen, meta["parameter_set"], stored),
                     [drive_from_dict(drive) for drive in meta["protocol"]],
                     parameter_set=meta["parameter_set"], parameters=stored | several, options=meta["options"],
                     initial=initial, duration=solver["duration_s"], dt=solver["dt_s"], method=solver["method"],
                     seed=meta["seed"], backend=solver["backend"], record_every=solver["record_every"] * solver["dt_s"],
                     rtol=solver.get("rtol"), atol=solver.get("atol"))
    return replace(plan, parameters={**plan.parameters, **{name: stored[name] for name in several}})


def model_of(meta: Mapping) -> Model:
    """The model that a recording was made with.

    That of its name in `MODELS` where it has exactly the equations, inputs and recorded variables of the recording;
    else a model made of what the recording says: its populations, their equations, parameters, inputs, bounds. What
    connects populations (who meets whom) is not in a recording. Errors: `UserError` for a model with connections that
    is not in `MODELS` as it was recorded, `DamagedFileError` where a meta says what no model does.
    """
    with content_of("the meta of a recording", "simulate again"):
        return _model_of(meta)


def _model_of(meta: Mapping) -> Model:
    known = MODELS.get(meta["model"])
    if known is not None and _is_recorded(known, meta):
        return known
    connected = sorted(meta["equations"].keys() - meta["declared"]["populations"].keys())
    if connected:
        other = "is not built in" if known is None else "had other equations than the built-in one"
        raise UserError(f"recording: its model {meta['model']} {other}, and who meets whom in {', '.join(connected)} "
                        "is not stored; give the model itself: plan_of(recording.meta, model)")
    return _rebuilt(meta)


def _is_recorded(model: Model, meta: Mapping) -> bool:
    """Whether a model is, under the recording's options, the one that was recorded."""
    try:
        options = model.read_options(meta["options"])
        return (model.texts(options) == meta["equations"] and declared(model, options) == meta["declared"]
                and set(model.used_parameters(options)) == meta["parameters"].keys())
    except UserError:  # an option or a value that it does not have
        return False


def _with_set(model: Model, name: str, stored: Mapping[str, Parameter]) -> Model:
    """The model, with the recording's parameters as the set `name` where it has none of this name."""
    if name in model.parameter_sets:
        return model
    return replace(model, parameter_sets={**model.parameter_sets, name: {**model.parameters(), **stored}})


def _parameter(entry: Mapping) -> Parameter:
    return Parameter(**{**entry, "allowed": "any"})


def _stored(entries: Mapping[str, Mapping]) -> dict[str, Parameter]:
    return {name: _parameter(entry) for name, entry in entries.items()}


def _rebuilt(meta: Mapping) -> Model:
    """A model without connections, from what its recording says."""
    told = meta["declared"]
    units = told["initial_units"]
    initial = {name: _parameter(value) if isinstance(value, dict) else
               Parameter(value[0], units[name], f"{name} at the start", _RECORDED, "stated", "any")
               for name, value in meta["initial"].items()}
    return Model(
        name=meta["model"],
        summary=f"{meta['model']}, {_RECORDED}",
        populations=tuple(_population(name, meta["equations"].get(name, ""), size)
                          for name, size in told["populations"].items()),
        parameter_sets={meta["parameter_set"]: _stored(meta["parameters"])},
        initial=initial,
        observables={name: Observable(**entry) for name, entry in told["observables"].items()},
        inputs={name: _input(name, entry) for name, entry in told["inputs"].items()},
        options={name: _option(value) for name, value in meta["options"].items()},
        spike_inputs={name: SpikeInput(population, _RECORDED) for name, population in told["spike_inputs"].items()},
        **({"method": method} if (method := meta["solver"]["method"]) in FIXED else {}),
    )


def _population(name: str, text: str, size: int) -> Population:
    """A population from its text: equations, then clauses such as "threshold: C > C_Theta"."""
    equations, *clauses = _CLAUSE.split(text)
    said = {clause: value.strip() for clause, value in zip(clauses[::2], clauses[1::2], strict=True)}
    if "events" in said:
        said["events"] = ast.literal_eval(tree_of(said["events"]))
        if not isinstance(said["events"], dict) or not all(isinstance(one, str) for one in said["events"].values()):
            raise UserError(f"recording: the events of {name} are no names with conditions")
    return Population(name, _RECORDED, equations, partial(_always, size), **said)


def _input(name: str, entry: Mapping) -> Input:
    reached = None if entry["elements"] is None else chosen_elements(entry["elements"])
    return Input(entry["population"], entry["variable"], entry["unit"], entry["default"], f"{name}, {_RECORDED}",
                 elements=None if reached is None else partial(_always, reached))


def _option(value: object) -> Option:
    """An option that can be nothing but what it was."""
    if isinstance(value, str):
        return Option(value, (value,), _RECORDED)
    if isinstance(value, int | float):
        return Option(value, (value, value), _RECORDED)
    numbers = tuple(value)
    return Option(numbers, (min(numbers, default=0), max(numbers, default=0)), _RECORDED)


def _always(value: object, options: Mapping) -> object:
    return value
