"""A model's declaration: symbols used are symbols declared, in every part; what Brian2 runs is what we read."""

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astro_sim.dynamics.local import local
from astro_sim.model import Connection, Input, Model, Observable, Option, Pairs, Population, names
from astro_sim.model.equation_text import lines, right_sides, symbols
from astro_sim.models import MODELS
from astro_sim.models.macro import model as macro
from astro_sim.parameter import Parameter
from astro_sim.plan import prepare
from astro_sim.run.simulation import simulate
from astro_sim.show import describe
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]
RATE = Parameter(2.0, "1/second", "decay", "Mia2026", "assumed")


def decay(equations="dx/dt = (u - x)*rate : 1", **changes):
    given = {"name": "decay", "summary": "", "populations": (Population("cell", "", equations),),
             "parameter_sets": {"one": {"rate": RATE}},
             "initial": {"x": Parameter(1.0, "1", "start", "Mia2026", "assumed")},
             "inputs": {"u": Input("cell", "u", "1", 0.0, "drive")},
             "observables": {"x": Observable("cell", "1", "state")}}
    return Model(**{**given, **changes})


@pytest.mark.slow
def test_a_model_of_the_users_own_runs():
    recording = simulate(decay(), duration="1 s", dt="10 ms")
    # rk4 on a linear equation: error per step (2*0.01)^5/120
    assert recording["x"].values[:, 0] == pytest.approx(np.exp(-2 * recording.time), rel=1e-8)


@pytest.mark.parametrize(("change", "says"), [
    ({"equations": "dx/dt = (u - x)*speed : 1"}, "used and not declared: speed"),
    ({"equations": "dx/dt = u*second**-1 : 1"}, "used and not declared: second"),
    ({"equations": "dx/dt = -x*rate : 1"}, "declared and not used: u"),
    ({"equations": "dx/dt = (u - x)*rate : 1\ny = 2*x : 1"}, "declared and not used: y"),
    ({"equations": "dx/dt = (u - x + y)*rate : 1\ny : 1"},
     r"^model decay: declared and never filled: y; a line without '=' .*give it one"),
    ({"parameter_sets": {"one": {"rate": RATE, "other": RATE}}}, "declared and not used: other"),
    ({"parameter_sets": {"one": {"rate": RATE}, "two": {}}}, "same names"),
    ({"parameter_sets": {}}, "same names"),
    ({"initial": {}}, "without an initial value: x"),
    ({"observables": {"z": Observable("cell", "1", "")}}, "z"),
    ({"equations": "dx/dt = (u - x)*rate"}, "cannot read"),
    ({"equations": "x = = 3 : 1"}, "cannot read"),
])
def test_what_is_not_declared_or_not_used_is_refused(change, says):
    with pytest.raises(UserError, match=says):
        decay(**change)


def link(equations="sum_post = weight*x_pre : 1 (summed)\nweight : 1 (constant)", **changes):
    pairs = Pairs([0], [0], {"weight": [3.0]})
    text = "dx/dt = (u + sum - x)*rate : 1\nsum : 1"
    connection = Connection("self", "cell", "cell", "", equations, lambda options: pairs, **changes)
    return decay(text, connections=(connection,))


@pytest.mark.parametrize(("equations", "says"), [
    ("sum_post = strength*x_pre : 1 (summed)", "used and not declared: strength"),
    ("sum_post = y_pre : 1 (summed)", "used and not declared: y_pre"),
    ("sum_post = x_pre : 1 (summed)\nweight : 1 (constant)", "declared and not used: weight"),
    ("total_post = x_pre : 1 (summed)", "filled and not declared: total"),
])
def test_connections_are_checked_too(equations, says):
    assert link().active_connections({})
    with pytest.raises(UserError, match=says):
        link(equations)


@pytest.mark.slow
def test_a_connection_sums():
    recording = simulate(link(), duration="0.1 s", dt="1 ms")
    # dx/dt = rate (3 x - x), the sum held over each step: x grows as (1 + ...) to first order
    assert recording["x"].values[-1, 0] == pytest.approx(np.exp(0.4), rel=2e-3)


def test_two_populations_may_not_share_a_name():
    model = decay()
    twin = dataclasses.replace(model.populations[0], name="other")
    with pytest.raises(UserError, match="unique"):
        decay(populations=(model.populations[0], twin), inputs={**model.inputs, "v": Input("other", "u", "1", 0.0, "")})


def test_options_are_read_and_refused():
    size, kind = Option(3, (1, 9), "size"), Option("a", ("a", "b"), "kind")
    assert (size.read("n", "4"), size.read("n", 9), kind.read("k", "b")) == (4, 9, "b")
    for option, wrong in ((size, "0"), (size, "ten"), (size, "1.5"), (size, None), (kind, "c"), (kind, 3)):
        with pytest.raises(UserError, match="option x"):
            option.read("x", wrong)


