"""The window of li_rinzel:AM in which an oscillation and an equilibrium are both stable, against a return map by
another integrator; a diagram as table, picture, arrays and JSON; the faces of the two rooms."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, minimize_scalar

from astro_sim import analysis, dynamics
from astro_sim.show.verbs import recordings
from foundation.errors import DamagedFileError, UserError


@pytest.fixture(scope="module")
def window():
    return dynamics.scan("li_rinzel:AM", "ip3", low="0.63 umolar", high="0.645 umolar", points=16)


def rates(t, state, ip3):
    """Li-Rinzel AM written anew, in uM and s."""
    c, h = state
    gate, q2 = ip3 / (ip3 + 0.13) * c / (c + 0.08234), 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    return [(6 * (gate * h) ** 3 + 0.11) * (2 - 1.185 * c) - 0.9 * c * c / (c * c + 0.01), 0.2 * (q2 - (q2 + c) * h)]


def gained(c, ip3):
    """By how much the next maximum of calcium is above this one, c: zero on a periodic orbit."""
    er = 2 - 1.185 * c
    h = np.cbrt((0.9 * c * c / (c * c + 0.01) - 0.11 * er) / (6 * er)) / (ip3 / (ip3 + 0.13) * c / (c + 0.08234))

    def turns(t, state, ip3):
        return rates(t, state, ip3)[0]

    turns.direction = -1
    course = solve_ivp(rates, (0, 14), [c, h], "DOP853", args=(ip3,), events=turns, rtol=1e-12, atol=1e-14)
    return next(y[0] for t, y in zip(course.t_events[0], course.y_events[0], strict=True) if t > 5) - c


@pytest.mark.slow
def test_the_upper_edge_of_the_window_is_where_the_return_map_loses_its_fixed_points(window):
    """Between the unstable and the stable orbit a maximum grows; at the fold the largest growth is zero."""
    def most(ip3):
        return -minimize_scalar(lambda c: -gained(c, ip3), bounds=(0.40, 0.45), method="bounded",
                                options={"xatol": 1e-5}).fun

    fold = brentq(most, 0.6380, 0.6387, xtol=1e-10)
    assert window.oscillation_folds == pytest.approx([fold], abs=1e-8)  # where an integrator of 1e-12 loses a growth
    assert window.oscillation_folds == pytest.approx([0.638357139], abs=1e-9)
    side, = window.bistable
    assert (side["low"], side["high"]) == (window.hopf[0], window.oscillation_folds[0])
    assert side["low"] == pytest.approx(0.636881816, abs=1e-9)


def test_unstable_oscillations_are_fixed_points_of_the_return_map_from_which_courses_leave(window):
    rows = window.unstable_oscillations
    assert {row["born"] for row in rows} == {window.hopf[0]} and rows[-1]["input"] == window.oscillation_folds[0]
    for row in rows[2:-1:3]:
        # the top is that of 16*61 points, to (pi/976)^2/2 of the size: 1e-6, of which the map adds a hundredth
        assert gained(row["high"], row["input"]) == pytest.approx(0, abs=2e-8)
        assert row["growth"] > 0
        ahead, behind = (gained(row["high"] + d, row["input"]) for d in (1e-3, -1e-3))
        # a Floquet multiplier is the slope of the return map
        assert 1 + (ahead - behind) / 2e-3 == pytest.approx(np.exp(row["growth"] * row["period"]), rel=0.02)
    assert abs(rows[-1]["growth"]) < 1e-6


def test_a_diagram_is_a_table_a_picture_arrays_and_json(window):
    assert repr(window).startswith("<Diagram of li_rinzel:AM over ip3: 1 branch, 1 Hopf point, 0 folds, oscillations")
    table = str(window.table())
    assert "IP3 concentration (µM)" in table and "0.6368818 to 0.6383571" in table and "subcritical" in table
    assert "<table>" in window._repr_html_()
    columns = window.arrays()
    assert columns["C"].shape == columns["stable"].shape == (len(window.equilibria),)
    assert window.arrays("special")["kind"].tolist() == ["subcritical"]
    kept = json.loads(window.to_json())
    assert kept["oscillation_folds"] == window.oscillation_folds and kept["equilibria"] == window.equilibria
    with pytest.raises(UserError, match="unknown part of a diagram 'cycles'"):
        window.arrays("cycles")


def test_the_picture_says_what_it_shows(window):
    figure = window.plot()
    axes, = figure.axes
    assert axes.get_xlabel() == "IP3 concentration (µM)"
    assert axes.get_ylabel() == "calcium concentration in the cytosol (µM)"
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {"stable equilibrium (line)", "unstable equilibrium (thin, dashed)",
            "stable oscillation: bar from lowest to highest", "unstable oscillation: lowest and highest",
            "two stable states: equilibrium and oscillation"} < set(words) and len(words) == len(set(words))
    figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0, "it hides nothing"
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"
    assert window.plot(axes, variable="h") is figure


def test_lines_change_their_kind_where_stability_changes(window):
    hopf = window.hopf[0]
    drawn = [line for line in window.plot().axes[0].lines if "equilibrium" in line.get_label()]
    solid, dashed = ([line for line in drawn if line.get_linestyle() == style] for style in ("-", "--"))
    assert max(line.get_xdata().max() for line in dashed) == hopf == min(line.get_xdata().min() for line in solid)


def test_a_saved_diagram_is_read_back_and_drawn_by_the_command_line(window, tmp_path, capsys):
    path = window.save(tmp_path / "window.json")
    assert dynamics.Diagram.load(path) == window
    recordings.plot(path, tmp_path / "window.png")
    assert (tmp_path / "window.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    with pytest.raises(UserError, match="one state"):
        recordings.plot(path, tmp_path / "two.png", variable=["C", "h"])


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"model": 1}', "\x00"])
def test_what_is_no_diagram_is_refused_in_words(window, tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DamagedFileError, match=r"other\.json: not"):
        dynamics.Diagram.load(path)
    with pytest.raises(UserError, match="no such file"):
        dynamics.Diagram.load(tmp_path / "nothing.json")


@pytest.mark.parametrize(("name", "value"), [("hopf", "none"), ("equilibria", [3]), ("model", None), ("more", 1)])
def test_a_diagram_with_a_field_of_another_kind_is_refused(window, tmp_path, name, value):
    body = json.loads(window.to_json()) | {name: value}
    (tmp_path / "altered.json").write_text(json.dumps(body), "utf-8")
    with pytest.raises(DamagedFileError, match=r"altered\.json"):
        dynamics.Diagram.load(tmp_path / "altered.json")


def test_a_limit_cycle_has_its_published_period_and_range():
    cycle = dynamics.limit_cycle("li_rinzel:AM", {"ip3": "0.5 umolar"})
    assert cycle.period == pytest.approx(11.491983435, abs=2e-8)  # as the derivation has it from other initial values
    assert (cycle.low["C"], cycle.high["C"]) == pytest.approx((0.1077, 0.4446), abs=5e-5)
    assert "11.491983 s" in str(cycle.table())
    with pytest.raises(UserError, match=r"li_rinzel:AM does not oscillate at ip3 = 0\.2 umolar"):
        dynamics.limit_cycle("li_rinzel:AM", {"ip3": 0.2})


@pytest.mark.slow
@pytest.mark.parametrize("first", ["analysis.levels", "analysis.summary", "analysis.waves", "dynamics.scanning",
                                   "dynamics.limit_cycles"])
def test_a_face_gives_its_functions_whatever_was_imported_first(first):
    program = (f"import astro_sim.{first}\nfrom astro_sim import analysis, dynamics\n"
               "assert all(callable(getattr(analysis, n)) for n in ('period', 'amplitude', 'oscillation', 'wave', "
               "'firing_rates', 'encoding', 'summarise')), vars(analysis)\n"
               "assert all(callable(getattr(dynamics, n)) for n in dynamics.__all__)\n"
               "assert analysis.events.rates and analysis.waves.wave")
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_the_rooms_are_lazy_and_dynamics_does_not_know_analysis():
    program = ("import sys\nfrom astro_sim import analysis, dynamics\n"
               "assert not {'scipy', 'brian2'} & sys.modules.keys()\n"
               "import astro_sim.dynamics.scanning, astro_sim.dynamics.plane, astro_sim.dynamics.limit_cycles\n"
               "assert 'astro_sim.analysis.course' not in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True)
    assert "oscillation" in dir(analysis) and "scan" in dir(dynamics)
