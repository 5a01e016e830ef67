"""Models, plans and recordings in words, for the command line."""

from astro_sim.model import Model, Option
from astro_sim.plan import Plan
from astro_sim.protocols import Drive, Formula, Samples, Train
from astro_sim.run import estimate
from astro_sim.run.estimate import Estimate
from foundation.table import aligned


def as_dict(model: Model, parameter_set: str) -> dict:
    """Everything about a model under one parameter set, for --json."""
    return {
        "name": model.name, "summary": model.summary, "parameter_set": parameter_set,
        "parameter_sets": list(model.parameter_sets), "sources": list(model.sources),
        "not_modelled": model.not_modelled,
        "equations": {part.name: part.text for part in (*model.populations, *model.connections)},
        "parameters": {name: p.as_dict() for name, p in model.parameters(parameter_set).items()},
        "initial": {name: p.as_dict() for name, p in model.initial_of(parameter_set).items()},
        "inputs": {name: {"unit": i.unit, "default": i.default, "meaning": i.meaning}
                   for name, i in model.inputs.items()},
        "spike_inputs": {name: s.meaning for name, s in model.spike_inputs.items()},
        "observables": {name: {"unit": o.unit, "long_name": o.long_name} for name, o in model.observables.items()},
        "events": {name: {"population": e.population, "long_name": e.long_name} for name, e in model.events.items()},
        "maps": {name: {"population": m.population, "target": m.target, "long_name": m.long_name}
                 for name, m in model.maps.items()},
        "options": {name: {"default": o.default, "allowed": list(o.allowed), "meaning": o.meaning}
                    for name, o in model.options.items()},
    }


def as_text(model: Model, parameter_set: str) -> str:
    """What `show` prints: equations, options, parameters with unit, value, source and basis."""
    others = [name for name in model.parameter_sets if name != parameter_set]
    parts = [f"{model.name}: {model.summary}", f"sources: {', '.join(model.sources)}; integrated by {model.method}"]
    if model.not_modelled:
        parts.append(f"not modelled: {model.not_modelled}")
    for part in (*model.populations, *model.connections):
        when = "".join(f" (with {name} = {' or '.join(values)})" for name, values in getattr(part, "when", {}).items())
        fixed = "".join(f"\n{name} = {text}, once" for name, text in getattr(part, "fixed", {}).items())
        body = f"{part.text}{fixed}".replace("\n", "\n  ")
        parts.append(f"\n{part.name}: {part.meaning}{when}\n  {body}".rstrip())
    parts.append(f"\nparameters, set {parameter_set}" + (f" (others: {', '.join(others)})" if others else ""))
    parts += aligned([name, _number(p.value), p.unit, p.basis, p.source, p.meaning]
                     for name, p in model.parameters(parameter_set).items())
    parts.append("\ninitial values")
    parts += aligned([name, _number(p.value), p.unit, p.basis, p.source, p.meaning]
                     for name, p in model.initial_of(parameter_set).items())
    parts.append("\ninputs, for --protocol")
    parts += aligned([name, _number(i.default), i.unit, i.meaning] for name, i in model.inputs.items())
    parts += aligned([name, "spikes", s.meaning] for name, s in model.spike_inputs.items())
    parts.append("\nrecorded")
    parts += aligned([name, o.unit, o.long_name] for name, o in model.observables.items())
    parts += [f"  {name}: {one.long_name}" for name, one in (*model.events.items(), *model.maps.items())]
    if model.options:
        parts.append("\noptions, for --option")
        parts += aligned([name, default_text(o), allowed_text(o), o.meaning] for name, o in model.options.items())
    return "\n".join(parts)


def default_text(option: Option) -> str:
    """An option's default as it is written on the command line."""
    return "+".join(map(str, option.default)) or "-" if isinstance(option.default, tuple) else str(option.default)


def allowed_text(option: Option) -> str:
    """What an option may be, in words."""
    if isinstance(option.default, str):
        return ", ".join(option.allowed)
    return ("each " if isinstance(option.default, tuple) else "") + "{} to {}".format(*option.allowed)


def _number(value: float) -> str:
    return f"{value:.10g}"


def _what(drive: Drive | Train) -> str:
    """What a drive is, in a few words."""
    if isinstance(drive, Formula):
        return drive.value
    if isinstance(drive, Samples):
        return f"{len(drive.times)} samples, {drive.interpolation}"
    return f"{len(drive.times)} pieces" if isinstance(drive, Drive) else "spikes"


def solver_text(plan: Plan) -> str:
    """Which solver it is, and why."""
    control = f", rtol {plan.rtol:g}, atol {plan.atol:g}" if plan.adaptive else f", steps of {plan.dt:g} s"
    return f"solver {plan.method} of {plan.backend}{control}: {plan.why}"


def plan_text(plan: Plan, needed: Estimate) -> str:
    """What would run, and what it needs."""
    lines = [f"would simulate {plan.model.name}:{plan.parameter_set} for {plan.duration:g} s: {plan.steps} steps of "
             f"{plan.dt:g} s, {plan.method}, backend {plan.backend}, seed {plan.seed}", f"  {solver_text(plan)}"]
    lines += [f"  option {name} = {value}" for name, value in plan.options.items()]
    lines += [f"  {d.kind} on {d.input}: {_what(d)}" for d in plan.protocol]
    lines += ["  inputs without a protocol keep their default", f"  {estimate.text(needed)}"]
    lines += aligned([name, _number(p.value), p.unit, p.basis, p.source] for name, p in plan.parameters.items()
                     if name not in plan.per_element)
    lines += [f"  {name}: {len(values)} values, {values.min():g} to {values.max():g} {plan.parameters[name].unit}"
              for name, values in plan.per_element.items()]
    return "\n".join(lines)


def summary_text(given: dict) -> str:
    """What `run` prints of a recording: range, unit and size of each variable."""
    head = (f"{given['out']}: {given['model']}, {given['records']} records to {given['last_time_s']:g} s, "
            f"hash {given['hash'][:12]}")
    rows = [[name, f"{v['min']:.6g} to {v['max']:.6g}", v["unit"], f"{v['elements']} x", v["long_name"]]
            for name, v in given["variables"].items()]
    return "\n".join([head, *aligned(rows)])
