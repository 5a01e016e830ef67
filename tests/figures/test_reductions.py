"""The figure of the reductions: circles and lines agree in the grey range, and part outside of it."""

import numpy as np
import pytest

from derivation.record import record


@pytest.fixture(scope="module")
def panels():
    import matplotlib.pyplot as plt

    from figures.fig_reductions import draw
    from figures.sources import Sources

    yield draw(Sources(record.load())).axes
    plt.close("all")


def curves(axis):
    """(circles, lines), each a list of float64 [point, (x, y)]."""
    both = [line for line in axis.lines if len(line.get_xdata()) > 2]
    return ([line.get_xydata() for line in both if line.get_marker() == "o"],
            [line.get_xydata() for line in both if line.get_marker() != "o"])


@pytest.mark.slow
def test_eight_panels_with_labels_and_legends(panels):
    assert len(panels) == 8
    for axis in panels:
        for label in (axis.get_xlabel(), axis.get_ylabel()):
            assert "(" in label or label in ("cycle", "efficacy rho = p_l"), label  # these two are pure numbers
        assert axis.get_legend() is not None
        assert "=" in axis.get_title()


@pytest.mark.parametrize("number", [2, 4, 6])
def test_grey_is_where_they_agree(panels, number):
    (full,), (reduced,) = curves(panels[number])
    (grey,) = panels[number].patches
    low, high = grey.get_x(), grey.get_x() + grey.get_width()
    off = np.abs(full[:, 1] - reduced[:, 1])
    inside = (full[:, 0] >= low - 1e-9) & (full[:, 0] <= high + 1e-9)
    assert off[inside].max() <= 0.05
    assert inside.all() or off[~inside].max() > 0.05


def test_each_full_curve_has_its_line(panels):
    for number in (1, 5, 7):
        full, reduced = curves(panels[number])
        assert len(full) == len(reduced) >= 2
    rare, _, fast = (np.abs(one - other)[:, 1].max() for one, other in zip(*curves(panels[1]), strict=True))
    assert rare < 0.02 < 0.05 < fast
