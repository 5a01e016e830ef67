"""The solver with error control: tolerances, Jacobian, inputs, what it refuses, what it says of itself."""

import numpy as np
import pytest

from astro_sim import simulate
from astro_sim.model import Input, Model, Observable, Population
from astro_sim.parameter import Parameter
from astro_sim.plan import plan_of, prepare
from astro_sim.plan.solver import FINEST
from astro_sim.run.ode import solve
from astro_sim.run.ode.courses import borders, stretch
from astro_sim.run.ode.rates import one_by_one, rates_of, vectorised
from astro_sim.run.ode.system import System
from astro_sim.run.simulation import run
from foundation.errors import UserError

K = Parameter(2.0, "1/second", "rate", "assumed here", "assumed")
X = Parameter(1.0, "1", "start", "assumed here", "assumed", "any")


def one_line(text, **more):
    """A model of one population of `n`; every state starts at 1, its names from the text."""
    from astro_sim.model import Option
    from astro_sim.model.equation_text import lines

    states = [line.name for line in lines(text) if line.kind == "ode"]
    given = {"inputs": {"drive": Input("cell", "u", "1", 0.0, "drive")}} if "u/2" in text else {}
    return Model("own", "a model", (Population("cell", "cells", text, lambda o: o["n"]),),
                 {"default": {"k": K}}, dict.fromkeys(states, X),
                 {name: Observable("cell", "1", name) for name in states}, options={"n": Option(1, (1, 100), "cells")},
                 **given, **more)


DECAY = "dx/dt = k*(u/2 - x) : 1"


@pytest.mark.parametrize("method", ["lsoda", "dop853", "bdf"])
def test_the_error_follows_the_tolerance(method):
    """x' = -2x + u, u = 3 from 0.7 s on, in closed form; the error is of the size of what was allowed."""
    errors = []
    for rtol in (1e-6, 1e-8, 1e-10):
        recording = simulate(one_line(DECAY), "square:input=drive,high=3,start=0.7s,stop=9s", duration="3 s",
                             dt="10 ms", method=method, rtol=rtol, atol=rtol)
        t = recording.time
        late = 1.5 + (np.exp(-1.4) - 1.5) * np.exp(-2 * (t - 0.7))
        errors.append(np.abs(recording["x"].values[:, 0] - np.where(t < 0.7, np.exp(-2 * t), late)).max())
    assert all(error < 100 * rtol for error, rtol in zip(errors, (1e-6, 1e-8, 1e-10), strict=True))
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.slow
def test_the_default_is_as_good_as_steps_of_two_milliseconds():
    """A thousandfold finer check of Li-Rinzel is in the benchmark; here one period, against twelve more digits' worth
    of tolerance by another formula.
    """
    given = {"model": "li_rinzel:AM", "duration": "12 s", "dt": "0.1 s"}
    ours, other = simulate(**given), simulate(**given, method="dop853", rtol=3e-14, atol=1e-17)
    for name in ("C", "h"):
        assert np.abs(ours[name].values - other[name].values).max() < 1e-11 * np.ptp(other[name].values)


@pytest.mark.parametrize("options", [
    {"layout": "ring", "n_columns": 7, "gaps": "linear"}, {"layout": "line", "n_columns": 9, "boundary": "open"},
    {"layout": "sheet", "n_rows": 3, "n_columns": 5, "gaps": "linear"},
    {"layout": "sheet", "n_rows": 4, "n_columns": 3, "boundary": "periodic"}])
def test_bands_and_sparsity_hold_the_whole_jacobian(options):
    """By finite differences of every state: nothing outside of the bands, nothing outside of the pattern."""
    plan = prepare("astrocyte_network:AM", "constant:input=glutamate,value=2 umolar", options=options)
    system = System(plan)
    inputs = {key: stretch(course, 0.0, 1.0, order=system.order[key[0]]) for key, course in plan.inputs.items()}
    rates, rng = vectorised(system, inputs), np.random.default_rng(3)
    y = system.start() * rng.uniform(0.5, 1.5, system.count)
    jacobian = np.stack([(rates(y + step, 0.0) - rates(y - step, 0.0)) / (2 * step.max())
                         for step in np.diag(1e-6 * y)], axis=1)
    row, column = np.nonzero(np.abs(jacobian) > 1e-7 * np.abs(jacobian).max())
    assert np.abs(row - column).max() <= system.band < system.count - 1
    assert np.asarray(system.sparsity.todense())[row, column].all()
    assert (np.abs(np.diag(jacobian)) > 0).all()
    coupled = jacobian[2::3, 2::3] - np.diag(np.diag(jacobian[2::3, 2::3]))
    assert (np.abs(coupled).sum(axis=1) > 0).all()  # the differences do see the coupling


