"""One value an element: each is what a run of its own with that value is, on every backend, and is read back."""

import json
from dataclasses import replace

import brian2
import numpy as np
import pytest

from astro_sim.model import Law
from astro_sim.models import MODELS
from astro_sim.parameter import several_values
from astro_sim.plan import plan_of, prepare
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from astro_sim.run.sweeps import grid, sweep
from foundation.errors import UserError

K_P, C_T, START = [0.06, 0.1, 0.2], [1.6, 2.0, 2.4], [0.1, 0.4, 1.3]
SHORT = {"duration": "2 s", "dt": "10 ms", "method": "rk4"}


@pytest.mark.parametrize("given", [
    np.array([60, 100]) * brian2.nmolar, (np.array([60.0, 100.0]), "nM"), ([0.06, 0.1], "µM"), ["60 nM", "0.1 umolar"],
    ["60 nM", 0.1 * brian2.umolar], "60nM+0.1uM", "0.06 + 0.1 uM", " 6e-2uM + 1e+2nM "])
def test_values_are_read_with_their_unit(given):
    assert several_values(given, "umolar", "K_P") == pytest.approx([0.06, 0.1], rel=1e-14)


@pytest.mark.parametrize("given", ["0.06 uM", 0.06, 60 * brian2.nmolar, MODELS["li_rinzel"].parameters()["K_P"]])
def test_one_value_is_not_several(given):
    assert several_values(given, "umolar", "K_P") is None


@pytest.mark.parametrize(("given", "says"), [
    ([0.06, 0.1], r"K_P: the numbers 0\.06, 0\.1 have no unit; write \(\[0\.06, 0\.1\], 'umolar'\)"),
    (np.array([0.06, 0.1]), "have no unit"), (["60 nM", 0.1], "0.1 has no unit; write '0.1 umolar'"),
    (["60 nM", "0.1"], "no unit"), (["60 mV", "1 uM"], "wrong dimension"), (([1, 2], "mV"), "wrong dimension"),
    (([1, np.nan], "uM"), "value 1 is not finite"), (([[1], [2]], "uM"), "shape"), (([1, "x"], "uM"), "not a number"),
    (np.ones((2, 2)) * brian2.umolar, "shape"), ("file:none.csv", "is not a file"),
])
def test_values_without_a_unit_or_that_are_none_are_refused(given, says):
    with pytest.raises(UserError, match=says):
        several_values(given, "umolar", "K_P")


@pytest.mark.parametrize(("model", "changes", "says"), [
    ("gchi", {"parameters": {"K_P": (K_P[:2], "uM")}}, "K_P: 2 values; give one, or 3, one an element"),
    ("gchi", {"parameters": {"K_P": ([0.1, -0.2, 0.1], "uM")}}, "-0.2 umolar, value 1, is not allowed"),
    ("gchi", {"initial": {"C": [0.1, 0.2, 0.3]}}, "the numbers 0.1, 0.2, ... have no unit"),
    ("gchi", {"initial": {"C": ([0.1, 0.2], "uM")}}, "2 initial values; give 3, each zero or above in umolar"),
    ("graupner_brunel", {"parameters": {"D": ([1, 2, 3], "ms")}}, "D: .*takes one value for all"),
])
def test_values_that_do_not_fit_the_model_are_refused(model, changes, says):
    with pytest.raises(UserError, match=says):
        prepare(model, options={"n": 3}, duration="2 s", dt="10 ms", **changes)


def test_a_parameter_of_two_populations_is_one_for_all():
    with pytest.raises(UserError, match="Omega_c: belongs to astrocyte and synapse"):
        prepare("tripartite", parameters={"Omega_c": ([40, 41], "1/s")}, options={"n_synapses": 2, "loop": "closed"},
                **SHORT)


@pytest.fixture(scope="module")
def recording():
    return simulate("li_rinzel", options={"n": 3}, parameters={"K_P": K_P * brian2.umolar, "C_T": (C_T, "uM")},
                    initial={"C": (START, "uM"), "h": [0.7, 0.8, 0.9]}, **SHORT)


@pytest.mark.slow
def test_each_element_is_a_run_of_its_own(recording):
    """The third has more calcium than the set's C_T would allow: bounds and laws are those of each."""
    for k in range(3):
        alone = simulate("li_rinzel", parameters={"K_P": f"{K_P[k]} uM", "C_T": f"{C_T[k]} uM"},
                         initial={"C": f"{START[k]} uM", "h": [0.7, 0.8, 0.9][k]}, **SHORT)
        assert recording["C"].values[:, k] == pytest.approx(alone["C"].values[:, 0], rel=1e-12)


