"""Models of a user's own: named on the command line, in worker processes, and read back from what they recorded."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astro_sim.analysis.summary import summarise, text
from astro_sim.dynamics import equilibria
from astro_sim.models import MODELS
from astro_sim.plan import find_model, model_of, plan_of, prepare
from astro_sim.recording.recording import Recording
from astro_sim.run.estimate import estimate
from astro_sim.run.half_step import check_step
from astro_sim.run.simulation import run, simulate
from astro_sim.run.streaming import simulate_to_file
from astro_sim.run.sweeps import grid, sweep
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]
OWN = '''
from beside import EQUATIONS
from astro_sim.model import Input, Model, Observable, Option, Population
from astro_sim.parameter import Parameter

RATE = Parameter(2.0, "1/second", "rate of decay", "assumed here", "assumed")
TEXT = "no model"
DECAY = Model("decay", "decay to an input", (Population("cell", "cells", EQUATIONS, size=lambda o: o["n"]),),
              {"slow": {"rate": RATE}, "fast": {"rate": Parameter(8.0, "1/second", "rate", "assumed here", "assumed")}},
              {"x": Parameter(1.0, "1", "start", "assumed here", "assumed")},
              {"x": Observable("cell", "1", "what decays", 0.0, lambda plan: 5.0)},
              inputs={"level": Input("cell", "u", "1", 0.0, "where it goes")},
              options={"n": Option(1, (1, 10), "cells")})
'''
SCRIPT = '''
import sys
from astro_sim.model import Model, Observable, Population
from astro_sim.parameter import Parameter
from astro_sim.run.sweeps import grid, sweep

RATE = Parameter(2.0, "1/second", "rate of decay", "assumed here", "assumed")
MINE = Model("mine", "decay", (Population("cell", "cells", "dx/dt = -x*rate : 1", size=lambda o: 2),),
             {"one": {"rate": RATE}}, {"x": Parameter(1.0, "1", "start", "assumed here", "assumed")},
             {"x": Observable("cell", "1", "what decays", 0.0, 1.0)})

if __name__ == "__main__":
    points = grid({"rate": ["1 1/second", "3 1/second"]}, model=MINE, duration="1 s", dt="10 ms")
    outcome = sweep(points, sys.argv[1], workers=2)
    print(len(outcome.done), outcome.failed)
'''


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text('EQUATIONS = "dx/dt = (u - x)*rate : 1"\n')
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def test_a_model_is_found_in_a_file_and_in_a_module(file, monkeypatch):
    model, name = find_model(f"{file}:DECAY")
    assert (model.name, name) == ("decay", "slow")
    assert find_model(f"{file}:DECAY:fast")[1] == find_model(model, "fast")[1] == "fast"
    monkeypatch.syspath_prepend(str(file.parent))
    (file.parent / "pack").mkdir()
    (file.parent / "pack" / "__init__.py").write_text("")
    (file.parent / "pack" / "inside.py").write_text(OWN)
    assert find_model("pack.inside:DECAY:fast")[0].name == "decay"


@pytest.mark.parametrize(("text", "says"), [
    ("own.py:DECAY:quick", "unknown parameter set of decay 'quick'"),
    ("own.py:TEXT", "TEXT is of type str; give a Model"),
    ("own.py:DECAI", "has no 'DECAI'; it has: DECAY"), ("other.py:DECAY", "no file other.py"),
    ("li_rinzl:AM", "did you mean 'li_rinzel'"), ("li_rinzel:", "unknown parameter set"),
])
def test_what_is_not_there_is_said(file, monkeypatch, text, says):
    monkeypatch.chdir(file.parent)
    with pytest.raises(UserError, match=says.replace("(", "\\(")):
        find_model(text)


def test_two_sets_contradict_each_other(file):
    with pytest.raises(UserError, match="contradict"):
        find_model(f"{file}:DECAY:fast", "slow")


@pytest.mark.slow
def test_a_model_of_a_file_does_what_a_built_in_one_does(file, tmp_path):
    name = f"{file}:DECAY:fast"
    plan = prepare(name, "constant:input=level,value=0.5", options={"n": 3}, duration="1 s", dt="10 ms")
    recording = run(plan)
    # rk4 on a linear equation: error per step (8*0.01)^5/120
    assert recording["x"].values[:, 2] == pytest.approx(0.5 + 0.5 * np.exp(-8 * recording.time), rel=1e-6)
    assert estimate(plan).recording == recording["x"].values.nbytes
    assert check_step(plan, recording)["x"]["relative"] < 1e-5
    simulate_to_file(tmp_path / "a.nc", name, "constant:input=level,value=0.5", options={"n": 3}, duration="1 s",
                     dt="10 ms")
    assert Recording.load(tmp_path / "a.nc").content_hash == recording.content_hash


@pytest.mark.slow
def test_the_program_takes_a_file(file, astro_sim):
    code, out, _ = astro_sim("run", f"{file}:DECAY:fast", "--duration", "1 s", "--dt", "10 ms", "--out", "a.nc")
    assert code == 0 and "decay" in out
    assert astro_sim("show", f"{file}:DECAY")[0] == 0


def test_a_built_in_model_travels_as_its_name_and_another_whole(file):
    assert pickle.loads(pickle.dumps(MODELS["macro"])) is MODELS["macro"]
    changed = replace(MODELS["macro"], summary="mine")
    assert pickle.loads(pickle.dumps(changed)).summary == "mine"
    plan = prepare(f"{file}:DECAY", options={"n": 4}, duration="1 s", dt="10 ms")
    assert pickle.loads(pickle.dumps(plan)).size("cell") == 4


@pytest.mark.slow
def test_a_sweep_of_a_model_of_a_file_runs_in_processes(file, tmp_path):
    model = find_model(f"{file}:DECAY")[0]
    points = grid({"rate": ["1 1/second", "3 1/second"]}, model=model, duration="1 s", dt="10 ms")
    outcome = sweep(points, tmp_path / "runs", workers=2)
    assert (len(outcome.done), outcome.failed) == (2, {})
    rates = {recording.parameter("rate"): recording["x"].values[-1, 0]
             for recording in map(Recording.load, outcome.done)}
    assert rates == pytest.approx({1.0: np.exp(-1), 3.0: np.exp(-3)}, rel=1e-6)


@pytest.mark.slow
def test_a_sweep_of_a_model_in_a_script_runs_in_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, tmp_path / "runs"], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert done.stdout.strip() == "2 {}"


def changed_uptake():
    """li_rinzel with twice the uptake by SERCA in its equations, its name kept."""
    model = MODELS["li_rinzel"]
    population = model.populations[0]
    text = population.equations.replace("O_P*C**2", "2*O_P*C**2")
    assert text != population.equations
    return replace(model, populations=(replace(population, equations=text),))


@pytest.mark.slow
def test_a_recording_is_read_by_its_own_equations(tmp_path):
    """A changed model that kept its name: its rest, not that of the built-in one."""
    model, level = changed_uptake(), "0.3 umolar"
    simulate(model, f"constant:input=ip3,value={level}", duration="100 s", dt="20 ms").save(tmp_path / "a.nc")
    recording = Recording.load(tmp_path / "a.nc")
    read = model_of(recording.meta)
    assert "2*O_P*C**2" in read.populations[0].equations
    rests = [float(row["C"]) for row in summarise(recording)["equilibria"]["rows"]]
    wanted = [row["C"] for row in equilibria(model, {"ip3": level})]
    built_in = [row["C"] for row in equilibria("li_rinzel", {"ip3": level})]
    assert rests == pytest.approx(wanted, rel=1e-6)
    assert abs(rests[0] / built_in[0] - 1) > 0.1, "or the test could not tell them apart"
    assert recording["C"].values[-1, 0] == pytest.approx(rests[0], rel=1e-3)
    assert run(plan_of(recording.meta)).content_hash == recording.content_hash


@pytest.mark.slow
def test_a_recording_of_a_model_of_ones_own_is_read_without_the_model(file, tmp_path):
    simulate(f"{file}:DECAY:fast", "constant:input=level,value=0.5,elements=1", options={"n": 2}, duration="2 s",
             dt="10 ms").save(tmp_path / "a.nc")
    recording = Recording.load(tmp_path / "a.nc")
    plan = plan_of(recording.meta)
    assert plan.model is not find_model(f"{file}:DECAY")[0]
    assert plan.inputs["cell", "u"].held.tolist() == [0.0, 0.5]
    assert run(plan)["x"].values.tobytes() == recording["x"].values.tobytes()
    assert summarise(recording, 0.0)["variables"]["x"]["max"] == 1.0


def test_a_recording_of_a_built_in_model_is_read_with_it():
    plan = prepare("li_rinzel:FM", "constant:input=ip3,value=0.4 umolar", parameters={"K_P": "0.06 umolar"})
    assert model_of(plan.meta()) is MODELS["li_rinzel"]
    assert plan_of(plan.meta()) == plan
    for name, options in (("macro", {"n_pre": 2}), ("tripartite", {"loop": "none"}), ("gchi_stochastic", {"n": 3})):
        plan = prepare(name, options=options, duration="1 s")
        assert model_of(plan.meta()) is MODELS[name]


@pytest.mark.slow
def test_who_meets_whom_is_not_in_a_recording_and_it_says_so():
    model = MODELS["astrocyte_network"]
    population = model.populations[0]
    changed = replace(model, populations=(replace(population, equations=population.equations.replace(
        "O_P*C**2", "2*O_P*C**2")),))
    meta = prepare(changed, options={"n_columns": 3}, duration="1 s").meta()
    with pytest.raises(UserError, match="had other equations than the built-in one, and who meets whom"):
        plan_of(meta)
    assert plan_of(meta, changed).meta() == meta
    recording = simulate(changed, options={"n_columns": 3}, duration="1 s", dt="10 ms")
    summary = summarise(recording)
    assert "who meets whom" in summary["no_equilibria"]
    assert f"no equilibria: {summary['no_equilibria']}" in text(summary)
