"""The bifurcation diagram against published points, an independent solution, and an oscillation that Brian2 runs; the
verbs scan and analyse."""

import json

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim import analysis
from astro_sim.analysis import summary
from astro_sim.dynamics import equilibrium, scan
from astro_sim.dynamics.asked import parse_over
from astro_sim.dynamics.boxes import framed
from astro_sim.dynamics.local import local
from astro_sim.dynamics.newton import settle
from astro_sim.dynamics.resting import followed
from astro_sim.dynamics.special_points import specials
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from foundation.errors import UserError


def independent_rates(t, state, ip3, K_P=0.1):
    """Li-Rinzel written anew, in uM and s."""
    c, h = state
    gate = ip3 / (ip3 + 0.13) * c / (c + 0.08234)
    q2 = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    er = 2.0 - 1.185 * c
    return [(6.0 * gate**3 * h**3 + 0.11) * er - 0.9 * c * c / (c * c + K_P**2), 0.2 * (q2 - (q2 + c) * h)]


@pytest.fixture(scope="module")
def diagram():
    return scan("li_rinzel:AM", "ip3", low=0, high=1, points=21)


@pytest.mark.slow
def test_stability_changes_at_the_hopf_points_only(diagram):
    assert diagram.hopf == pytest.approx([0.354534, 0.636882], abs=1e-6)  # published for this project to six digits
    assert diagram.folds == []
    assert [row["kind"] for row in diagram.special] == ["supercritical", "subcritical"]
    for row in diagram.equilibria:
        assert row["stable"] == (not diagram.hopf[0] < row["input"] < diagram.hopf[1])
        assert np.abs(independent_rates(0, (row["C"], row["h"]), row["input"])).max() < 1e-9
        assert row["stable"] == (row["growth"] < 0)


@pytest.mark.slow
def test_oscillations_are_those_of_the_independent_equations(diagram):
    inputs = [row["input"] for row in diagram.oscillations]
    assert inputs == pytest.approx(np.linspace(0, 1, 21)[8:13], rel=1e-12)  # .40 to .60: all points between
    middle = diagram.oscillations[2]
    # published: period 11.492 s, .1077 to .4446 uM, to as many digits as given
    assert (middle["period"], middle["low"], middle["high"]) == pytest.approx((11.492, 0.1077, 0.4446), abs=1e-3)
    for row in diagram.oscillations[::2]:
        course = solve_ivp(independent_rates, (0, 200), [0.09, 0.78], "DOP853", np.linspace(140, 200, 12001),
                           args=(row["input"],), rtol=1e-10, atol=1e-12).y[0]
        # what is left when a stretch changes the range by less than a thousandth
        assert (row["low"], row["high"]) == pytest.approx((course.min(), course.max()), rel=2e-3)


def independent_equilibria(ip3, K_P):
    """How many steady states there are: zeros of the calcium flux at h = h_inf, on a fine grid."""
    c = np.geomspace(1e-3, 1.6, 200_000)
    q2 = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    gate = ip3 / (ip3 + 0.13) * c / (c + 0.08234) * q2 / (q2 + c)
    flux = (6.0 * gate**3 + 0.11) * (2.0 - 1.185 * c) - 0.9 * c * c / (c * c + K_P**2)
    return int((np.diff(np.sign(flux)) != 0).sum())


@pytest.mark.slow
def test_fm_has_three_equilibria_between_its_folds_and_oscillates_beyond():
    found = scan("li_rinzel:FM", "ip3", low=0.3, high=1, points=15)
    assert len(found.folds) == 2
    for fold, inside in zip(found.folds, (1, -1), strict=True):
        assert independent_equilibria(fold + inside * 1e-4, 0.05) == 3
        assert independent_equilibria(fold - inside * 1e-4, 0.05) == 1
    inputs = [row["input"] for row in found.oscillations]
    assert inputs == pytest.approx(np.linspace(0.3, 1, 15)[5:], rel=1e-12)  # .55 to 1
    # beyond the upper Hopf point the equilibrium is stable again and the large oscillation is still there
    assert found.hopf[-1] == pytest.approx(0.86, abs=1e-3)
    last = found.oscillations[-1]
    course = solve_ivp(independent_rates, (0, 200), [last["high"], 0.3], "DOP853", np.linspace(140, 200, 12001),
                       args=(1.0, 0.05), rtol=1e-10, atol=1e-12).y[0]
    assert (last["low"], last["high"]) == pytest.approx((course.min(), course.max()), rel=2e-3)