def test_few_elements_on_plain_numbers_are_those_on_arrays():
    plan = prepare("gchi:FM", ["sine:input=glutamate,mean=2 umolar,amplitude=1 umolar,period=3s,elements=0",
                               "ramp:input=glutamate,times=0s+5s,values=0uM+3uM,elements=1"], options={"n": 3},
                   duration="5 s", parameters={"n_beta": "0.63"})
    system = System(plan)
    inputs = {key: stretch(course, 0.0, 5.0, order=system.order[key[0]]) for key, course in plan.inputs.items()}
    y = system.start() * np.linspace(0.9, 1.2, system.count)
    for t in (0.0, 1.234, 4.9):
        assert np.allclose(one_by_one(system, inputs)(y, t), vectorised(system, inputs)(y, t), rtol=1e-13, atol=0)
    # where a number cannot be had, both say infinity or NaN: no step of the solver may end the run
    y[0] = -1e-5
    plain, arrays = (make(system, inputs)(y, 1.0) for make in (one_by_one, vectorised))
    assert np.array_equal(np.isfinite(plain), np.isfinite(arrays))


def test_the_solver_starts_anew_at_corners_and_nowhere_else():
    plan = prepare("li_rinzel", "steps:input=ip3,times=0s+1.234s+2s,values=0.2uM+0.2uM+0.7uM", duration="3 s",
                   dt="0.1 s")
    assert borders(plan).tolist() == [0.0, 2.0, 3.0]


def test_a_record_that_falls_on_a_corner_but_for_rounding():
    """3 times 0.1 is not 0.3."""
    recording = simulate(one_line(DECAY), "square:input=drive,high=3,start=0.3s,stop=0.6s", duration="1 s", dt="0.1 s")
    assert np.isfinite(recording["x"].values).all() and len(recording.time) == 11
    t = recording.time
    during = 1.5 + (np.exp(-0.6) - 1.5) * np.exp(-2 * (t - 0.3))
    after = (1.5 + (np.exp(-0.6) - 1.5) * np.exp(-0.6)) * np.exp(-2 * (t - 0.6))
    exact = np.where(t < 0.29, np.exp(-2 * t), np.where(t < 0.59, during, after))
    assert np.allclose(recording["x"].values[:, 0], exact, rtol=1e-11)


def test_pieces_in_memory_join_to_the_whole(monkeypatch):
    given = {"model": "li_rinzel", "duration": "20 s", "dt": "10 ms"}
    whole = simulate(**given)
    monkeypatch.setattr(solve, "PIECE", 1000)
    pieces = simulate(**given)
    assert np.array_equal(whole.time, pieces.time)
    assert np.abs(whole["C"].values - pieces["C"].values).max() < 1e-11
    assert whole.hash == pieces.hash


def test_step_by_step_is_at_once(monkeypatch):
    given = {"model": "gchi", "duration": "10 s", "dt": "50 ms", "options": {"n": 2}}
    at_once = simulate(**given)
    monkeypatch.setattr(solve, "AT_ONCE", 0)
    by_steps = simulate(**given)
    for name in "ChI":
        assert np.abs(at_once[name].values - by_steps[name].values).max() < 1e-10 * np.ptp(at_once[name].values)


# --- which solver

@pytest.mark.parametrize(("model", "given", "method", "backend"), [
    ("li_rinzel", {}, "lsoda", "scipy"), ("gchi", {"options": {"n": 40}}, "lsoda", "scipy"),
    ("astrocyte_network", {}, "lsoda", "scipy"), ("macro", {}, "lsoda", "scipy"),
    ("associative_memory", {}, "lsoda", "scipy"),
    ("macro", {"options": {"n_pre": 40, "n_post": 40}}, "dop853", "scipy"),
    ("astrocyte_network", {"options": {"n_columns": 1001}}, "dop853", "scipy"),
    ("macro", {"options": {"coupling_scheme": "held"}}, "rk4", "numpy"),
    ("gchi_stochastic", {}, "heun", "numpy"), ("tripartite", {}, "rk4", "numpy"),
    ("li_rinzel_driven", {}, "rk4", "numpy"), ("li_rinzel", {"method": "euler"}, "euler", "numpy"),
    ("li_rinzel", {"backend": "cython"}, "rk4", "cython"), ("li_rinzel", {"method": "auto"}, "lsoda", "scipy")])
