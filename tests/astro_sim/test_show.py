"""What a model and a recording show: Markdown whose equations are those of the text, panels with units."""

import re
import sys

import numpy as np
import pytest

from astro_sim.__main__ import app
from astro_sim.model.equation_text import lines
from astro_sim.models import MODELS
from astro_sim.recording.labels import label
from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Events, Series
from astro_sim.run.simulation import simulate
from astro_sim.show import describe
from astro_sim.show.markdown import as_markdown, latex
from foundation import cli
from foundation.errors import UserError


def _program(monkeypatch, *words):
    """The exit code of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["astro_sim", *words])
    with pytest.raises(SystemExit) as end:
        cli.run(app)
    return end.value.code or 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["li_rinzel", "gchi_stochastic", "tripartite", "astrocyte_network", "macro"])
def test_every_equation_of_a_model_is_rendered(name):
    """Another reader of LaTeX, matplotlib's, takes each of them, and there are as many as the text has."""
    from matplotlib.mathtext import MathTextParser

    model, parser = MODELS[name], MathTextParser("path")
    page = as_markdown(model, model.default_set)
    rendered = re.findall(r"\$\$(.+?)\$\$", page)
    for equation in rendered:
        parser.parse(f"${equation}$")
    parts = (*model.populations, *model.connections)
    assert sum(" = " in equation for equation in rendered) == sum(
        bool(line.expression) for part in parts for line in lines(part.equations))
    assert sum(equation.startswith(r"\frac{d ") for equation in rendered) == len(model.states())
    table = page.partition("## Parameters")[2].partition("## Initial")[0]
    rows = [row.split(" | ") for row in table.splitlines() if row.startswith("| $")]
    assert [float(row[1]) for row in rows] == pytest.approx([p.value for p in model.parameters().values()], rel=1e-9)
    assert [row[4] for row in rows] == [p.source for p in model.parameters().values()]


@pytest.mark.parametrize(("text", "shown"), [
    ("-Omega_f*u_S", r"- \Omega_{f} u_{S}"),
    ("I/(I + d1)", r"\frac{I}{I + d_{1}}"),  # I is IP3, not the imaginary unit
    ("glutamate**2", r"\mathrm{glutamate}^{2}"),
    ("exp(-dt)*xi", r"\xi e^{- \Delta t}"),
    ("C_A_post", r"C_{\mathrm{A,post}}"),
])
def test_names_and_operations_in_latex(text, shown):
    assert latex(text) == shown


def test_what_happens_at_an_event_is_told_in_order():
    page = as_markdown(MODELS["tripartite"], "release_decreasing")
    told = page.partition("## transmission")[2].partition("## sensing")[0]
    assert re.findall(r"\$\$(\S+) \\leftarrow", told) == [rf"{name}_{{\mathrm{{S,post}}}}" for name in "urxY"]
    assert "threshold: `C > C_Theta`" in page
    assert "With `loop` = open or closed." in page


def test_the_verb_prints_text_unless_markdown_is_asked_for(monkeypatch, capsys):
    page = _program(monkeypatch, "show", "li_rinzel:FM", "--markdown"), capsys.readouterr().out
    assert page == (0, as_markdown(MODELS["li_rinzel"], "FM"))
    assert _program(monkeypatch, "show", "li_rinzel:FM") == 0
    assert capsys.readouterr().out == describe.as_text(MODELS["li_rinzel"], "FM") + "\n"


@pytest.fixture(scope="module")
def recording():
    return simulate("gchi", options={"n": 2}, duration="1 s", dt="20 ms")


@pytest.mark.slow
def test_panels_have_names_and_units(recording):
    figure = recording.plot()
    panels = figure.axes
    said = [panel.get_ylabel().replace("\n", " ") for panel in panels]
    assert said[0] == "calcium concentration in the cytosol (µM)"
    assert said == [label(recording[name].long_name, recording[name].unit) for name in recording]
    assert panels[-1].get_xlabel() == "time (s)"
    assert panels[0].get_title(loc="left") == "C"
    drawn = panels[1].get_lines()
    assert np.array_equal(drawn[1].get_ydata(), recording["h"].values[:, 1])
    assert len({line.get_color() for line in drawn}) == 2
    assert len(recording.plot("C").axes) == 1
    with pytest.raises(UserError, match="unknown variable of the recording 'Ca'"):
        recording.plot(["Ca"])
    with pytest.raises(UserError, match="no variable is named"):
        recording.plot([])


def test_print_gives_the_table(recording):
    assert str(recording) == str(recording.table()) and repr(recording).startswith("<Recording")


def test_many_elements_are_a_picture_with_their_events():
    values = np.arange(40.0).reshape(4, 10)
    series = Series(values, "umolar", "calcium", "cell", tuple(map(str, range(10))))
    spikes = Events(np.array([1.0, 2.0]), np.array([3, 7]), "cell", "spikes")
    recording = Recording(np.arange(4.0), {"C": series}, {"model": "m"}, {"spikes": spikes})
    panel, bar = recording.plot().axes
    assert (panel.get_ylabel(), bar.get_ylabel()) == ("cell", "calcium (µM)")
    image, dots = panel.collections
    assert np.array_equal(np.asarray(image.get_array()).reshape(10, 4), values.T)
    assert dots.get_offsets().tolist() == [[1.0, 3.0], [2.0, 7.0]]


def test_xarray_labels_its_axes_with_units(recording):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots()
    recording.to_xarray()["C"][:, 0].plot(ax=panel)
    assert panel.get_xlabel() == "time [second]"
    assert panel.get_ylabel().replace("\n", " ") == "calcium concentration in the cytosol [umolar]"
    plt.close(figure)


def test_one_variable_is_drawn_alone_or_in_given_axes(recording):
    figure = recording["h"].plot()
    panel, = figure.axes
    assert (panel.get_ylabel().replace("\n", " "), panel.get_xlabel()) == (recording["h"].long_name, "time (s)")
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it, with or without pyplot"
    assert recording["C"].plot(ax=panel) is figure
    assert len(panel.get_lines()) == 4
    other, above, below = figure, *type(figure)().subplots(2)
    assert recording.plot(["C", "h"], ax=[above, below]) is above.figure is not other
    with pytest.raises(UserError, match="1 axes for 3 variables"):
        recording.plot(ax=panel)


def test_without_matplotlib_it_says_what_to_install(recording, monkeypatch):
    monkeypatch.delitem(sys.modules, "foundation.pictures", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (recording.plot, recording["C"].plot):
        with pytest.raises(UserError, match="matplotlib is not installed; install it with"):
            draw()


def test_the_picture_is_written_whole(recording, tmp_path, monkeypatch, capsys):
    file, out = str(recording.save(tmp_path / "a.nc")), tmp_path / "a.png"
    assert _program(monkeypatch, "plot", file, "--out", str(out), "--variable", "C") == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert _program(monkeypatch, "plot", file, "--out", str(out)) == 2
    assert _program(monkeypatch, "plot", file, "--out", str(tmp_path / "a.txt")) == 2
    assert "none of .png, .svg, .pdf" in capsys.readouterr().err
