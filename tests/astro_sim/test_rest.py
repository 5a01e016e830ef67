"""Left alone, every model comes to the rest that its equilibria say, or oscillates where they say so, without an event.

Each model is integrated for 300 s from its own start with every input at zero, and at its default too where that is
another, by scipy and from the text that Brian2 runs: all populations, all sums over connections. The judge is
`dynamics.equilibria`. With receptor noise rest is the same: the noise scales with h_inf - h, so it ends with it. A
neuron rests at E_l, a synapse with all its resources. Two runs of Brian2 itself stand beside it.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import root

from astro_sim import dynamics
from astro_sim.dynamics.functions import ARRAYS
from astro_sim.model import Model, Observable, Population
from astro_sim.model.equation_text import evaluator, lines, right_sides, symbols
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import prepare
from astro_sim.run.simulation import simulate

SECONDS, LONG, MICROMOLAR = 300.0, 200.0, 1e-3  # LONG: several periods
SMALL = {"n_columns": 2, "n_rows": 1, "n_excitatory": 3, "n_inhibitory": 2, "p_excitatory": 0.7, "p_inhibitory": 0.6,
         "wiring_seed": 3, "idle_astrocytes": "allowed", "n_pre": 2, "n_post": 2}
# a steady state that is left by the least push is one all the same: nothing pushes here
UNSTABLE_AT_ZERO = {"associative_memory"}


@dataclass
class Whole:
    """A plan's ODEs as one function of all states (SI base values): populations one after the other, then elements."""

    plan: object
    levels: dict

    def __post_init__(self):
        plan, model = self.plan, self.plan.model
        self.parts = [one for one in model.active_populations(plan.options) if one.equations.strip()]
        self.sizes = {one.name: plan.size(one.name) for one in model.populations}
        self.states = [(one.name, line.name) for one in self.parts for line in lines(one.equations)
                       if line.kind == "ode"]
        self.fixed = {name: float(p.quantity()) for name, p in plan.parameters.items()} | {
            "dt": plan.dt, "t": 0.0, "xi": 0.0, "int": lambda x: np.trunc(np.asarray(x, float))}
        self.rates = {one.name: right_sides(one.equations, ARRAYS) for one in self.parts}
        self.sums = [self._sum(one, name) for one in sorted(model.active_connections(plan.options),
                                                            key=lambda c: c.order) for name in one.filled()]

    def begins(self, population, name):
        given = self.plan.initial.get(name, 0.0)
        if isinstance(given, Parameter):
            given = given.quantity()
        elif isinstance(given, tuple):
            given = np.array(given) * unit(self.plan.model.initial[name].unit)
        return np.broadcast_to(np.asarray(given, float), self.sizes[population])

    def start(self):
        return np.concatenate([self.begins(population, name) for population, name in self.states])

    def given(self, y):
        """Values by population and name: parameters, inputs, states, and zero for what connections fill."""
        table = {one.name: {**self.fixed, **{line.name: self.begins(one.name, line.name).copy() for line in
                                             lines(one.equations) if line.kind == "variable"}} for one in self.parts}
        for (population, variable), level in self.levels.items():
            if population in table:
                table[population][variable] = np.full(self.sizes[population], level)
        at = 0
        for population, name in self.states:
            table[population][name] = y[at:at + self.sizes[population]]
            at += self.sizes[population]
        return table

    def _sum(self, connection, name):
        """What a connection sums into `name` of its target: a function that adds it to the values."""
        pairs, text = connection.pairs(self.plan.options), connection.equations
        ends = {"_pre": (connection.source, np.asarray(pairs.source, int)),
                "_post": (connection.target, np.asarray(pairs.target, int))}
        own = {**self.fixed, **{key: np.asarray(value, float) for key, value in pairs.constants.items()},
               "N_pre": self.sizes[connection.source], "N_post": self.sizes[connection.target]}
        own |= {key: evaluator(expression, "")(own) for key, expression in connection.fixed.items()}
        term = next(line.expression for line in lines(text) if "summed" in line.flags
                    and line.name.removesuffix("_post") == name)
        subexpressions = {line.name: line.expression for line in lines(text) if line.kind == "subexpression"}
        wanted, before = set(symbols(term)), set()
        while wanted != before:
            more = [symbols(subexpressions[one]) for one in wanted & subexpressions.keys()]
            before, wanted = wanted, wanted.union(*more)
        wanted -= own.keys() | subexpressions.keys()
        read = [(key, *ends[end], key.removesuffix(end)) for key in wanted for end in ends if key.endswith(end)]
        texts = {one.name: one.equations for one in self.parts}
        sides = {key: (side, index, evaluator(variable, texts[side])) for key, side, index, variable in read}
        summand = evaluator(term, text)

        def add(table):
            values = {key: np.broadcast_to(value(table[side]), self.sizes[side])[index]
                      for key, (side, index, value) in sides.items()}
            target = ends["_post"]
            np.add.at(table[target[0]].setdefault(name, np.zeros(self.sizes[target[0]])), target[1],
                      summand({**own, **values}))

        return add

    def values(self, y):
        table = self.given(y)
        for add in self.sums:
            add(table)
        return table

    def __call__(self, t, y):
        with np.errstate(divide="ignore", invalid="ignore"):  # log(0) of a threshold that nothing has come near
            table = self.values(y)
            found = {one.name: self.rates[one.name](table[one.name]) for one in self.parts}
        return np.concatenate([np.broadcast_to(found[population][name], self.sizes[population])
                               for population, name in self.states])

    def course(self, seconds=SECONDS, start=None):
        return solve_ivp(self, (0, seconds), self.start() if start is None else start, "LSODA",
                         np.linspace(0, seconds, 3001), rtol=1e-6, atol=1e-9)

    def of(self, course, name):
        """One state over time, float64 (state's elements, time)."""
        at = 0
        for population, state in self.states:
            if state == name:
                return course.y[at:at + self.sizes[population]]
            at += self.sizes[population]
        raise KeyError(name)

    def events(self, course):
        """Names of the events that happen at any of the recorded times."""
        def happens(one):
            source = self.plan.model.population(one.population)
            expression = source.threshold if one.event == "spike" else source.events[one.event]
            passes = evaluator(expression, source.equations)
            return any(np.any(passes(self.values(y)[one.population])) for y in course.y.T[::10])

        active = {one.name for one in self.parts}
        return [name for name, one in self.plan.model.events.items() if one.population in active and happens(one)]