def test_equation_text_is_read_as_brian2_reads_it():
    from brian2 import Equations

    for model in MODELS.values():
        for population in model.populations:
            theirs = {name: equation.type for name, equation in Equations(population.equations).items()}
            kinds = {"ode": "differential equation", "subexpression": "subexpression", "variable": "parameter"}
            assert {line.name: kinds[line.kind] for line in lines(population.equations)} == theirs


def test_symbols_leave_out_functions_and_noise():
    assert symbols("exp(a*b)/tanh(c) + xi*t + xi_2") == {"a", "b", "c"}
    assert symbols("x += w\ny = 0") == {"x", "w", "y"}


def test_right_sides_order_subexpressions_and_refuse_a_circle():
    rates = right_sides("dx/dt = y : 1\ny = 2*z : 1\nz = x + 1 : 1", {})
    assert rates({"x": 3.0}) == {"x": 8.0}
    with pytest.raises(UserError, match="in terms of itself"):
        right_sides("dx/dt = y : 1\ny = z : 1\nz = y : 1", {})


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"coupling": "diffusive"}, {"coupling": "none"}, {"layout": "line"},
                                     {"layout": "equal"}, {"n_pre": 1, "n_post": 1}, {"n_pre": 4, "n_post": 1},
                                     {"n_pre": 1, "n_post": 1, "coupling": "diffusive"}])
def test_macro_runs_in_every_structure(options):
    recording = simulate("macro", "constant:input=b_pre,value=1", options=options, duration="50 ms", dt="5 ms")
    n_pre, n_post = options.get("n_pre", 3), options.get("n_post", 3)
    assert recording["x"].values.shape == (11, n_pre + n_post)
    assert recording["p_l"].values.shape == (11, n_pre * n_post)
    assert recording["s"].labels[-1] == f"pre {n_pre - 1} to post {n_post - 1}"
    assert (recording["s"].positions is None) == (options.get("layout") == "equal")


def test_only_parameters_that_take_part_are_kept():
    used = {(kind, layout): set(macro.MODEL.used_parameters(macro.MODEL.read_options({"coupling": kind,
                                                                                      "layout": layout})))
            for kind in ("dense", "diffusive", "none") for layout in ("line", "grid", "equal")}
    without = used["none", "grid"]
    assert used["dense", "line"] - without == {"a", "ell"}
    assert used["dense", "grid"] - without == used["dense", "equal"] - without == {"a_sheet", "ell_sheet"}
    assert used["diffusive", "grid"] - without == {"D"}


@pytest.mark.parametrize(("name", "says"), [
    *((name, "Brian2's own unit") for name in ("mM", "uM", "Hz", "radian", "mV", "kgram", "umetre3", "ms", "gray")),
    *((name, "Brian2's own constant") for name in ("e", "pi", "inf")),
    *((name, "Brian2's own function") for name in ("exp", "sqrt", "floor", "poisson", "timestep")),
    ("N", "the number of elements"), ("i", "the index of an element"), ("dt", "the step"), ("t", "the time"),
    ("N_pre", "the number of sources"), ("lastspike", "the last spike"), ("refractory", "refractory time"),
    ("xi", "noise"), ("xi_x", "noise"), ("_x", "begins with _"), ("lambda", "is no name"),
    ("column_u", "the simulator makes"), ("part_0", "the simulator makes"), ("u_slope_2", "the simulator makes"),
])
def test_a_name_that_means_something_else_to_brian2_is_refused_when_the_model_is_made(name, says):
    """As a parameter, an input and a variable alike."""
    parameter = {"equations": f"dx/dt = (u - x)*{name} : 1", "parameter_sets": {"one": {name: RATE}}}
    driven = {"equations": f"dx/dt = ({name} - x)*rate : 1", "inputs": {"u": Input("cell", name, "1", 0.0, "drive")}}
    variable = {"equations": f"dx/dt = (u - x + {name})*rate : 1\n{name} = 2*x : 1"}
    for changes in (parameter, driven, variable):
        with pytest.raises(UserError, match=rf"^model decay: '{name}' .*{says}.*; choose another name"):
            decay(**changes)


def test_the_names_are_those_of_brian2s_tables():
    """What its files say is at least what its tables hold; where they say more, the tables decide."""
    from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, DEFAULT_UNITS

    tables = DEFAULT_CONSTANTS.keys() | DEFAULT_FUNCTIONS.keys() | DEFAULT_UNITS.keys()
    assert tables - {"-inf"} <= names._in_files()
    assert names.taken_by_brian2({"chenry", "rate", "C_T", "Omega_C"}) == {}, "in the files, not in the tables"
    assert set(names.taken_by_brian2(tables)) == tables
    assert len(tables) > 1700


