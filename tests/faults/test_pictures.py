"""Names in pictures: what users call things is drawn as it stands."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("matplotlib")

NAMES = ["$\\frac", "price $x$ of $", "$$", "a\\$b$c$", r"$\undefined{x}$", "x_$1^2$", "$"]


def texts(figure):
    """What a figure shows, drawn: (text, whether it is read as a formula) of each piece."""
    import io

    from matplotlib.text import Text

    figure.savefig(io.BytesIO(), format="png", dpi=40)  # a formula that is none raises here
    return [one._preprocess_math(one.get_text()) for one in figure.findobj(Text) if one.get_text()]


def recording(name):
    """A recording, its populations, series, elements and model called `name`."""
    from astro_sim.run.simulation import simulate

    made = simulate("li_rinzel", duration="1 s", dt="50 ms")
    series = made["C"]
    two = np.repeat(series.values, 2, axis=1)
    other = dataclasses.replace(series, name=name, long_name=name, population=name, labels=(name, name + "2"),
                                values=two)
    return made, other


def of_series(name):
    from astro_sim.recording.plot import plot_series

    return plot_series(recording(name)[1])


def of_sweep(name):
    import xarray

    from astro_sim.run.sweep_plot import plot_measured

    values = xarray.DataArray([[1., 2.], [3., 4.]], dims=(name, "K"), name=name,
                              coords={name: [name, "other"], "K": [0., 1.]})
    return plot_measured(values)


def of_line(name):
    import xarray

    from astro_sim.run.sweep_plot import plot_measured

    return plot_measured(xarray.DataArray([1., np.nan], dims=(name,), name=name, coords={name: [name, "other"]}))


def of_ensemble(name):
    from astro_sim.run.ensemble_result import Ensemble

    made, series = recording(name)
    fields = {field.name: None for field in dataclasses.fields(Ensemble)}
    result = object.__new__(Ensemble)
    for field, value in {**fields, "time": made.time, "mean": {name: series}, "spread": {name: series},
                         "seeds": (1, 2)}.items():
        object.__setattr__(result, field, value)
    return result.plot(name)


def of_training(name):
    from rmaat.training.curves import draw

    lines = [{"step": step, "loss": 1. / step, "accuracy": .5, "validation_accuracy": .5} for step in range(1, 4)]
    return draw({name: lines}, title=name, chance=.5)


def of_diagram(name):
    from astro_sim.dynamics.diagram_plot import draw

    class Found:
        model = parameter_set = input = variable = name
        long_names, special, oscillations, unstable_oscillations = {}, [], [], []
        units = {name: "1"}  # noqa: RUF012
        bistable = [{"low": 0., "high": 1., "between": name}]  # noqa: RUF012
        equilibria = [{"branch": 0, "stable": True, "input": k, name: k} for k in (0., 1.)]  # noqa: RUF012

    return draw(Found, name)


PICTURES = {"recording": of_series, "map": of_sweep, "line": of_line, "ensemble": of_ensemble, "training": of_training,
            "diagram": of_diagram}


@pytest.mark.fault("A7")
@pytest.mark.slow
@pytest.mark.parametrize("kind", PICTURES)
def test_a_name_that_looks_like_a_formula(kind):
    """A parameter, column, file, element or model has a name that a picture would read as a formula: `$` with `frac`.

    It is drawn as it stands, letter by letter, whether it would be a formula, an unbalanced `$` or one that is wrong.
    """
    for name in NAMES:
        shown = texts(PICTURES[kind](name))
        assert not [text for text, formula in shown if formula], name
        assert any(name[:12] in text for text, _ in shown), (name, shown)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_and_a_disk_that_is_full(forked, tmp_path, ending):
    """matplotlib says of a PDF that it could not end that an attribute is missing; the bytes are said, and no trace is
    left."""
    from foundation.errors import ResourceError
    from foundation.pictures import panels, write_picture

    def draw():
        picture = panels(1)[0]
        with pytest.raises(ResourceError, match=r"needs at least .* are allowed for a file"):
            write_picture(picture, tmp_path / f"x.{ending}", format=ending)

    ended = forked(function=draw, file_size=100)
    assert (ended.code, list(tmp_path.iterdir())) == (0, []), ended.err