def test_what_is_taken(model, given, method, backend):
    plan = prepare(model, **{"duration": "1 s", **given})
    assert (plan.method, plan.backend, plan.adaptive) == (method, backend, backend == "scipy")
    assert (plan.rtol is None) == (not plan.adaptive) and plan.why


@pytest.mark.parametrize(("text", "why"), [
    ("dx/dt = -k*x + k*sin(t*k) : 1", "has t in its equations"),
    ("dx/dt = -k*int(x > 0.5) : 1", "int in its equations makes rates jump"),
    ("dx/dt = -k*sign(x) : 1", "sign in its equations makes rates jump"),
    ("dx/dt = -k*x + k*rand() : 1", "has rand in its equations"),
    ("dx/dt = -k*y : 1\ny = x : 1 (constant over dt)", "has a variable that is constant over dt")])
def test_why_steps_are_taken(text, why):
    plan = prepare(one_line(text), duration="1 s")
    assert not plan.adaptive and why in plan.why


@pytest.mark.parametrize(("model", "given", "said"), [
    ("tripartite", {"method": "lsoda"}, "lsoda is for ODEs alone, and tripartite is not: astrocyte has a threshold"),
    ("gchi_stochastic", {"method": "dop853"}, "has a threshold|has noise"),
    ("tripartite", {"backend": "scipy"}, "backend: scipy is for ODEs alone"),
    ("li_rinzel", {"method": "rk4", "backend": "scipy"}, "backend: scipy has no steps by rk4"),
    ("li_rinzel", {"method": "lsoda", "backend": "numpy"}, "backend: numpy cannot run lsoda"),
    ("li_rinzel", {"method": "rk4", "rtol": 1e-6}, "rtol: takes no part in steps of a fixed length, by rk4"),
    ("tripartite", {"atol": 1e-6}, "atol: takes no part in steps"),
    ("li_rinzel", {"rtol": 1e-20}, "rtol: 1e-20 is not allowed; give a number from 3e-14 to 0.1"),
    ("li_rinzel", {"atol": 0}, "atol: 0 is not allowed; give a number above 0"),
    ("li_rinzel", {"rtol": "fine"}, "rtol: 'fine' is not a number"),
    ("li_rinzel", {"rtol": float("nan")}, "rtol: nan is not allowed"),
    ("macro", {"method": "lsoda", "options": {"coupling_scheme": "held"}}, "coupling_scheme = held is a way of fixed")])
def test_what_does_not_fit_is_refused(model, given, said):
    with pytest.raises(UserError, match=said):
        prepare(model, duration="1 s", **given)


def test_many_dense_corners_are_cut_by_steps():
    """1,100 edges in 2,200 steps: a start of a solver costs some fifty evaluations, a step four."""
    edges = "+".join(f"{2 * k}ms" for k in range(1101)), "+".join(f"{k % 2}uM" for k in range(1101))
    given = {"model": "li_rinzel", "protocol": f"steps:input=ip3,times={edges[0]},values={edges[1]}",
             "duration": "2.2 s", "dt": "1 ms"}
    assert prepare(**given).method == "rk4" and "1100 corners" in prepare(**given).why
    assert prepare(**given, method="lsoda").adaptive


def test_meta_and_hash_say_which():
    plan = prepare("li_rinzel", duration="1 s")
    assert plan.meta()["solver"] == {"method": "lsoda", "rtol": FINEST[0], "atol": FINEST[1],
                                     "dt_s": 1e-3, "steps": 1000, "duration_s": 1.0, "record_every": 1,
                                     "backend": "scipy"}
    assert "scipy" in plan.meta()["versions"]
    assert prepare("li_rinzel", duration="1 s", rtol=1e-9).meta() != plan.meta()
    assert "rtol" not in prepare("li_rinzel", duration="1 s", method="rk4").meta()["solver"]


def test_a_recording_is_read_back_with_its_solver():
    plan = prepare("li_rinzel", duration="1 s", rtol=1e-9, atol=1e-11)
    assert plan_of(plan.meta()).meta() == plan.meta()


# --- what comes out is looked at

def test_a_result_out_of_bounds_is_an_error_that_names_no_step():
    grows = one_line("dx/dt = k*x : 1")
    bounded = Model(**{**vars(grows), "observables": {"x": Observable("cell", "1", "x", 0.0, 5.0)}})
    with pytest.raises(UserError, match=r"x leaves its bounds \[0, 5\] at 0.81 s, solved to rtol"):
        simulate(bounded, duration="2 s", dt="10 ms")


