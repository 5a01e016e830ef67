"""Build a model of ours into a Brian2 network of the user's own, coupled in both directions.

    neurons = brian2.NeuronGroup(...)                       # a user's own
    network = brian2.Network(neurons)
    cell = attach(network, "li_rinzel_driven", options={"n": 2}, spikes={"spikes": (neurons, [0, 3])})
    neurons.calcium = brian2.linked_var(cell["astrocyte"], "C", index=[0, 0, 1, 1])
    network.run(2 * brian2.second)
    recording = cell.recording()                            # checked as `simulate` checks

In a step the network's own groups move first, with our values as they are at its start; ours follow, with theirs as
they are then. So coupling is of first order in dt, as between any two groups of Brian2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_sim.model import Input, Model
from astro_sim.parameter import Amount, unit
from astro_sim.plan import DEFAULT_DURATION, NOTHING, Plan, prepare
from astro_sim.protocols import Protocol
from astro_sim.recording.recording import Recording
from astro_sim.run.checks import find_problem
from foundation.errors import UserError, choose
from foundation.shapes import Array, Int

if TYPE_CHECKING:
    import brian2

    from astro_sim.brian.network import Built, Wire


@dataclass(frozen=True, eq=False)
class Attached:
    """A model inside a Brian2 network: `cell["astrocyte"]` is the Brian2 group of that population.

    `plan` is what was built; its duration is the longest for which its protocols and checks are made.
    """

    plan: Plan
    built: "Built"
    network: "brian2.Network"
    coupled: Mapping[str, str]

    def __getitem__(self, population: str) -> "brian2.Group":
        return choose(f"population of {self.plan.model.name}", population, self.built.groups)

    def recording(self) -> Recording:
        """What was recorded until now, from 0 to the start of the last step.

        Its `meta` says in "coupled" which of its inputs other groups drove. Errors: `UserError` where nothing was run,
        where the network ran longer than was prepared for, and where the result is not finite, leaves its bounds,
        turns back at every step, jumps or breaks a law of the model.
        """
        from astro_sim.brian.surroundings import preferences_changed
        from astro_sim.recording.collect import collect

        reached = float(self.network.t)
        if reached < self.plan.dt / 2:
            raise UserError(f"{self.plan.model.name}: nothing is recorded yet; call the network's run() first")
        if reached > self.plan.duration * (1 + 1e-9):
            raise UserError(f"duration: {self.plan.model.name} was attached for {self.plan.duration:g} s, and the "
                            f"network ran {reached:g} s; give attach a longer duration")
        plan = replace(self.plan, duration=reached)
        recording = collect(plan, self.built.monitors, self.built.events)
        changed = preferences_changed()  # it ran in the network's own surroundings: what is not Brian2's own is said
        recording = replace(recording, meta=recording.meta | {"coupled": dict(self.coupled)}
                            | ({"preferences": changed} if changed else {}))
        problem = find_problem(plan, recording)
        if problem:
            raise UserError(f"{problem[0]} at {problem[1]:g} s; give the network a shorter dt than {plan.dt:g} s, or "
                            "look at what its other groups send")
        return recording


def attach(network: "brian2.Network", model: str | Model, protocol: Protocol = None, *,
           spikes: Mapping[str, Any] = NOTHING, inputs: Mapping[str, tuple] = NOTHING,
           duration: Amount = DEFAULT_DURATION, dt: Amount | None = None, name: str = "", **settings: Any) -> Attached:
    """Add the groups of a model to a Brian2 network.

    spikes: spike input of the model -> a group of the network whose spikes it takes, or (group, elements) with the
    element for each source of the model. inputs: input of the model -> (group, variable) that it follows, or (group,
    variable, elements) with the element for each element of ours; one element stands for all. What is not named keeps
    its default or its `protocol`. duration: the longest that the network will run. dt: the step, by default Brian2's
    `defaultclock.dt`; the groups named must have the same. name: put before the names of the groups, where two models
    are attached to one network. settings: parameter_set, parameters, options, initial, method, seed, record_every, as
    of `simulate`; the seed draws initial values alone, random numbers of the run are seeded by `brian2.seed`.

    Errors: `UserError` for bad input, for another dt or unit, and for Brian2's C++ standalone device.
    """
    import brian2
    from brian2.devices.device import RuntimeDevice, get_device

    from astro_sim.brian.network import Outside, build

    if not isinstance(network, brian2.Network):
        raise UserError(f"network: {type(network).__name__} is not a Brian2 Network; write brian2.Network(group, ...)")
    device = get_device()
    if not isinstance(device, RuntimeDevice):
        raise UserError("attach: needs Brian2's runtime (numpy or cython), not C++ standalone; do not call set_device")
    step = float(brian2.defaultclock.dt) if dt is None else dt
    plan = prepare(model, protocol, duration=duration, dt=step, backend=device.code_object_class().class_name,
                   **settings)
    outside = Outside({plan.model.spike_inputs[key].population: wire for key, wire in _spikes(plan, spikes).items()},
                      {(plan.model.inputs[key].population, plan.model.inputs[key].variable): wire
                       for key, wire in _values(plan, inputs).items()}, name)
    built = build(plan, outside=outside)
    network.add(*built.network.objects)
    coupled = {key: getattr(given[0] if isinstance(given, tuple) else given, "name", "")
               for key, given in (*spikes.items(), *inputs.items())}
    return Attached(plan, built, network, coupled)


def _spikes(plan: Plan, spikes: Mapping[str, Any]) -> dict[str, "Wire"]:
    """The groups that stand for sources of spikes, by the spike input's name."""
    wires = {}
    for key, given in spikes.items():
        target = choose(f"spike input of {plan.model.name}", key, dict(plan.model.spike_inputs))
        if any(train.input == key for train in plan.protocol):
            raise UserError(f"{key}: a group and a protocol both send its spikes; give one of them")
        group, elements = given if isinstance(given, tuple) else (given, None)
        if "spike" not in getattr(group, "events", {"spike": ""}) or not hasattr(group, "spikes"):
            raise UserError(f"{key}: {getattr(group, 'name', group)} sends no spikes; give a group with a threshold")
        wires[key] = _wire(plan, key, group, elements=elements, size=plan.size(target.population))
    return wires


