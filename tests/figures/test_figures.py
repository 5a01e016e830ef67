"""Every figure: axes with units, the curves it promises, PNG and SVG with their stamp; bad input in one line."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from derivation import record
from figures.__main__ import FIGURES
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]
DRAWN = [name for name, (_, _, needs_run) in FIGURES.items() if not needs_run]


@pytest.fixture(scope="module")
def sources():
    from figures.sources import Sources

    return Sources(record.load())


@pytest.fixture(scope="module")
def drawn(sources):
    """Figures by name, drawn once."""
    import matplotlib.pyplot as plt

    yield {name: importlib.import_module(FIGURES[name][0]).draw(sources) for name in DRAWN}
    plt.close("all")


@pytest.mark.parametrize("name", DRAWN)
def test_axes_name_what_they_show_with_its_unit(drawn, name):
    axes = drawn[name].axes
    across = [axis.get_xlabel() for axis in axes if axis.get_xlabel()]
    up = [axis.get_ylabel() for axis in axes if axis.get_ylabel()]
    assert across and up, "panels that share an axis may leave it to one of them, not all"
    for label in across + up:
        assert "(" in label or label.endswith("neuron"), f"{name}: '{label}' has no unit"


def test_retention_shows_three_curves_that_agree(drawn):
    closed, recorded, buffer = (line.get_xydata() for line in drawn["retention"].axes[0].lines)
    at = np.interp(recorded[:, 0], closed[:, 0], closed[:, 1])
    np.testing.assert_allclose(recorded[:, 1], at, atol=2e-3)  # the first cycle's transient
    np.testing.assert_allclose(buffer[:, 1], at, atol=1e-4)  # the closed form is drawn at 100 points


def test_kernel_shows_four_curves_that_agree(drawn):
    closed, *others = (line.get_xydata() for line in drawn["kernel"].axes[0].lines)
    assert len(others) == 3
    for points in others:
        np.testing.assert_allclose(points[:, 1], closed[points[:, 0].astype(int), 1], rtol=1e-4)


def test_places_are_uniform_or_larger_in_the_centre(drawn):
    equal, grid = (axis.images[0].get_array().data for axis in drawn["places"].axes[:2])
    assert np.ptp(equal) < 1e-12
    assert grid[1, 1] > grid[0, 1] > grid[0, 0]


def test_files_are_stamped(drawn, tmp_path):
    from figures import style

    png, svg = style.save(drawn["retention"], tmp_path, "retention", "record 0123456789ab, commit none")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "record 0123456789ab, commit none" in svg.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"retention.png", "retention.svg"}


def test_training_needs_a_run(sources):
    with pytest.raises(UserError, match="--run DIR"):
        importlib.import_module(FIGURES["training"][0]).draw(sources)


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["retentoin"], 2, "did you mean 'retention'"),
    (["retention", "--record", "nowhere.json"], 2, "cannot read the record"),
    (["training", "--run", "nowhere"], 2, "no run in nowhere"),
    (["training", "--record", "README.md"], 3, "not JSON"),
])
def test_bad_input_is_one_clear_line(arguments, code, message, tmp_path):
    command = [sys.executable, "-m", "figures", *arguments, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
