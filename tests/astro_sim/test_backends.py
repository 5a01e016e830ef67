"""NumPy, Cython and C++ agree, one after the other in one process, and leave Brian2 as they found it.

Compiling is slow: one small model with a course, a sum over a connection and two states stands for the smooth ones. The
noisy models and the spiking network with astrocytes have templates of their own (noise, delays, thresholds, events,
reset): each is compiled by one of the two backends, which write the same C++. Both agree on all models (by hand).
"""

import numpy as np
import pytest
from brian2.devices.device import get_device, runtime_device

from astro_sim.model import Connection, Input, Model, Observable, Pairs, Population
from astro_sim.parameter import Parameter
from astro_sim.run.simulation import simulate
from foundation.errors import ResourceError

TEXT = """
dv/dt = (u - v - w + total)/tau : 1
dw/dt = tanh(v)/tau : 1
total : 1
"""
PAIR = Model(
    name="pair", summary="two oscillators that feel each other",
    populations=(Population("cell", "", TEXT, lambda o: 2),),
    parameter_sets={"one": {"tau": Parameter(0.1, "second", "time constant", "Mia2026", "assumed"),
                            "g": Parameter(0.3, "1", "coupling", "Mia2026", "assumed")}},
    initial={"v": Parameter(0.1, "1", "start", "Mia2026", "assumed"),
             "w": Parameter(0.2, "1", "start", "Mia2026", "assumed")},
    inputs={"u": Input("cell", "u", "1", 0.0, "drive")},
    observables={"v": Observable("cell", "1", "fast"), "w": Observable("cell", "1", "slow")},
    connections=(Connection("swap", "cell", "cell", "", "total_post = g*v_pre : 1 (summed)",
                            lambda o: Pairs([0, 1], [1, 0])),),
)
GIVEN = {"protocol": "cycles:input=u,high=1,period=0.3s,count=3,elements=1", "duration": "1 s", "dt": "5 ms",
         "method": "rk4"}


@pytest.fixture(scope="module")
def reference():
    return simulate(PAIR, **GIVEN)


def assert_agrees(recording, reference):
    assert np.array_equal(recording.time, reference.time)
    for name, series in reference.variables.items():
        # the same operations in the same order; exp and tanh of NumPy and the C library differ by an ulp or two
        assert np.abs(recording[name].values - series.values).max() <= 1e-12 * np.abs(series.values).max()


@pytest.mark.slow
def test_cython_agrees(reference):
    assert_agrees(simulate(PAIR, **GIVEN, backend="cython"), reference)


@pytest.mark.slow
def test_cpp_agrees_twice_and_puts_everything_back(reference, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert_agrees(simulate(PAIR, **GIVEN, backend="cpp"), reference)
    calcium = {"protocol": "constant:input=ip3,value=0.5 umolar", "duration": "2 s", "dt": "10 ms",
               "method": "rk4"}
    assert_agrees(simulate("li_rinzel", **calcium, backend="cpp"), simulate("li_rinzel", **calcium))
    assert get_device() is runtime_device
    assert [path for path in tmp_path.iterdir() if path.name.startswith("astro_sim_")] == []
    assert_agrees(simulate(PAIR, **GIVEN), reference)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "given"), [
    ("cython", {"model": "gchi_stochastic", "dt": "5 ms"}),
    ("cpp", {"model": "graupner_brunel_stochastic", "dt": "1 ms",
             "protocol": "pairing:offset=10 ms,period=0.2 s,count=5"})])
def test_a_seed_gives_the_same_noise_on_every_backend(backend, given):
    """Three elements: the same numbers in the same order, for each its own."""
    common = {**given, "options": {"n": 3}, "duration": "1.2 s", "seed": 11}
    compiled, plain = (simulate(**common, backend=name) for name in (backend, "numpy"))
    assert_agrees(compiled, plain)
    noisy = plain["h" if "h" in plain.variables else "rho"].values
    assert len(set(noisy[-1])) == 3
    other = simulate(**{**common, "seed": 12})
    assert np.abs(other["h" if "h" in plain.variables else "rho"].values - noisy).max() > 1e-3


@pytest.mark.slow
def test_spikes_and_releases_of_neurons_and_astrocytes_are_the_same_in_cpp():
    """The network with all that it can have: both kinds of synapse, gap junctions, releases of gliotransmitter."""
    given = {"model": "neuron_glia_network", "duration": "0.15 s", "dt": "0.1 ms",
             "protocol": "constant:input=current,value=0.2 namp",
             "options": {"n_excitatory": 24, "n_inhibitory": 6, "n_rows": 2, "n_columns": 2, "p_excitatory": 0.2,
                         "p_inhibitory": 0.3},
             "initial": {"C": "0.48 umolar", "I": ([0.8, 1.4, 0.3, 0.9], "umolar")}}
    compiled, plain = (simulate(**given, backend=name) for name in ("cpp", "numpy"))
    assert_agrees(compiled, plain)
    for name, fewest in (("spikes", 20), ("releases", 1)):
        assert len(plain.events[name].times) >= fewest
        assert np.array_equal(compiled.events[name].times, plain.events[name].times)
        assert np.array_equal(compiled.events[name].elements, plain.events[name].elements)


@pytest.mark.slow
def test_numpy_leaves_preferences_and_random_state():
    import brian2

    target, state = brian2.prefs["codegen.target"], np.random.get_state()[1].copy()  # noqa: NPY002
    simulate("li_rinzel", duration="50 ms", dt="10 ms", method="rk4", seed=3)
    assert brian2.prefs["codegen.target"] == target
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.slow
def test_a_compiler_that_fails_is_a_resource_error(monkeypatch):
    from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

    def broken(self, **kwargs):
        raise RuntimeError("Project compilation failed")

    monkeypatch.setattr(CPPStandaloneDevice, "build", broken)
    with pytest.raises(ResourceError, match="C\\+\\+ compiler"):
        simulate("li_rinzel", duration="50 ms", dt="10 ms", backend="cpp")
    assert get_device() is runtime_device
    simulate("li_rinzel", duration="50 ms", dt="10 ms")