def test_a_diagram_is_kept_as_json_and_netcdf(diagram, tmp_path):
    import xarray as xr

    kept = json.loads(diagram.save(tmp_path / "a.json").read_text("utf-8"))
    assert kept["hopf"] == diagram.hopf
    assert kept["equilibria"] == diagram.equilibria
    with xr.open_dataset(diagram.save(tmp_path / "a.nc"), engine="h5netcdf") as data:
        assert data["oscillation_period"].attrs["units"] == "second"
        assert data["oscillation_period"].values.tolist() == [row["period"] for row in diagram.oscillations]
        assert data["hopf"].values.tolist() == diagram.hopf
        assert data["equilibrium_C"].attrs["units"] == "umolar"


@pytest.mark.slow
def test_scan_verb(astro_sim, tmp_path):
    words = ("scan", "li_rinzel", "--over", "ip3=0.3:0.5 umolar:10", "--out", "d.json")
    code, out, _ = astro_sim(*words)
    assert code == 0
    assert "Hopf points: 0.354534" in out
    kept = json.loads((tmp_path / "d.json").read_text("utf-8"))
    assert [row["input"] for row in kept["oscillations"]][-1] == pytest.approx(0.5)
    assert astro_sim(*words)[0] == 2
    sealed = {name: kept.pop(name) for name in ("kind", "schema", "hash")}  # of the file alone
    assert sealed["kind"] == "bifurcation diagram"
    assert json.loads(astro_sim(*words, "--force", "--json")[1]) == kept


@pytest.mark.parametrize(("words", "says"), [
    (("scan", "li_rinzel", "--over", "ip3=0-1"), "--over: 'ip3=0-1' cannot be read"),
    (("scan", "li_rinzel", "--over", "calcium=0:1:20"), "unknown input or parameter of li_rinzel 'calcium'"),
    (("scan", "li_rinzel", "--over", "ip3=1:0:20"), "ip3: 1:0:20 is not allowed"),
    (("scan", "li_rinzel", "--over", "ip3=0:1:3"), "ip3: 0:1:3 is not allowed"),
    (("scan", "li_rinzel", "--over", "ip3=0:1 s:20"), "ip3: '1 s' has the wrong dimension"),
    (("scan", "li_rinzel", "--over", "ip3=0:1:20", "--out", "d.txt"), "neither .json nor .nc"),
    (("scan", "macro", "--over", "b_pre=0:1:20"), "macro: equilibria need one uncoupled population"),
    (("scan", "gchi_stochastic", "--over", "glutamate=0:1:20"), "gchi_stochastic: noise has no equilibria"),
    (("analyse", "no.nc"), "no.nc is not a file")])