@pytest.mark.parametrize("changes", [
    {"parameter_sets": {"one": {"rate": RATE, "x": RATE}}},
    {"equations": "dx/dt = (u - x)*rate + u : 1\nu = 2*x : 1"},
    {"populations": (Population("left_open", "", "dx/dt = (u - x)*rate : 1"),)},
    {"populations": (Population("my cell", "", "dx/dt = (u - x)*rate : 1"),)},
    {"equations": "dx/dt = (u - x + x_pre)*rate : 1\nx_pre = 2*x : 1"},
])
def test_a_name_that_means_two_things_is_refused(changes):
    with pytest.raises(UserError, match="choose another name"):
        decay(**changes)


@pytest.mark.slow
def test_making_a_model_loads_no_brian2():
    code = ("import sys; from astro_sim import Model, Parameter; from astro_sim.models import MODELS; "
            "from dataclasses import replace; replace(MODELS['gchi'], name='own'); print('brian2' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=ROOT).stdout.strip() == "False"


@pytest.mark.slow
def test_a_variable_named_like_an_attribute_of_a_group_starts_where_it_should():
    """`group.order = 1` would set the group's place in a step, and the variable would start at 0."""
    known = ("order", "start", "events", "namespace", "when", "state", "spikes", "clock", "name")
    model = decay("\n".join(f"d{name}/dt = (u - {name})*rate : 1" for name in known),
                  initial={name: Parameter(1.0, "1", "start", "Mia2026", "assumed") for name in known},
                  observables={name: Observable("cell", "1", "state") for name in known})
    found = simulate(model, duration="20 ms", dt="10 ms")
    for name in known:
        assert found[name].values[:, 0] == pytest.approx(np.exp(-2 * np.array([0, 0.01, 0.02])), rel=1e-7), name


def test_names_that_only_begin_so_are_fine():
    assert decay("dx/dt = (u - x*xi2)*rate : 1\nxi2 = 1 : 1").states() == ["x"]


def test_a_model_and_its_parameter_sets_are_tables():
    from astro_sim.models import MODELS

    model = MODELS["li_rinzel"]
    page, table = model._repr_html_(), model.parameters("FM")._repr_html_()
    for part in ("li_rinzel: ", "ip3", "umolar", *model.parameter_sets, model.observables["C"].long_name):
        assert part in page, part
    for name, parameter in model.parameters("FM").items():
        assert f">{name}</td>" in table and f">{parameter.value:.10g}</td>" in table and parameter.source in table
    assert "<caption>li_rinzel:FM</caption>" in table
    for shown in (repr(model), repr(model.parameters())):
        assert "\n" not in shown and len(shown) < 300
    assert pickle.loads(pickle.dumps(model.parameters("FM"))) == model.parameters("FM")


# ---------------------------------------------------------------- starts that a parameter set brings along

def started(**starts):
    return decay(parameter_sets={"one": {"rate": RATE}, "other": {"rate": RATE}}, starts=starts)


def test_a_set_begins_with_its_own_start():
    model = started(other={"x": Parameter(0.25, "1", "start", "Mia2026", "stated")})
    assert [model.initial_of(name)["x"].value for name in (None, "one", "other")] == [1.0, 1.0, 0.25]
    for chosen, given, wanted in (("one", {}, 1.0), ("other", {}, 0.25), ("other", {"x": 0.75}, 0.75)):
        plan = prepare(model, parameter_set=chosen, initial=given, duration="1 s", dt="0.1 s")
        assert plan.initial["x"].value == wanted
    assert describe.as_dict(model, "other")["initial"]["x"]["value"] == 0.25
    assert local(model, "u", parameter_set="other").start().tolist() == [0.25]


@pytest.mark.parametrize(("starts", "says"), [
    ({"third": {"x": RATE}}, "starts of unknown parameter sets: third"),
    ({"other": {"y": Parameter(1.0, "1", "start", "Mia2026", "stated")}}, "starts without a value in `initial`: y"),
    ({"other": {"x": RATE}}, "starts in another unit than in `initial`: x")])
def test_starts_that_fit_no_set_or_no_variable_are_refused(starts, says):
    with pytest.raises(UserError, match=says):
        started(**starts)


@pytest.mark.parametrize(("name", "wanted"), [
    ("gchi_receptor:figure_2", (0.0, 0.9, 0.0, 0.09)), ("gchi_receptor_stochastic:figure_3", (0.0, 0.9, 0.4, 2.0)),
    ("tripartite:release_decreasing", (0.0, 0.9, 0.0, 2.0)), ("tripartite:figure_3", (0.0, 0.9, 0.4, 2.0)),
    ("tripartite:figure_2", (0.0, 0.9, 0.0, 0.09)), ("neuron_glia_network:figure_6", (0.01, 0.9, 0.01, 0.2))])
def test_figures_are_whole_sets(name, wanted):
    plan = prepare(name, duration="1 s", dt="1 ms")
    assert (*(plan.initial[one].value for one in "ChI"), plan.parameters["F_ex"].value) == wanted
    assert plan.parameters["F_ex"].unit == "umolar/second"
    assert plan.inputs["astrocyte", "ip3_source"].at(np.zeros(1)).max() == 0