def test_a_recording_carries_them(recording, tmp_path):
    found = Recording.load(recording.save(tmp_path / "a.nc"))
    plan = plan_of(found.meta)
    assert {name: values.tolist() for name, values in plan.per_element.items()} == {"K_P": K_P, "C_T": C_T}
    assert json.loads(json.dumps(plan.meta())) == found.meta
    with pytest.raises(UserError, match="K_P: has one value an element"):
        found.parameter("K_P")
    assert found.parameter("d1") == 0.13
    other = prepare("li_rinzel", options={"n": 3}, parameters={"K_P": (K_P[::-1], "uM")}, **SHORT).meta()
    assert other["per_element"] != recording.meta["per_element"], "another hash"


def test_a_model_that_got_n_later_has_the_hash_of_before():
    assert prepare("li_rinzel", **SHORT).meta()["options"] == {}
    assert prepare("li_rinzel", options={"n": 2}, **SHORT).meta()["options"] == {"n": 2}


def test_files_give_values(tmp_path):
    (tmp_path / "k p.csv").write_text("K_P (nM),C_T (mM)\n60,0.0016\n100,0.002\n200,0.0024\n")
    np.save(tmp_path / "c.npy", np.array(START))
    (tmp_path / "one.csv").write_text("\ufeffmy values (nM)\n60\n100\n200\n", "utf-8")
    assert several_values(f"file:{tmp_path / 'one.csv'}", "uM", "K_P") == pytest.approx(K_P)
    plan = prepare("li_rinzel", options={"n": 3}, initial={"C": f"file:{tmp_path / 'c.npy'} uM"},
                   parameters=dict.fromkeys(("K_P", "C_T"), f"file:{tmp_path / 'k p.csv'}"), **SHORT)
    assert plan.per_element["K_P"] == pytest.approx(K_P) and plan.per_element["C_T"] == pytest.approx(C_T)
    assert plan.initial["C"] == pytest.approx(START)
    with pytest.raises(UserError, match="no unit"):
        prepare("li_rinzel", options={"n": 3}, initial={"C": f"file:{tmp_path / 'c.npy'}"}, **SHORT)


@pytest.mark.slow
def test_a_connections_parameter_is_of_the_element_that_it_acts_on():
    """IP3 that a spike adds, another for each; on two sources the same spike."""
    protocol = "spikes:input=spikes,times=20ms"
    found = simulate("li_rinzel_driven", protocol, options={"n": 2}, duration="20 ms", dt="10 ms",
                     parameters={"delta_I": ([0.1, 0.3], "uM"), "I_0": ([0.16, 0.16], "uM")})
    assert found["I"].values[-1] - 0.16 == pytest.approx([0.1, 0.3], rel=1e-12)


@pytest.mark.slow
def test_a_law_that_takes_one_value_refuses_several():
    law = Law("nothing", "zero", lambda plan, recording: 0 * recording.time * plan.parameters["K_P"].value)
    model = replace(MODELS["li_rinzel"], laws=(law,))
    with pytest.raises(UserError, match="K_P: has one value an element, and what this model computes from it takes"):
        simulate(model, options={"n": 3}, parameters={"K_P": (K_P, "uM")}, duration="20 ms", dt="10 ms")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cython", "cpp"])
def test_every_backend_has_the_same(recording, backend):
    found = simulate("li_rinzel", options={"n": 3}, parameters={"K_P": (K_P, "uM"), "C_T": (C_T, "uM")},
                     initial={"C": (START, "uM"), "h": [0.7, 0.8, 0.9]}, backend=backend, **SHORT)
    assert found["C"].values == pytest.approx(recording["C"].values, rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "cpp"])
def test_a_sweep_varies_them(recording, backend, tmp_path):
    """With cpp both points are runs of one program."""
    points = grid({"K_P": [(K_P, "uM"), (K_P[::-1], "uM")]}, model="li_rinzel", options={"n": 3}, backend=backend,
                  parameters={"C_T": (C_T, "uM")}, initial={"C": (START, "uM"), "h": [0.7, 0.8, 0.9]}, **SHORT)
    outcome = sweep(points, tmp_path, workers=1)
    assert len(outcome.done) == 2 and not outcome.failed
    found = {tuple(one.meta["per_element"]["K_P"]): one for one in map(Recording.load, outcome.done)}
    assert found[tuple(K_P)]["C"].values == pytest.approx(recording["C"].values, rel=1e-11)
    assert not np.allclose(found[tuple(K_P[::-1])]["C"].values, recording["C"].values, rtol=1e-3)
