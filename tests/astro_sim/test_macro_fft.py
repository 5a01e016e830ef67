"""The macro model at any size: sums by FFT against sums pair by pair, local coupling of many, extrapolated sums."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.brian.coupling import weight_and_source
from astro_sim.model import Connection, Pairs
from astro_sim.model.grid_sum import GridSum
from astro_sim.models.macro import model as macro
from astro_sim.models.macro import pairs as macro_pairs
from astro_sim.run.simulation import simulate
from foundation.errors import ResourceError, UserError

DRIVEN = ["constant:input=b_pre,value=1,elements=0", "constant:input=b_post,value=1",
          "constant:input=d,value=0.3,elements=0+5-8"]
STATES = ("x", "s", "p_s", "p_l")


def options(**chosen):
    return macro.MODEL.read_options(chosen)


@settings(max_examples=40)
@given(st.sampled_from([(1,), (2,), (7,), (63,), (1, 1), (1, 5), (4, 1), (3, 3), (7, 5), (6, 11), (2, 3, 4)]),
       st.floats(0.2, 50), st.integers(0, 1000))
def test_a_grid_sum_is_the_sum_over_all_pairs(shape, length, seed):
    values = np.random.default_rng(seed).normal(size=int(np.prod(shape)))
    found = GridSum(shape, lambda far: 3 * np.exp(-far / length))(values)
    places = np.stack(np.unravel_index(np.arange(len(values)), shape), axis=1).astype(float)
    far = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    weights = 3 * np.exp(-far / length) * ~np.eye(len(values), dtype=bool)
    # rounding of an FFT: relative to the size of what is summed
    assert np.abs(found - weights @ values).max() <= 1e-14 * (weights @ np.abs(values)).max() + 1e-300


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "n_pre", "n_post"), [("grid", 5, 7), ("line", 3, 11)])
def test_by_fft_and_pair_by_pair_a_run_is_the_same(layout, n_pre, n_post):
    shape = {"layout": layout, "n_pre": n_pre, "n_post": n_post}
    runs = {how: simulate("macro", DRIVEN, options={**shape, "dense_sum": how}, duration="1 s", dt="5 ms",
                          parameters={"w_back": "0.5"}) for how in ("pairs", "fft")}
    for name in STATES:
        pairs, fft = (runs[how][name].values for how in ("pairs", "fft"))
        assert np.ptp(pairs[-1]) > 0
        assert np.abs(pairs - fft).max() < 1e-12 * np.abs(pairs).max(), name
    assert runs["pairs"].hash != runs["fft"].hash  # equal to rounding is not equal


def test_the_choice_is_by_size():
    small, large = options(n_pre=16, n_post=16), options(n_pre=16, n_post=17)
    assert macro.grid_shape(small) is None and macro.grid_shape(large) == (17, 16)
    assert len(macro.all_pairs(small).source) == 256 * 255 and len(macro.all_pairs(large).source) == 0
    assert macro.grid_shape(options(n_pre=4, n_post=100, layout="line")) == (400,)
    assert macro.grid_shape(options(n_pre=16, n_post=17, layout="equal")) is None
    assert macro.grid_shape(options(n_pre=16, n_post=17, dense_sum="pairs")) is None


@pytest.mark.slow
def test_a_large_network_runs_and_its_middle_is_excited_most():
    """4,096 processes have 16.7 million pairs, of which none is made."""
    recording = simulate("macro", ["constant:input=b_pre,value=1", "constant:input=b_post,value=1"],
                         options={"n_pre": 64, "n_post": 64}, parameters={"ell_sheet": "2", "a_sheet": "0.02"},
                         duration="1 s", dt="10 ms", record_every="0.5 s")
    p_s = recording["p_s"].values[-1].reshape(64, 64)
    assert p_s[32, 32] > 1.05 * p_s[0, 32] > 1.05**2 * p_s[0, 0] > 0
    assert p_s == pytest.approx(p_s[::-1], rel=1e-12) and p_s == pytest.approx(p_s[:, ::-1], rel=1e-12)


@pytest.mark.slow
def test_neighbours_of_many_are_found_without_their_distances():
    chosen = options(n_pre=400, n_post=300, coupling="diffusive")
    found = macro.neighbours(chosen)
    assert len(found.source) == 2 * (400 * 299 + 300 * 399)
    degree = np.bincount(found.target).reshape(300, 400)
    assert (degree[1:-1, 1:-1] == 4).all() and (degree[0, 1:-1] == 3).all() and degree[0, 0] == 2
    recording = simulate("macro", "constant:input=d,value=0.3,elements=60200", options=chosen, parameters={"D": "0.1"},
                         duration="20 ms", dt="10 ms", record_every="20 ms", method="rk4")
    p_s = recording["p_s"].values[-1]
    # of two steps the first excites the driven process, the second its neighbours; all others are alike
    reached = np.flatnonzero(np.abs(p_s - p_s[0]) > 1e-12 * p_s[0])
    assert set(reached.tolist()) == {60200, 60199, 60201, 60200 - 400, 60200 + 400}


@pytest.mark.parametrize("shape", [{"n_pre": 4, "n_post": 3}, {"n_pre": 1, "n_post": 6}, {"n_pre": 1, "n_post": 1},
                                   {"n_pre": 5, "n_post": 2, "layout": "line"},
                                   {"n_pre": 2, "n_post": 2, "layout": "equal"}])
def test_neighbours_are_those_at_distance_one(shape):
    found = macro.neighbours(options(**shape))
    target, source = np.nonzero(macro_pairs.distances(options(**shape)) == 1.0)
    assert np.array_equal(found.target, target) and np.array_equal(found.source, source)


@pytest.mark.parametrize(("given_", "error", "says"), [
    ({"options": {"n_pre": 100, "n_post": 100, "layout": "equal"}}, ResourceError, "choose layout = grid or line"),
    ({"options": {"n_pre": 100, "n_post": 100, "dense_sum": "pairs"}}, ResourceError, "dense_sum = auto or fft"),
    ({"options": {"layout": "equal", "dense_sum": "fft"}}, UserError, "'fft' is not allowed with layout equal"),
    ({"options": {"dense_sum": "fft"}, "backend": "cpp"}, UserError, "cpp cannot sum dense_coupling_sheet by FFT")])
def test_what_cannot_be_is_refused_with_what_can(given_, error, says):
    with pytest.raises(error, match=says):
        simulate("macro", duration="0.1 s", dt="10 ms", **given_)


def test_only_a_product_of_a_fixed_weight_can_be_summed_on_a_grid():
    assert weight_and_source(next(c for c in macro.MODEL.connections if c.name == "dense_coupling")) == \
        ("coupling", "T", "psi")
    wrong = Connection("c", "a", "a", "", "y_post = T*x_pre*x_post : 1 (summed)", lambda o: Pairs((), ()),
                       fixed={"T": "1.0"})
    with pytest.raises(UserError, match="a sum on a grid is written"):
        weight_and_source(wrong)


# ---------------------------------------------------------------- extrapolated sums

STEPS = (0.02, 0.01, 0.005)


@functools.cache
def last_states(dt, scheme, **more):
    recording = simulate("macro", "constant:input=b_pre,value=1", duration="0.8 s", dt=dt,
                         options={"coupling_scheme": scheme, **more}, parameters={"w_back": "0.3"}, method="rk4")
    assert recording.meta["solver"]["coupling_order"] == {"held": 1, "extrapolated": 2}[scheme]
    return np.concatenate([recording[name].values[-1] for name in STATES])


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "order", "more"), [("held", 1, {}), ("extrapolated", 2, {}), (
    "extrapolated", 2, {"coupling": "diffusive"}), ("extrapolated", 2, {"dense_sum": "fft"})])
def test_the_order_of_the_coupling_is_what_the_scheme_says(scheme, order, more):
    last = [last_states(dt, scheme, **more) for dt in STEPS]
    halvings = np.abs(np.diff(last, axis=0)).max(axis=1)
    assert np.log2(halvings[0] / halvings[1]) == pytest.approx(order, abs=0.2), halvings


def test_extrapolated_sums_come_to_the_same_solution_with_less_error():
    held, moved = ([last_states(dt, scheme) for dt in STEPS] for scheme in ("held", "extrapolated"))
    exact = (4 * moved[2] - moved[1]) / 3
    # what is left of the held ones' limit is of second order in 5 ms
    assert np.abs(2 * held[2] - held[1] - exact).max() < 0.1 * np.abs(held[2] - exact).max()
    assert np.abs(moved[1] - exact).max() < 0.1 * np.abs(held[1] - exact).max()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "order"), [("held", 1), ("extrapolated", 2)])
def test_gap_junctions_have_the_order_of_their_scheme(scheme, order):
    last = []
    for dt in (0.08, 0.04, 0.02):
        recording = simulate("astrocyte_network:AM", initial={"I": ([1.4, 0.3, 0.9, 0.6], "uM")}, duration="2.4 s",
                             dt=dt, options={"layout": "line", "n_columns": 4, "gaps": "linear",
                                             "coupling_scheme": scheme}, method="rk4")
        last.append(np.concatenate([recording[name].values[-1] for name in ("C", "h", "I")]))
    halvings = np.abs(np.diff(last, axis=0)).max(axis=1)
    assert np.log2(halvings[0] / halvings[1]) == pytest.approx(order, abs=0.2), halvings
