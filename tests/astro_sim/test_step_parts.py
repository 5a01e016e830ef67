"""Inputs that move inside a step: against scipy, integrated piece by piece between the corners."""

import tracemalloc

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.brian import parts
from astro_sim.brian.inputs import inputs_of
from astro_sim.plan import prepare
from astro_sim.run.estimate import BASE, estimate
from astro_sim.run.simulation import simulate

EDGES = {0: (0.3337, 1.1113), 1: (0.3371, 0.3979), 2: ()}  # of the elements; the first two meet in a step of 10 ms
LEVELS = (0.1, 1.4, 0.4)


def rates(state, glutamate):
    """DePitta2009, set AM, in uM and s."""
    C, h, I = state
    gate, q2, er = I / (I + 0.13) * C / (C + 0.08234), 1.049 * (I + 0.13) / (I + 0.9434), 2 - 1.185 * C
    bound = (glutamate / (1.3 + 10 * C / (C + 0.6))) ** 0.7
    return [(6 * (gate * h) ** 3 + 0.11) * er - 0.9 * C * C / (C * C + 0.01), 0.2 * (q2 - (q2 + C) * h),
            0.2 * bound / (1 + bound) + 0.02 / (1 + I / 1.5) * C * C / (C * C + 0.01)
            - 2 * C**4 / (C**4 + 0.7**4) * I / (I + 1) - 0.04 * I]


def piece_by_piece(edges, end):
    state, corners = [0.09, 0.78, 0.22], [0.0, *edges, end]
    for n in range(len(corners) - 1):
        state = solve_ivp(lambda t, y, level=LEVELS[n]: rates(y, level), corners[n: n + 2], state, "DOP853",
                          rtol=1e-12, atol=1e-14).y[:, -1]
    return state


@pytest.mark.slow
def test_edges_inside_steps_keep_the_order_of_rk4():
    text = ",".join(("times=0s+{}s+{}s", "values=0.1uM+1.4uM+0.4uM", "elements={}"))
    drives = [f"steps:input=glutamate,{text.format(*edges, k)}" for k, edges in EDGES.items() if edges]
    wanted = np.array([piece_by_piece(EDGES[k], 2.0) for k in (0, 1)])
    widths = (0.04, 0.02, 0.01)
    errors = []
    for dt in widths:
        found = simulate("gchi", [*drives, "constant:input=glutamate,value=0.1 uM,elements=2"], options={"n": 3},
                         duration="2 s", dt=dt, method="rk4")
        errors.append([np.abs(found[name].values[-1, :2] / wanted[:, k] - 1).max()
                       for k, name in enumerate(("C", "h", "I"))])
    assert (np.polyfit(np.log(widths), np.log(errors), 1)[0] > 3.5).all(), errors
    assert np.max(errors[-1]) < 1e-8
    alone = simulate("gchi", "constant:input=glutamate,value=0.1 uM", duration="2 s", dt=widths[-1],
                     method="rk4")
    assert found["C"].values[:, 2] == pytest.approx(alone["C"].values[:, 0], rel=1e-12), "no corner, no cut"


@pytest.mark.slow
def test_what_an_input_lets_in_is_its_integral():
    """IP3 alone, without what makes and degrades it."""
    nothing = dict.fromkeys(("O_delta", "O_3K"), "1e-12 umolar/second") | {"Omega_5P": "1e-12 1/second"}
    drives = ["steps:input=ip3_flux,times=0s+0.5012s,values=0 umolar/second+0.1 umolar/second",
              "ramp:input=ip3_flux,times=0s+0.5037s+1.0071s,values=0 umolar/second+0 umolar/second+0.3 umolar/second"]
    found = [simulate("astrocyte_network:AM", [drive], options={"n_columns": 1}, parameters=nothing, duration="1.2 s",
                      dt="10 ms")["I"].values[-1, 0] - 0.22 for drive in drives]
    # the second ends at 0.3 umolar/second
    assert found == pytest.approx([0.1 * (1.2 - 0.5012), 0.15 * (1.0071 - 0.5037) + 0.3 * (1.2 - 1.0071)], rel=1e-9)


def cut(plan):
    return parts.cut(plan.courses("astrocyte"), dt=plan.dt, steps=plan.steps)


def test_a_step_is_cut_at_each_corner_and_only_there():
    plan = prepare("astrocyte_network", ["steps:input=ip3_source,times=0s+0.105s,values=0uM+1uM,elements=0+1",
                                         "steps:input=glutamate,times=0s+0.103s+0.3s,values=0uM+1uM+0uM,elements=1+2"],
                   options={"n_columns": 4}, duration="0.5 s", dt="10 ms")
    found = cut(plan)
    lengths, wanted = found.lengths[:, :, found.columns], [[0.5, 0.5, 0], [0.3, 0.2, 0.5], [0.3, 0.7, 0], [1, 0, 0]]
    assert np.abs(lengths[:, 10].T - wanted).max() < 1e-12
    others = np.delete(lengths, 10, axis=1)
    assert (others[0] == 1).all() and (others[1:] == 0).all(), "an edge at 0.3 s falls on a step"
    value, slope = parts.lines_in_parts(plan.inputs["astrocyte", "glutamate"], found, plan.dt)
    assert value[:, 10, found.columns[1]].tolist() == [0, 1, 1] and (slope == 0).all()


@pytest.mark.parametrize("protocol", ["square:input=glutamate,high=1uM,start=0.2s,stop=0.5s", None])
def test_what_is_held_over_steps_is_not_cut(protocol):
    assert cut(prepare("gchi", protocol, duration="1 s", dt="10 ms")) is None


def test_noise_is_not_cut():
    moving = "ramp:input=glutamate,times=0s+0.3333s,values=0uM+1uM"
    plan = prepare("gchi_stochastic", moving, duration="1 s", dt="10 ms")
    made = inputs_of(plan, plan.model.populations[0], {}, open_parts={})
    assert (made.method, list(made.columns)) == ("heun", ["column_glutamate"])
    assert cut(plan) is not None, "without noise it would be"


@pytest.mark.parametrize("protocol", [
    "square:input=glutamate,high=1uM,start=1s,stop=2s", "ramp:input=glutamate,times=0s+0.5s,values=0uM+1uM",
    "sine:input=glutamate,mean=1uM,amplitude=1uM,period=3s,start=1.0003s",
    [f"square:input=glutamate,high=1uM,start={n + 1}.0003s,stop=9s,elements={n}" for n in range(5)]])
def test_the_estimate_counts_the_tables_of_inputs(protocol):
    """A long run with a fine step: its tables are larger than all else."""
    given = prepare("gchi", protocol, options={"n": 6}, duration="200 s", dt="1 ms", record_every="100 s",
                    method="rk4")
    tracemalloc.start()
    inputs_of(given, given.model.populations[0], {}, open_parts={}).timed_arrays(given.dt)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < estimate(given).memory - BASE < 2.5 * peak