def levels(model, inputs):
    """(population, variable) -> SI base value of every input."""
    return {(i.population, i.variable): float((i.default if inputs == "default" else 0.0) * unit(i.unit))
            for i in model.inputs.values()}


CASES = [(name, chosen, "zero") for name, model in MODELS.items() for chosen in model.parameter_sets]
CASES += [(name, chosen, "default") for name, model in MODELS.items() for chosen in model.parameter_sets
          if any(i.default for i in model.inputs.values()) and not model.events and not model.stochastic]


def whole(name, parameter_set, inputs):
    model = MODELS[name]
    plan = prepare(model, parameter_set=parameter_set, duration="1 s", dt="1 ms",
                   options={key: value for key, value in SMALL.items() if key in model.options})
    return Whole(plan, levels(model, inputs))


def cell(name, parameter_set):
    """The model's calcium compartment alone, as a model that has equilibria: without noise, neighbours and synapses."""
    model = MODELS[name.removesuffix("_stochastic")]
    one = next((p for p in model.populations if "dC/dt" in p.equations), None)
    if one is None:
        return None
    used = set().union(*(symbols(text) for text in one.expressions() if text != one.threshold))
    filled = {line.name: Parameter(0.0, "mmolar/second" if line.name.startswith("J_") else "mmolar", line.name,
                                   "assumed here", "assumed", "any")
              for line in lines(one.equations) if line.kind == "variable"}
    states = [line.name for line in lines(one.equations) if line.kind == "ode"]
    return Model(name="cell", summary="", populations=(Population("astrocyte", "", one.equations),),
                 parameter_sets={"one": {key: p for key, p in model.parameters(parameter_set).items() if key in used}},
                 initial={**{key: model.initial_of(parameter_set)[key] for key in states}, **filled},
                 observables={line.name: replace(model.observables[line.name], population="astrocyte")
                              if line.name in states and line.name in model.observables else
                              Observable("astrocyte", line.unit, line.name) for line in lines(one.equations)},
                 inputs={key: replace(i, population="astrocyte") for key, i in model.inputs.items()
                         if i.population == one.name})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameter_set", "inputs"), CASES)