def test_what_blows_up_ends_in_words():
    """x' = 2 x^2 from 1 is infinite at half a second."""
    with pytest.raises(UserError, match=r"lsoda cannot go on at 0.[45]\d* s|x is not finite at 0.5"):
        simulate(one_line("dx/dt = k*x**2 : 1"), duration="1 s", dt="10 ms")


def test_ctrl_c_keeps_what_was_recorded(monkeypatch):
    from astro_sim.run.simulation import Interrupted

    monkeypatch.setattr(solve, "AT_ONCE", 0)
    monkeypatch.setattr(solve, "PIECE", 60)

    def stop(plan, progress):
        import contextlib

        @contextlib.contextmanager
        def ticks():
            def tick(time):
                if time > 5:
                    raise KeyboardInterrupt
            yield tick
        return ticks()

    monkeypatch.setattr("astro_sim.run.ode.run.ticking", stop)
    with pytest.raises(Interrupted) as kept:
        run(prepare("li_rinzel", duration="10 s", dt="0.1 s"))
    assert 2.5 < kept.value.reached <= 5.5 and kept.value.kept.partial


def test_rates_of_many_elements_are_arrays():
    plan = prepare("gchi", options={"n": 30}, duration="1 s")
    system = System(plan)
    inputs = {key: stretch(course, 0.0, 1.0, order=system.order[key[0]]) for key, course in plan.inputs.items()}
    assert rates_of(system, inputs)(system.start(), 0.0).shape == (90,)


def test_a_population_without_elements_and_a_model_without_odes():
    """Elements that an option takes away leave no gap in the vector; where nothing moves there is nothing to solve."""
    from astro_sim.model import Option

    cells = Population("cell", "cells", "dx/dt = -k*x : 1", lambda o: o["n"])
    others = Population("other", "others", "dy/dt = -2*k*y : 1", lambda o: 2)
    two = Model("two", "a model", (cells, others), {"default": {"k": K}}, {"x": X, "y": X},
                {"x": Observable("cell", "1", "x"), "y": Observable("other", "1", "y")},
                options={"n": Option(1, (0, 5), "cells")})
    for n in (0, 3):
        recording = simulate(two, options={"n": n}, duration="1 s", dt="0.5 s")
        assert recording["y"].values[-1] == pytest.approx(np.exp([-4.0, -4.0]), rel=1e-10)
    still = Population("cell", "cells", "y = k*x : 1/second\nx : 1", lambda o: 1)
    model = Model("still", "a model", (still,), {"default": {"k": K}}, {"x": X},
                  {"y": Observable("cell", "1/second", "y")})
    assert "has no ODE" in prepare(model, duration="1 s").why


@pytest.mark.parametrize("n", [2, 5, 7])
def test_a_value_an_element_is_of_the_population_that_uses_it(n):
    """Two decay at rates of their own beside a ring of five, whatever the numbers of elements; of a connection too."""
    from astro_sim.model import Connection, Pairs

    ring = Population("cell", "cells", "dx/dt = total : 1\ntotal : 1/second", lambda o: 5)
    others = Population("other", "others", "dy/dt = -r*y : 1", lambda o: n)
    sums = Connection("swap", "cell", "cell", "", "total_post = s*(x_pre - x_post) : 1/second (summed)",
                      lambda o: Pairs([0, 1, 2, 3, 4], [3, 4, 0, 1, 2]))
    model = Model("two", "a model", (ring, others), {"default": {"r": K, "s": K}}, {"x": X, "y": X},
                  {"x": Observable("cell", "1", "x"), "y": Observable("other", "1", "y")}, connections=(sums,))
    rates, strengths = np.linspace(0.5, 2.0, n), np.linspace(0.1, 0.9, 5)
    starts = np.arange(5.0)
    recording = simulate(model, duration="1 s", dt="0.5 s", initial={"x": starts},
                         parameters={"r": (rates, "1/second"), "s": (strengths, "1/second")})
    assert recording.meta["solver"]["backend"] == "scipy"
    assert recording["y"].values[-1] == pytest.approx(np.exp(-rates), rel=1e-9)
    matrix = np.zeros((5, 5))
    matrix[[3, 4, 0, 1, 2], [0, 1, 2, 3, 4]] = strengths[[3, 4, 0, 1, 2]]
    from scipy.linalg import expm
    assert recording["x"].values[-1] == pytest.approx(expm(matrix - np.diag(strengths)) @ starts, rel=1e-9)
