"""The backend that is chosen: the cheapest by the estimate, NumPy for whatever is short; what is named is taken."""

import pytest

from astro_sim.plan import backend_choice, prepare
from astro_sim.plan.backend_choice import costs, operations_of, work
from astro_sim.plan.backend_choice import slowness as measured


@pytest.fixture(autouse=True)
def one_machine(monkeypatch, tmp_path):
    """A machine with a compiler, as quick as that of the constants, that has compiled nothing."""
    monkeypatch.setattr(backend_choice, "compiler", lambda: "g++")
    monkeypatch.setattr(backend_choice, "slowness", lambda: 1.0)
    monkeypatch.setattr(backend_choice, "_cache", lambda: str(tmp_path))


def planned(seconds, n=1, **more):
    return prepare("tripartite", "poisson:input=spikes,rate=10 hertz,stop=1s", duration=seconds, dt="1 ms",
                   options={"n_synapses": n, "n_astrocytes": n}, **more)


def test_short_runs_are_numpys():
    plan = planned(5)
    assert plan.backend == "numpy" and "too few to compile for" in plan.why


def test_long_runs_are_compiled_where_a_compiler_is(monkeypatch):
    plan = planned(3000, record_every="100 ms")
    assert plan.backend == "cpp" and "s by numpy" in plan.why and "s by cpp" in plan.why
    monkeypatch.setattr(backend_choice, "compiler", lambda: None)
    assert planned(3000, record_every="100 ms").backend == "numpy"


def test_a_recording_that_must_be_streamed_is_not_cpps():
    assert "cpp" not in costs(planned(3000, n=20))  # 12 variables of 20 synapses at 3,000,000 records


def test_what_is_named_is_taken():
    assert planned(3000, record_every="100 ms", backend="numpy").backend == "numpy"
    assert prepare("li_rinzel", duration="1 s", method="rk4", backend="cython").backend == "cython"


def test_what_was_compiled_before_is_loaded(tmp_path):
    plan = prepare("li_rinzel_driven", "regular:input=spikes,rate=1 hertz,count=3", duration="300 s", dt="1 ms",
                   record_every="1 s")
    before = costs(plan)["cython"]
    backend_choice.note_compiled(plan)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]  # which Brian2's clear_cache removes
    assert costs(plan)["cython"] < before - 5
    other = prepare("li_rinzel_driven", "regular:input=spikes,rate=1 hertz,count=3", duration="300 s", dt="1 ms",
                    record_every="1 s", method="euler")
    assert costs(other)["cython"] > costs(plan)["cython"]


def test_work_grows_with_text_stages_and_elements():
    one, more, simple = (work(plan) for plan in (planned(1), planned(1, n=50), planned(1, method="euler")))
    assert more[2] == pytest.approx(50 * one[2], rel=0.05) and more[0] == one[0]
    assert one[1] > 2.5 * simple[1]
    assert operations_of("a*b + c") == 2 < operations_of("a*exp(b) + c")


def test_a_faster_machine_compiles_sooner_in_its_own_seconds(monkeypatch):
    plan = planned(300)
    slow = costs(plan)
    monkeypatch.setattr(backend_choice, "slowness", lambda: 0.5)
    assert costs(plan)["numpy"] == slow["numpy"] / 2


def test_the_machine_is_measured_in_powers_of_two():
    assert measured() in {2.0**n for n in range(-8, 9)}
