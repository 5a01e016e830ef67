"""Several seeds: mean, spread and events are those of the members, whose seeds and trains are their own."""

import json

import numpy as np
import pytest
import xarray as xr

from astro_sim import analysis, ensemble, simulate
from astro_sim.model import Model, Observable, Population
from astro_sim.parameter import Parameter
from astro_sim.run.ensembles import members, read_seeds
from foundation.errors import UserError

WALK = Model(
    name="walk", summary="two cells pushed by noise",
    populations=(Population("cell", "", "dv/dt = -v/tau + s*tau**-0.5*xi : 1", lambda o: 2),),
    parameter_sets={"one": {"tau": Parameter(0.5, "second", "time constant", "assumed here", "assumed"),
                            "s": Parameter(1.0, "1", "noise", "assumed here", "assumed")}},
    initial={"v": Parameter(0.0, "1", "start", "assumed here", "assumed", "any")}, inputs={},
    observables={"v": Observable("cell", "1", "state", -100, 100)}, method="heun",
)
RUN = {"duration": "4 s", "dt": "100 ms"}


@pytest.fixture(scope="module")
def found():
    return ensemble(WALK, seeds="3+5-7", events=["v>0.5", "v<-9"], **RUN)


@pytest.fixture(scope="module")
def alone():
    return [simulate(WALK, seed=seed, **RUN) for seed in (3, 5, 6, 7)]


@pytest.mark.slow
def test_mean_and_spread_are_those_of_the_members(found, alone):
    values = np.stack([one["v"].values for one in alone])
    assert found.seeds == (3, 5, 6, 7) and found.hashes == tuple(one.hash for one in alone)
    np.testing.assert_allclose(found.mean["v"].values, values.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(found.spread["v"].values, values.std(axis=0, ddof=1), atol=1e-14)
    data = found.to_xarray()
    assert data["v_mean"].dims == ("time", "cell") and np.array_equal(data["v_spread"], found.spread["v"].values)
    assert "spread over 4 seeds" in data["v_spread"].attrs["long_name"]


@pytest.mark.slow
def test_events_are_counted_in_each_member(found, alone):
    wanted = [analysis.detect(one, "v>0.5").statistics() for one in alone]
    assert list(found.events["v>0.5"]) == wanted
    told = found.statistics()
    assert told["v>0.5"]["count"]["mean"] == np.mean([one["count"] for one in wanted])
    assert told["v>0.5"]["rate_hertz"]["spread"] == pytest.approx(np.std([one["rate_hertz"] for one in wanted], ddof=1))
    assert told["v<-9"]["count"]["mean"] == 0 and told["v<-9"]["interval_s"] is None
    assert "v>0.5: events" in str(found) and "<table>" in found._repr_html_() and "4 seeds" in repr(found)


@pytest.mark.slow
def test_its_picture_is_the_mean_in_a_band(found):
    panel, = found.plot("v").axes
    assert np.array_equal(panel.get_lines()[1].get_ydata(), found.mean["v"].values[:, 1])
    assert "one spread over 4 seeds" in [text.get_text() for text in panel.get_legend().get_texts()]
    with pytest.raises(UserError, match="unknown variable of the ensemble 'C'"):
        found.plot("C")


def test_a_poisson_train_has_its_own_seed_in_each_member():
    train = "poisson:input=spikes,rate=5 hertz,stop=1s,seed=10"
    points = members("tripartite", train, (0, 1, 4), {"duration": "1 s"})
    assert [[point["seed"], *(drive.seed for drive in point["protocol"])] for point in points] == [
        [0, 10], [1, 11], [4, 14]]


@pytest.mark.parametrize(("given", "says"), [
    ({"model": "li_rinzel", "seeds": "0-3"}, "nothing in li_rinzel is random"),
    ({"model": WALK, "seeds": "1+1"}, "names a seed twice"), ({"model": WALK, "seeds": []}, "give 1 to"),
    ({"model": WALK, "seeds": "x"}, "cannot be read"),
    pytest.param({"model": WALK, "seeds": 3, "parameters": {"tau": "0.1 ms"}, **RUN},
                 "no member could be simulated: seed 3", marks=pytest.mark.slow)])
def test_what_cannot_be_an_ensemble_is_said(given, says):
    with pytest.raises(UserError, match=says):
        ensemble(**given)


def test_seeds_are_numbers_ranges_or_text():
    assert read_seeds(range(3)) == read_seeds("0-2") == read_seeds(np.arange(3)) == (0, 1, 2) and read_seeds(7) == (7,)


@pytest.mark.slow
def test_the_verb(astro_sim, tmp_path):
    words = ("run", "gchi_stochastic", "--duration", "1 s", "--dt", "20 ms", "--seeds", "0-2", "--out", "members")
    code, out, _ = astro_sim(*words, "--events", "C>0.3 uM", "--json")
    told = json.loads(out)
    assert (code, told["seeds"], told["failed"]) == (0, [0, 1, 2], {}) and "C>0.3 uM" in told["events"]
    assert sorted(path.suffix for path in (tmp_path / "members").iterdir()) == [".csv"] + 4 * [".nc"]
    with xr.open_dataset(tmp_path / "members" / "ensemble.nc") as data:
        assert data["C_mean"].attrs["units"] == "umolar" and (data["C_spread"][1:] > 0).any()
    assert astro_sim(*words)[0] == 2, "ensemble.nc is there"
    assert astro_sim(*words[:-2], "--out", "one.nc")[0] == 2
    assert astro_sim(*words, "--seed", "4")[0] == 2