def _values(plan: Plan, inputs: Mapping[str, tuple]) -> dict[str, "Wire"]:
    """The variables that inputs follow, by the input's name."""
    wires = {}
    for key, given in inputs.items():
        target = choose(f"input of {plan.model.name}", key, dict(plan.model.inputs))
        size = plan.size(target.population)
        if len(plan.reach(key)) < size:
            raise UserError(f"{key}: reaches some elements of {target.population} only, and cannot follow a group; "
                            "give it a protocol")
        if any(drive.input == key for drive in plan.protocol):
            raise UserError(f"{key}: a group and a protocol both drive it; give one of them")
        if not isinstance(given, tuple) or len(given) not in (2, 3):
            raise UserError(f"{key}: {given!r} is not allowed; give (group, 'variable') or (group, 'variable', "
                            "elements)")
        group, variable = given[:2]
        _check_variable(key, target, group, variable=variable)
        wires[key] = _wire(plan, key, group, elements=given[2] if len(given) == 3 else None, size=size,
                           variable=variable)
    return wires


def _check_variable(key: str, target: Input, group: Any, *, variable: str) -> None:
    """A group has the variable, in the dimension of the input."""
    import brian2

    if variable not in getattr(group, "variables", {}):
        raise UserError(f"{key}: {getattr(group, 'name', group)} has no variable '{variable}'")
    if not brian2.have_same_dimensions(group.variables[variable].dim, brian2.get_dimensions(unit(target.unit))):
        raise UserError(f"{key}: {group.name}.{variable} has another dimension; it must be one of {target.unit}")


def _wire(plan: Plan, key: str, group: Any, *, elements: Sequence[int] | None, size: int, variable: str = "") -> "Wire":
    """Which element of the group each of `size` elements of ours takes."""
    from astro_sim.brian.network import Wire

    if abs(float(group.clock.dt) - plan.dt) > 1e-9 * plan.dt:
        raise UserError(f"dt: {group.name} has {float(group.clock.dt):g} s and {plan.model.name} {plan.dt:g} s; give "
                        "both the same")
    if elements is None and len(group) not in (1, size):
        raise UserError(f"{key}: {group.name} has {len(group)} elements for {size}; say which, as a third item: an "
                        "element of the group for each")
    chosen = _chosen(len(group), size) if elements is None else np.asarray(elements, int)
    if chosen.shape != (size,) or chosen.min() < 0 or chosen.max() >= len(group):
        raise UserError(f"{key}: {len(chosen)} elements of {group.name} are given; give {size}, each from 0 to "
                        f"{len(group) - 1}")
    return Wire(group, chosen, variable)


def _chosen(available: int, size: int) -> Int[Array, "element"]:
    return np.zeros(size, int) if available == 1 else np.arange(size)