def test_bad_input_is_one_clear_line(astro_sim, words, says):
    code, out, err = astro_sim(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_over_is_read():
    assert parse_over("ip3=0:1:200") == ("ip3", "0", "1", 200)


@pytest.mark.slow
def test_analyse_says_what_the_recording_holds(astro_sim):
    recording = simulate("li_rinzel:AM", duration="60 s", dt="10 ms")
    recording.save("c.nc")
    code, out, _ = astro_sim("analyse", "c.nc")
    assert code == 0
    assert "period 11.49" in out and "unstable focus" in out
    printed = json.loads(astro_sim("analyse", "c.nc", "--json")[1])
    row = printed["variables"]["C"]["elements"][0]
    assert row["period_s"] == pytest.approx(analysis.period(Recording.load("c.nc"), "C"), rel=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((0.1077, 0.4446), abs=5e-5)
    assert printed["variables"]["C"]["unit"] == "umolar"
    assert printed["equilibria"]["rows"][0]["C"] == pytest.approx(equilibrium("li_rinzel:AM", {"ip3": 0.5})["C"])
    changed = summary.summarise(simulate("li_rinzel:AM", "constant:input=ip3,value=0.6 umolar", duration="1 s",
                                           dt="10 ms", parameters={"K_P": "0.05 uM"}))
    assert changed["equilibria"]["rows"][0]["C"] == pytest.approx(equilibrium("li_rinzel:FM", {"ip3": 0.6})["C"])
    still = summary.summarise(simulate("li_rinzel:AM", "constant:input=ip3,value=0.1 umolar", duration="20 s",
                                         dt="20 ms"))
    assert still["variables"]["C"]["elements"][0]["no_oscillation"] == "has 0 peaks, not two"
    assert "period_s" not in still["variables"]["C"]["elements"][0]
    with pytest.raises(UserError, match="after: 60 s leaves 1 records"):
        summary.summarise(recording, 60.0)


@pytest.mark.slow
def test_analyse_finds_what_applies_and_says_what_is_not_there():
    levels = [f"constant:input=glutamate,value={level} umolar,elements={k}"
              for k, level in enumerate((0.1, 1.0, 0.001))]
    told = summary.summarise(simulate("gchi:FM", levels, options={"n": 3}, duration="90 s", dt="100 ms"))
    assert told["encoding"]["word"] == "FM" and told["encoding"]["silent"] == (0.001,)
    assert not {"wave", "no_wave", "equilibria", "events"} & set(told)
    assert "encoding: FM" in summary.text(told)
    ring = simulate("astrocyte_network", options={"n_columns": 5}, duration="1 s", dt="50 ms")
    told = summary.summarise(ring)
    assert told["no_wave"].startswith("C never rises through") and "encoding" not in told
    assert "no wave: C never rises through" in summary.text(told)
    loop = simulate("tripartite", "spikes:input=release,times=0.1s", options={"loop": "open"}, duration="1 s",
                    dt="10 ms", initial={"C": "0.6 umolar"})
    told = summary.summarise(loop)
    assert told["events"]["releases"]["count"] == len(loop.events["releases"].times)
    assert "no_irregularity" in told["events"]["releases"] and "releases: " in summary.text(told)
    json.dumps(told, allow_nan=False)


def test_a_coarse_scan_keeps_to_its_branch():
    """Twelve points over two orders of glutamate: steps along the branch are shortened where it bends."""
    chosen = framed(local("gchi:FM", "glutamate"), 1e-5, 3e-3)
    coarse, fine = (followed(chosen, settle(chosen, 1e-5), 1e-5, high=3e-3, points=points) for points in (12, 60))
    inputs = [[(one.kind, chosen.input_of(one.point)) for one in specials(branch)] for branch in (coarse, fine)]
    assert [kind for kind, _ in inputs[1]] == ["hopf", "fold", "hopf"]
    assert inputs[0] == [(kind, pytest.approx(value, rel=1e-9)) for kind, value in inputs[1]]
    assert min(coarse.sizes) < coarse.step
    assert coarse.ends == fine.ends == ("low", "low")


def test_a_state_that_starts_at_zero_has_its_equilibrium():
    """Receptors start unbound; at rest what binds equals what unbinds: .3 y (1 - G) = .5 (1 + 10 C/(C + .5)) G."""
    rest = equilibrium("gchi_receptor", {"glutamate": "0.2 umolar"})
    unbinding = 0.5 * (1 + 10 * rest["C"] / (rest["C"] + 0.5))
    assert rest["Gamma_A"] == pytest.approx(0.06 / (0.06 + unbinding), rel=1e-9)
