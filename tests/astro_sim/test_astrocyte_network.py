"""Gap junctions: what they conserve, an independent solution, waves for an intermediate coupling only."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.models import astrocyte_network as astro
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

SHAPES = [{"layout": "ring", "n_columns": 7}, {"layout": "line", "n_columns": 6},
          {"layout": "line", "n_columns": 6, "boundary": "periodic"},
          {"layout": "sheet", "n_columns": 4, "n_rows": 3},
          {"layout": "sheet", "n_columns": 2, "n_rows": 3, "boundary": "periodic"}]


def options(**given):
    return astro.MODEL.read_options(given)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_are_mutual_and_one_apart(shape):
    given = options(**shape)
    pairs = astro.neighbours(given)
    met = set(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True))
    assert len(met) == len(pairs.source)
    assert met == {(target, source) for source, target in met}
    assert all(source != target for source, target in met)
    where = astro.places(given)
    if given["boundary"] == "closed":
        assert np.linalg.norm(where[pairs.source] - where[pairs.target], axis=1) == pytest.approx(1.0, rel=1e-12)


def test_how_many_neighbours():
    count = {name: np.bincount(astro.neighbours(options(**shape)).target).tolist() for name, shape in
             (("ring", SHAPES[0]), ("line", SHAPES[1]), ("sheet", SHAPES[3]), ("torus", SHAPES[4]))}
    # on two columns the ways left and right reach the same astrocyte: one gap junction
    assert count == {"ring": [2] * 7, "line": [1, 2, 2, 2, 2, 1], "sheet": [2, 3, 3, 2, 3, 4, 4, 3, 2, 3, 3, 2],
                     "torus": [3] * 6}
    assert len(astro.neighbours(options(n_columns=1)).source) == 0
    ends = astro.open_ends(options(layout="sheet", n_columns=3, n_rows=3, boundary="open"))
    assert ends.source.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert ends.constants["ends"].tolist() == [2, 1, 2, 1, 1, 2, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("gaps", ["linear", "nonlinear"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_flows_sums_to_zero(shape, gaps):
    """With production and degradation off, IP3 moves and its sum stays."""
    off = {"O_delta": "1e-30 umolar/second", "O_3K": "1e-30 umolar/second", "Omega_5P": "1e-30 1/second",
           "F_ex": "0 umolar/second"}
    start = np.random.default_rng(1).uniform(0.1, 1.5, astro.astrocytes(options(**shape)))
    recording = simulate("astrocyte_network", options={**shape, "gaps": gaps}, parameters=off,
                         initial={"I": (start, "uM")}, duration="5 s", dt="50 ms")
    ip3 = recording["I"].values
    assert np.ptp(ip3[-1]) < 0.9 * np.ptp(start)
    # rounding of 100 steps that each add numbers of size 1
    assert ip3.sum(axis=1) == pytest.approx(start.sum(), rel=100 * len(start) * np.finfo(float).eps)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]])
def test_the_recorded_flux_sums_to_zero_and_is_that_of_its_record(shape):
    """Each record shows the flux of the IP3 beside it, the first one too, not that of the step before."""
    start = np.random.default_rng(4).uniform(0.1, 1.3, astro.astrocytes(options(**shape)))
    recording = simulate("astrocyte_network", options=shape, initial={"I": (start, "uM")}, duration="1 s", dt="50 ms")
    flux, ip3 = recording["J_coupling"].values, recording["I"].values
    pairs, wanted = astro.neighbours(options(**shape)), np.zeros_like(ip3)
    for source, target in zip(pairs.source, pairs.target, strict=True):
        wanted[:, target] += nonlinear(ip3[:, source] - ip3[:, target])
    assert flux == pytest.approx(wanted, rel=1e-9, abs=1e-15)
    assert np.abs(flux).max() > 0.01
    assert (np.abs(flux.sum(axis=1)) < 12 * np.finfo(float).eps * np.abs(flux).sum(axis=1)).all()


def independent_rates(t, y, near, flow, bath, glutamate):
    """DePitta2009 AM with gap junctions, written anew in uM and s; `flow(difference)` is what one junction passes."""
    c, h, i = y.reshape(3, -1)
    gate = i / (i + 0.13) * c / (c + 0.08234)
    q2 = 1.049 * (i + 0.13) / (i + 0.9434)
    er = 2.0 - 1.185 * c
    dc = (6.0 * gate**3 * h**3 + 0.11) * er - 0.9 * c**2 / (c**2 + 0.01)
    dh = 0.2 * (q2 - (q2 + c) * h)
    affinity = (1.3 + 10 * c / (c + 0.6)) ** 0.7
    di = 0.2 * glutamate**0.7 / (glutamate**0.7 + affinity) + 0.02 / (1 + i / 1.5) * c**2 / (c**2 + 0.01)
    di += -2 * c**4 / (c**4 + 0.7**4) * i / (i + 1) - 0.04 * i
    for a, b in near:
        passed = flow(i[a] - i[b])
        di[b] += passed
        di[a] -= passed
    for end in bath:
        di[end] += flow(0.05 - i[end])
    return np.concatenate([dc, dh, di])


def linear(difference):
    return 0.09 * difference


def nonlinear(difference):
    return 0.09 / 2 * (1 + np.tanh((abs(difference) - 0.3) / 0.05)) * np.sign(difference)


LINE = [(0, 1), (1, 2), (2, 3)]
GRID = [(0, 1), (2, 3), (0, 2), (1, 3)]


@pytest.mark.slow
@pytest.mark.parametrize(("gaps", "flow", "shape", "near", "bath"), [
    ("linear", linear, {"layout": "line", "n_columns": 4, "boundary": "open"}, LINE, (0, 3)),
    ("nonlinear", nonlinear, {"layout": "line", "n_columns": 4, "boundary": "open"}, LINE, (0, 3)),
    ("nonlinear", nonlinear, {"layout": "ring", "n_columns": 4}, [*LINE, (3, 0)], ()),
    ("linear", linear, {"layout": "sheet", "n_columns": 2, "n_rows": 2}, GRID, ())])
def test_agrees_with_an_independent_solution(gaps, flow, shape, near, bath):
    start = [1.4, 0.3, 0.9, 0.6]
    runs = [simulate("astrocyte_network:AM", "constant:input=glutamate,value=3 umolar", initial={"I": (start, "uM")},
                     options={**shape, "gaps": gaps}, duration="4 s", record_every="0.4 s", dt=dt, method="rk4")
            for dt in (0.02, 0.01, 0.005)]
    assert runs[0].meta["solver"]["coupling_order"] == 2
    wanted = solve_ivp(independent_rates, (0, 4), [0.09] * 4 + [0.78] * 4 + start, "DOP853", runs[0].time,
                       args=(near, flow, bath, 3.0), rtol=1e-11, atol=1e-13, max_step=0.05).y.T
    coarse, middle, fine = (np.hstack([r[name].values for name in ("C", "h", "I")]) for r in runs)
    # the sum makes errors of second and third order in dt; the sequence dt, dt/2, dt/4 takes both out
    extrapolated = (8 * (4 * fine - middle) / 3 - (4 * middle - coarse) / 3) / 7
    assert np.abs(extrapolated / wanted - 1).max() < 1e-6
    first, second = (np.abs(run / wanted - 1).max() for run in (coarse, middle))
    assert first / second == pytest.approx(4, rel=0.1), "second order in the coupling"
    assert second < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("F", "reached"), [("0.03", 1), ("0.09", 10), ("1", None)])
def test_waves_go_round_the_ring_for_an_intermediate_coupling_only(F, reached):
    """Too weak and nothing is passed on; too strong and IP3 is drained to the neighbours before calcium can rise."""
    recording = simulate("astrocyte_network",
                         "cycles:input=ip3_source,high=1 umolar,period=50 s,duty=0.4,count=3,elements=0",
                         options={"n_columns": 10, "coupling_scheme": "held"},  # stiff where F is large
                         parameters={"F": f"{F} umolar/second"}, initial={"h": 0.9},
                         duration="110 s", dt="20 ms" if F == "1" else "100 ms")
    active = recording["C"].values.max(axis=0) > 0.4
    assert active[0] or F == "1"
    if reached is None:
        assert active.sum() < 5
    else:
        assert active.sum() == reached
    if reached == 10:  # neighbour after neighbour, both ways at once
        first = (recording["C"].values > 0.4).argmax(axis=0)
        assert (np.diff(first[:6]) > 0).all()
        assert first[1:5] == pytest.approx(first[9:5:-1], abs=1)


@pytest.mark.slow
def test_an_open_end_lets_ip3_go():
    quiet = {"initial": {"I": "1 umolar"}, "duration": "10 s", "dt": "50 ms"}
    ip3 = {boundary: simulate("astrocyte_network", options={"layout": "line", "n_columns": 5, "gaps": "linear",
                                                            "boundary": boundary}, **quiet)["I"].values[-1]
           for boundary in ("closed", "open")}
    assert np.ptp(ip3["closed"]) < 1e-12
    assert ip3["open"][0] < ip3["open"][1] < ip3["open"][2] < ip3["closed"][2]


@pytest.mark.parametrize(("given", "says"), [
    ({"n_rows": 3}, "n_rows: 3 is not allowed with layout ring"),
    ({"layout": "sheet"}, "n_rows: 1 is not allowed with layout sheet"),
    ({"boundary": "open"}, "boundary: 'open' is not allowed with layout ring"),
    ({"layout": "tube"}, "unknown value of option layout"),
    ({"n_columns": 0}, "option n_columns: '0' is not allowed")])
def test_shapes_that_contradict_themselves_are_refused(given, says):
    with pytest.raises(UserError, match=says):
        simulate("astrocyte_network", options=given, duration="0.1 s", dt="50 ms")
