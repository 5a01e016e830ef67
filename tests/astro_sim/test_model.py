"""A model's declaration: symbols used are symbols declared, in every part; what Brian2 runs is what we read."""

import dataclasses
import pickle

import numpy as np
import pytest

from astro_sim.model import Connection, Input, Model, Observable, Option, Pairs, Population
from astro_sim.model.equation_text import lines, right_sides, symbols
from astro_sim.models import MODELS
from astro_sim.models.macro import model as macro
from astro_sim.parameter import Parameter
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

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


@pytest.mark.parametrize("changes", [
    {"equations": "dxi_x/dt = (u - xi_x)*rate : 1"},
    {"equations": "dx/dt = (u - xi_y)*rate : 1\nxi_y = x : 1"},
    {"parameter_sets": {"one": {"xi_rate": RATE}}},
    {"inputs": {"u": Input("cell", "xi", "1", 0.0, "drive")}},
])
def test_names_that_brian2_reads_as_noise_are_refused(changes):
    with pytest.raises(UserError, match=r"Brian2 reads xi and xi_... as noise.*choose another name for: xi\w*$"):
        decay(**changes)


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
