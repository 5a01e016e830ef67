"""Nothing around a run decides its numbers: preferences, devices, clocks, random states; and all are given back."""

import subprocess
import sys
from pathlib import Path

import brian2
import numpy as np
import pytest

from astro_sim import simulate
from astro_sim.brian.surroundings import preferences_changed
from astro_sim.plan import prepare
from astro_sim.run.attached import attach

ROOT = Path(__file__).parents[2]
NOISY = {"model": "gchi_stochastic", "duration": "0.2 s", "dt": "10 ms", "seed": 3}  # draws, and has a threshold


@pytest.fixture(scope="module")
def plain():
    return simulate(**NOISY)


@pytest.fixture
def preferences():
    """Put back what a test changes, for the next one."""
    before = {name: brian2.prefs[name] for name in brian2.prefs}
    yield brian2.prefs
    for name, value in before.items():
        if str(brian2.prefs[name]) != str(value):
            brian2.prefs[name] = value


@pytest.mark.parametrize(("name", "value"), [
    ("core.default_float_dtype", np.float32), ("core.default_integer_dtype", np.int64),
    ("legacy.refractory_timing", True), ("codegen.loop_invariant_optimisations", False),
    ("core.network.default_schedule", ["start", "synapses", "groups", "thresholds", "resets", "end"]),
    ("codegen.target", "cython"), ("codegen.cpp.extra_compile_args", ["-O0"])])
def test_preferences_of_a_script_decide_nothing(plain, preferences, name, value):
    preferences[name] = value
    found = simulate(**NOISY)
    assert (found.content_hash, found.hash) == (plain.content_hash, plain.hash)
    assert str(preferences[name]) == str(value)  # and are given back


def test_every_preference_that_could_decide_is_set_aside(preferences):
    """None is forgotten that a later Brian2 brings along: what is not known to be harmless is reset."""
    assert preferences_changed() == {}
    preferences["legacy.refractory_timing"] = True
    assert preferences_changed() == {"legacy.refractory_timing": "True"}


def test_the_default_clock_and_other_objects_decide_nothing(plain):
    before = brian2.defaultclock.dt
    brian2.defaultclock.dt = 7 * brian2.msecond
    C = h = I = 5.0  # noqa: F841  names of the model, in the caller's scope
    group = brian2.NeuronGroup(2, "dv/dt = 1*hertz : 1", method="euler", name="astrocyte")
    try:
        assert simulate(**NOISY).content_hash == plain.content_hash
        assert float(brian2.defaultclock.dt) == pytest.approx(0.007)
        network = brian2.Network(group)
        network.run(14 * brian2.msecond, namespace={})
        assert group.v[:] == pytest.approx(0.014)
    finally:
        brian2.defaultclock.dt = before


def test_random_states_are_neither_used_nor_changed(plain):
    np.random.seed(99)  # noqa: NPY002
    wanted = np.random.random(5)  # noqa: NPY002
    np.random.seed(99)  # noqa: NPY002
    assert simulate(**NOISY).content_hash == plain.content_hash
    assert np.array_equal(np.random.random(5), wanted)  # noqa: NPY002


def test_a_script_in_standalone_mode_keeps_its_device(plain):
    from brian2.devices.device import get_device, reset_device, set_device

    set_device("cpp_standalone", build_on_run=False)
    try:
        mine = get_device()
        group = brian2.NeuronGroup(3, "v : 1", name="kept_group")
        group.v = 4.0
        assert simulate(**NOISY).content_hash == plain.content_hash
        assert get_device() is mine and len(group) == 3
    finally:
        get_device().reinit()
        reset_device()


def test_what_an_attached_model_runs_under_is_said(preferences):
    network = brian2.Network()
    cell = attach(network, "li_rinzel", dt="10 ms", duration="1 s")
    network.run(50 * brian2.msecond, namespace={})
    assert "preferences" not in cell.recording().meta
    preferences["codegen.loop_invariant_optimisations"] = False
    assert cell.recording().meta["preferences"] == {"codegen.loop_invariant_optimisations": "False"}


def test_the_solver_with_error_control_knows_no_brian2(preferences):
    given = {"model": "li_rinzel", "duration": "1 s", "dt": "0.1 s"}
    before = simulate(**given)
    preferences["core.default_float_dtype"] = np.float32
    assert simulate(**given).content_hash == before.content_hash
    assert prepare(**given).adaptive


SCRIPT = """
import brian2
{before}
from astro_sim import simulate
from astro_sim.plan import prepare
found = simulate("gchi_stochastic", duration="0.2 s", dt="10 ms", seed=3)
print(found.content_hash, found["C"].values.dtype)
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", [
    "", "brian2.set_device('cpp_standalone')", "brian2.defaultclock.dt = 3*brian2.msecond",
    "brian2.prefs.codegen.target = 'numpy'; brian2.seed(4)"])
def test_a_preferences_file_and_what_a_script_does_first_decide_nothing(plain, tmp_path, before):
    """The file is read when Brian2 is imported, from where one stands: in a process of its own."""
    (tmp_path / "brian_preferences").write_text(
        "core.default_float_dtype = float32\nlegacy.refractory_timing = True\n"
        "codegen.loop_invariant_optimisations = False\n", "utf-8")
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(before=before)], cwd=tmp_path, capture_output=True,
                          text=True, check=True, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin",
                                                      "HOME": str(tmp_path)})
    assert done.stdout.split() == [plain.content_hash, "float64"]


@pytest.mark.slow
def test_a_compiled_run_leaves_a_scripts_standalone_device_alone():
    from brian2.devices.device import get_device, reset_device, set_device

    reference = simulate("li_rinzel", duration="50 ms", dt="10 ms", method="rk4", backend="cpp")
    set_device("cpp_standalone", build_on_run=False)
    try:
        group = brian2.NeuronGroup(3, "v : 1", name="kept_group")
        group.v = 4.0
        mine, begun = get_device(), len(get_device().main_queue)
        again = simulate("li_rinzel", duration="50 ms", dt="10 ms", method="rk4", backend="cpp")
        assert again.content_hash == reference.content_hash
        assert get_device() is mine and len(mine.main_queue) == begun
    finally:
        get_device().reinit()
        reset_device()