def test_left_alone_a_model_comes_to_its_equilibrium_or_oscillates(name, parameter_set, inputs):
    system = whole(name, parameter_set, inputs)
    course = system.course()
    assert course.success, course.message
    assert system.events(course) == []
    moved = np.ptp(course.y[:, 2500:], axis=1) > 0.01 * np.abs(course.y).max(axis=1)
    alone = cell(name, parameter_set)
    if alone is not None:
        at = {key: 0.0 if inputs == "zero" else i.default for key, i in alone.inputs.items()}
        stable = [row for row in dynamics.equilibria(alone, at or None) if row["stable"]]
        if moved.any():
            on = system.course(2 * LONG, course.y[:, -1])
            sizes = [np.ptp(system.of(on, "C")[0, part]) for part in (slice(0, 1500), slice(1500, None))]
            assert sizes[0] == pytest.approx(sizes[1], rel=0.01), "an oscillation that goes on"
            return
        ends = {key: system.of(course, key)[:, -1] / float(1 * unit(alone.initial[key].unit)) for key in alone.states()}
        # the slowest rate of all is .02/s: exp(-6) of a start of some .5 is left
        assert any(all(np.abs(ends[key] - row[key]).max() < 2e-3 for key in ends) for row in stable), (ends, stable)
        return
    assert not moved.any()
    rest = root(lambda y: system(0, y), course.y[:, -1], method="krylov" if len(course.y) > 100 else "hybr")
    assert np.abs(rest.x - course.y[:, -1]).max() < 1e-3
    if name not in UNSTABLE_AT_ZERO:
        point = np.where(np.abs(rest.x) < 1e-9, 0.0, rest.x)  # what cannot be negative is pushed upwards
        columns = [(system(0, point + 1e-6 * axis) - system(0, point)) / 1e-6 for axis in np.eye(len(point))]
        assert np.linalg.eigvals(np.array(columns)).real.max() < 0


@pytest.mark.parametrize(("F_ex", "C", "I"), [(2.0, 0.0298, 0.198), (0.09, 0.0325, 0.287)])
def test_rest_of_figure_4(F_ex, C, I):
    model = MODELS["gchi_receptor"]
    table = dict(model.parameters("figure_4"))
    table["F_ex"] = replace(table["F_ex"], value=F_ex)
    rows = dynamics.equilibria(replace(model, parameter_sets={**model.parameter_sets, "figure_4": table}),
                               {"glutamate": 0, "ip3_source": 0}, parameter_set="figure_4")
    low = min((row for row in rows if row["stable"]), key=lambda row: row["C"])
    assert (low["C"], low["I"]) == (pytest.approx(C, abs=5e-5), pytest.approx(I, abs=5e-4))


@pytest.mark.slow
def test_without_its_source_the_astrocyte_of_figure_4_has_no_low_rest():
    model = MODELS["gchi_receptor"]
    table = dict(model.parameters("figure_4"))
    table["F_ex"] = replace(table["F_ex"], value=0.0)
    rows = dynamics.equilibria(replace(model, parameter_sets={**model.parameter_sets, "figure_4": table}),
                               {"glutamate": 0}, parameter_set="figure_4")
    assert [(row["C"], row["I"]) for row in rows if row["stable"]] == [(pytest.approx(0.435, abs=1e-3),
                                                                        pytest.approx(0.998, abs=1e-3))]


@pytest.mark.slow
@pytest.mark.parametrize("parameter_set", ["release_decreasing", "figure_3"])
def test_brian2_releases_nothing_either(parameter_set):
    recording = simulate(f"tripartite:{parameter_set}", None, options={"loop": "closed"}, duration="20 s", dt="50 ms",
                         record_every="1 s")
    assert len(recording.events["releases"].times) == 0
    wanted = whole("tripartite", parameter_set, "zero")
    course = solve_ivp(wanted, (0, 20), wanted.start(), "BDF", np.arange(21.0), rtol=1e-8, atol=1e-12)
    for name in ("C", "I"):  # steps of 50 ms are coarse for the first second, in which calcium sets PLC delta going
        found, exact = recording[name].values[:, 0], wanted.of(course, name)[0] / MICROMOLAR
        assert found == pytest.approx(exact, abs=5e-3) and found[-1] == pytest.approx(exact[-1], abs=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameter_set"), [
    ("gchi_stochastic", "AM"), ("gchi_receptor_stochastic", "figure_2"), ("gchi_receptor_stochastic", "figure_4")])
def test_receptor_noise_ends_with_what_it_scales(name, parameter_set):
    recording = simulate(f"{name}:{parameter_set}", "constant:input=glutamate,value=0 umolar", duration="100 s",
                         dt="0.1 s", record_every="1 s", seed=4, options={"n": 5})
    alone = cell(name, parameter_set)
    stable = [row for row in dynamics.equilibria(alone, {"glutamate": 0}) if row["stable"]]
    assert len(stable) == 1
    for key in ("C", "h", "I"):  # IP3, the slowest, has come to exp(-4) of its start
        assert recording[key].values[-1] == pytest.approx(stable[0][key], abs=0.01), key
