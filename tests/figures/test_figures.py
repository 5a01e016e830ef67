"""Every figure: axes with units, the curves it promises, PNG and SVG with their stamp; bad input in one line."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from derivation.record import record
from figures.__main__ import FIGURES
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]
UNIT = re.compile(r"\((?!1\))[^()]+\)$")
PURE_NUMBERS = {  # counts, shares and ratios: words alone
    "share of the capacity RF(t, T)", "product of RF(1, T) to RF(t, T)", "share of the memory", "cycle = segment t",
    "cycle = segment", "cycle", "segment t", "number of segments T", "number of segments", "presynaptic neuron",
    "postsynaptic neuron", "neuron", "synapses", "h", "IP3 receptors not inactivated by calcium",
    "time of a step, AMRB over the other", "distance of two tokens", "coupling", "coupling r",
    "strength after 60 pairs over before", "short-term state p_s", "long-term state p_l", "receptors bound,\nmean",
    "efficacy rho = p_l", "resources released by a spike", "links of an astrocyte", "share of the astrocytes"}
NAMED_ONE_BY_ONE = ("architecture", "trace_matrix")  # boxes, rows and columns say themselves what they are
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


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DRAWN if name not in NAMED_ONE_BY_ONE])
def test_axes_name_what_they_show_with_its_unit(drawn, name):
    axes = drawn[name].axes
    across = [axis.get_xlabel() for axis in axes if axis.get_xlabel()]
    up = [axis.get_ylabel() for axis in axes if axis.get_ylabel()]
    assert across and up, "panels that share an axis may leave it to one of them, not all"
    for label in across + up:
        assert label in PURE_NUMBERS or UNIT.search(label), f"{name}: '{label}' has no unit"


def test_retention_shows_three_curves_that_agree(drawn):
    closed, recorded, buffer = (line.get_xydata() for line in drawn["retention"].axes[0].lines)
    at = np.interp(recorded[:, 0], closed[:, 0], closed[:, 1])
    np.testing.assert_allclose(recorded[:, 1], at, atol=2e-3)  # the first cycle's transient
    np.testing.assert_allclose(buffer[:, 1], at, atol=1e-4)  # the closed form is drawn at 100 points


def test_graphs_have_the_links_that_are_drawn(drawn):
    *sheets, degrees = drawn["graphs"].axes
    for sheet, curve in zip(sheets, degrees.lines, strict=True):
        count, share = curve.get_xydata().T
        assert len(sheet.lines) == int(sheet.get_title().split(": ")[1].split()[0]) > 100
        assert share.sum() == pytest.approx(1) and (count * share).sum() == pytest.approx(len(sheet.lines) / 50)


def test_retention_of_every_length_has_one_ratio_and_sums_to_one(drawn, sources):
    from figures.fig_retention_lengths import LENGTHS

    q = sources.record.entry("retention").constants["q"].value
    shares, gains = drawn["retention_lengths"].axes
    for length, line, gain in zip(LENGTHS, (line for line in shares.lines if line.get_label().startswith("T =")),
                                  gains.lines, strict=True):
        factor = line.get_ydata()
        assert len(factor) == length
        np.testing.assert_allclose(factor.sum(), 1, rtol=1e-12)
        np.testing.assert_allclose(factor[1:] / factor[:-1], q, rtol=1e-12)
        np.testing.assert_allclose(gain.get_ydata()[-1], factor.prod(), rtol=1e-12)
    recorded = [line.get_xydata() for line in shares.lines if line.get_marker() == "o" and line.get_markersize() > 10]
    assert [len(points) for points in recorded] == [2, 4]
    for points, length in zip(recorded, (2, 4), strict=True):
        np.testing.assert_allclose(points[:, 1], shares.lines[LENGTHS.index(length)].get_ydata(), atol=2e-3)


def test_algorithms_are_drawn_as_results_have_them(drawn):
    from figures.fig_algorithms import LOOKS
    from figures.results import SPEED, table

    rows, (memory, time) = table(SPEED, "Peak bytes of a training step"), drawn["algorithms"].axes
    for name, line in zip(LOOKS, memory.lines, strict=True):
        np.testing.assert_allclose(line.get_xydata(), [[row["T"], row[name] / 2**20] for row in rows], rtol=1e-12)
    ratios = [row["ratio"] for row in table(SPEED, "Time of a training step")]
    points = [line.get_xdata()[0] for line in time.lines if line.get_marker() == "D"]
    assert len(points) == 4 and set(points) <= set(ratios)


def test_a_page_of_results_without_the_table_is_damaged(tmp_path):
    from figures.results import table
    from foundation.errors import DamagedFileError

    (page := tmp_path / "speed.md").write_text("# Memory\n\n## Targets\n\nnone\n")
    for title in ("Targets", "Peak bytes"):
        with pytest.raises(DamagedFileError, match=title):
            table(page, title)
    with pytest.raises(UserError, match="rmaat benchmark all"):
        table(tmp_path / "nowhere.md", "Targets")


def test_kernel_shows_four_curves_that_agree(drawn):
    closed, *others = (line.get_xydata() for line in drawn["kernel"].axes[0].lines)
    assert len(others) == 3
    for points in others:
        np.testing.assert_allclose(points[:, 1], closed[points[:, 0].astype(int), 1], rtol=1e-4)


def test_places_are_uniform_or_larger_in_the_centre(drawn):
    equal, grid = (axis.images[0].get_array().data for axis in drawn["places"].axes[:2])
    assert np.ptp(equal) < 1e-12
    assert grid[1, 1] > grid[0, 1] > grid[0, 0]


def test_releases_of_simulated_trains_lie_on_their_closed_forms(drawn):
    depressing, points, facilitating, others, _ = (line.get_xydata() for line in drawn["release_rate"].axes[0].lines)
    for curve, found in ((depressing, points), (facilitating, others)):
        wanted = np.interp(np.log(found[:, 0]), np.log(curve[:, 0]), curve[:, 1])
        np.testing.assert_allclose(found[:, 1], wanted, rtol=5e-3)  # a curve of 200 points; trains of some seconds
    assert points[:, 1].argmax() == 0 < others[:, 1].argmax() < len(others) - 1


def test_simulated_pairs_scatter_about_the_exact_curve(drawn):
    axis = drawn["pairing_curve"].axes[0]
    exact = axis.lines[2].get_xydata()
    container = axis.containers[0]
    found, bars = container.lines[0].get_xydata(), container.lines[2][0].get_segments()
    error = np.array([bar[1][1] - bar[0][1] for bar in bars]) / 2
    off = (found[:, 1] - np.interp(found[:, 0], exact[:, 0], exact[:, 1])) / error
    assert len(off) == 7 and np.sqrt((off**2).mean()) < 2.2  # a fixed seed; chance leaves 2.2 once in 10^5 draws


def test_phase_planes_show_nullclines_that_meet_at_the_equilibria(drawn):
    for axis in drawn["phase_plane"].axes:
        calcium, inactive = (axis.lines[n].get_xydata() for n in range(2))
        for line in (line for line in axis.lines if line.get_marker() == "o"):
            at = line.get_xydata()[0]
            for nullcline in (calcium, inactive):
                assert np.abs(nullcline - at).max(axis=1).min() < 5e-3  # 400 points on the axis


def test_files_are_stamped(drawn, tmp_path):
    from figures import style

    png, svg = style.save(drawn["retention"], tmp_path, "retention", stamp="record 0123456789ab, commit none")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "record 0123456789ab, commit none" in svg.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"retention.png", "retention.svg"}


def test_training_needs_a_run(sources):
    with pytest.raises(UserError, match="--run DIR"):
        importlib.import_module(FIGURES["training"][0]).draw(sources)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["retentoin"], 2, "did you mean 'retention'"),
    (["retention", "--record", "nowhere.json"], 2, "cannot read the record"),
    (["training", "--run", "nowhere"], 2, "no run in nowhere"),
    (["training", "--record", "README.md"], 3, "not JSON"),
    (["retention", "--format", "pgn"], 2, "did you mean 'png'"),
])
def test_bad_input_is_one_clear_line(arguments, code, message, tmp_path):
    command = [sys.executable, "-m", "figures", *arguments, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_list_is_json_too():
    import json

    command = [sys.executable, "-m", "figures", "--list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    listed = json.loads(done.stdout)
    assert listed.keys() == FIGURES.keys() and listed["training"]["needs_run"] and not listed["cover"]["needs_run"]


def test_the_trace_matrix_is_drawn_as_it_is(drawn, sources):
    from figures.fig_trace_matrix import CONFIG, rows
    from rmaat.trace.matrix import matrix
    from rmaat.training.configs import CONFIGS

    found, axis = matrix(CONFIGS[CONFIG]().model, sources.record), drawn["trace_matrix"].axes[0]
    names, shown = rows(found), np.ma.filled(axis.images[0].get_array(), np.nan)
    assert sorted(names) == sorted(found.parameters), "each parameter once"
    for row, name in enumerate(names):
        for column, key in enumerate(found.columns):
            expected = abs(found.effects[name].get(key, np.nan))
            np.testing.assert_allclose(shown[row, column], expected, rtol=1e-12)
    assert all(name in label.get_text() for name, label in zip(names, axis.get_yticklabels(), strict=True))


@pytest.mark.slow
def test_uncertainty_shows_every_set_and_a_band_around_the_median(drawn, sources):
    from figures.fig_uncertainty import kernel, schedule

    for axis, curve in zip(drawn["uncertainty"].axes, (schedule, kernel), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axis.lines}
        for name in sources.ensemble.published:
            expected = curve(sources.ensemble.sample(sources.record, name))
            np.testing.assert_allclose(lines[f"set {name}"], expected, rtol=1e-12)
        np.testing.assert_allclose(lines["the record"], curve(sources.record), rtol=1e-12)
        edge = axis.collections[0].get_paths()[0].vertices
        for place, middle in zip(axis.lines[0].get_xdata(), lines["their median"], strict=True):
            low, high = (pick(edge[edge[:, 0] == place, 1]) for pick in (min, max))
            assert low <= middle <= high
