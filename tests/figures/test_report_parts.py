"""What the report's pictures draw, against numbers computed otherwise: scipy, numpy, autograd by hand."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from astro_sim.run.simulation import simulate
from derivation.fitting.rivals import compare
from derivation.record.entry import Entry
from derivation.record.points import Points, behind_record
from derivation.record.record import load
from figures import style
from figures.report import costs, fits, pictures, recordings, saliency, workings
from figures.report.data import data
from figures.report.derivation import reductions
from figures.report.gathering import Gathered, Unreadable
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.tasks.listops_trees import CLOSE, VOCABULARY
from rmaat.tasks.registry import TASKS
from rmaat.tasks.task import Batch
from rmaat.trace.inside import inside
from rmaat.trace.inspection import inspect
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import hash_of, to_json
from rmaat.training.studies.groups import group
from rmaat.training.studies.pictures import _band
from rmaat.training.studies.summary import Summary

ROOT = Path(__file__).parents[2]
X = np.array([0.4, 0.7, 1.1, 1.6, 2.2, 2.9, 3.0, 4.2, 5.5, 5.9, 7.3])


def columns_of(picture):
    """The picture's table by name; of columns of one name the first."""
    found = {}
    for one in picture.table:
        found.setdefault(one.name, np.asarray(one.values))
    return found


# ---------------------------------------------------------------------------------------------- fits


@pytest.fixture(scope="module")
def noisy():
    """Eleven points of a decay with noise, given in no order, an entry with rivals for them, and their fit by scipy."""
    y = 1.7 * np.exp(-0.45 * X) + 0.03 * np.random.default_rng(5).standard_normal(X.size)
    found, covariance = optimize.curve_fit(lambda x, c, s: c * np.exp(-s * x), X, y, [1, 1], ftol=1e-13, xtol=1e-13)
    order = np.random.default_rng(6).permutation(X.size)
    points = Points("mine", "what was seen", "umolar", "x", tuple(X[order]), tuple(y[order]), {}, "c*exp(-s*x)",
                    {"c": float(found[0]), "s": float(found[1])}, "all")
    rivals = {"decay": ("c*exp(-s*x)", {"c": 1.0, "s": 1.0}), "line": ("a+b*x", {"a": 1.0, "b": -0.1})}
    entry = Entry("mine", "E4.5", "exp(-s*x)", {"x": "what is varied"}, {}, "derived", ("Mia2026",),
                  comparisons={"all": compare("it", {"x": ("what is varied", X)}, y, rivals, "decay")})
    return entry, points, y, found, covariance


def test_a_fit_is_drawn_with_scipys_band(noisy):
    entry, points, y, (c, s), covariance = noisy
    table = columns_of(fits.draw("mine", entry, points))
    np.testing.assert_array_equal(table["x"], X)
    np.testing.assert_array_equal(table["observed"], y)
    curve = c * np.exp(-s * X)
    np.testing.assert_allclose(table["fit of c*exp(-s*x)"], curve, rtol=1e-12)
    g = np.stack([np.exp(-s * X), -c * X * np.exp(-s * X)], 1)
    half = stats.t.ppf(0.975, X.size - 2) * np.sqrt(np.einsum("ni,ij,nj->n", g, covariance, g))
    np.testing.assert_allclose(table["95 % band, upper end"] - curve, half, rtol=1e-4)  # scipy takes differences
    np.testing.assert_allclose(curve - table["95 % band, lower end"], half, rtol=1e-4)
    b, a = np.polyfit(X, y, 1)
    np.testing.assert_allclose(table["line"], a + b * X, rtol=1e-6)


def test_what_is_left_and_the_weights_are_told(noisy):
    entry, points, y, (c, s), _ = noisy
    picture = fits.draw("mine", entry, points)
    off = np.abs(c * np.exp(-s * X) - y).max()
    assert f"off by at most {off:.2g}" in picture.alt and "11 points between" in picture.alt
    weight = entry.comparisons["all"].rivals["line"].weight
    assert "line off by at most" in picture.alt and f"weight {weight:.2g}" in picture.alt
    assert picture.command == "python -m derivation show mine"


def test_of_an_exact_form_there_is_no_band(noisy):
    entry, points, *_ = noisy
    exact = dataclasses.replace(points, comparison="", observed=tuple(
        points.constants["c"] * np.exp(-points.constants["s"] * np.array(points.places))))
    picture = fits.draw("mine", entry, exact)
    assert "exact here" in picture.caption


def test_the_reductions_are_all_there_with_what_was_neglected():
    behind = behind_record(load())
    table = reductions(behind)
    assert [row[0] for row in table.rows] == [one.name for one in behind.reductions]
    assert all(row[-1] for row in table.rows) and len(table.rows) > 15
    assert {row[2] for row in table.rows} == {"reduced", "convention", "assumed"}


# ---------------------------------------------------------------------------------------------- recordings


@pytest.fixture(scope="module")
def recording():
    return simulate("li_rinzel:AM", "constant:input=ip3,value=0.5 umolar", duration="30 s", dt="10 ms")


def test_a_long_course_keeps_its_peaks(recording):
    time, values = recordings.thinned(recording.time, recording["C"].values)
    assert len(time) == len(values) <= recordings.POINTS < len(recording.time)
    assert values.max() == recording["C"].values.max() and values.min() == recording["C"].values.min()
    assert (np.diff(time) >= 0).all() and time[0] == 0 and time[-1] == recording.time[-1]
    short = recordings.thinned(recording.time[:99], recording["C"].values[:99])
    np.testing.assert_array_equal(short[1], recording["C"].values[:99])


def test_courses_have_units_and_the_recordings_numbers(recording, tmp_path):
    path = recording.save(tmp_path / "a.nc")
    shown = recordings.recorded(path)
    table = shown.pictures[0].table
    calcium = next(one for one in table if one.name.startswith("C "))
    assert calcium.unit == "µM" and np.max(calcium.values) == recording["C"].values.max()
    assert f"{recording['C'].values.max():.4g} µM" in shown.pictures[0].alt
    assert "equilibrium at ip3 = 0.5 umola" in shown.words and shown.hash == recording.hash
    path.write_bytes(path.read_bytes()[:-100])
    assert isinstance(recordings.recorded(path), Unreadable)


# ---------------------------------------------------------------------------------------------- inside


CONFIG = ModelConfig(vocab_size=16, num_classes=4, segment_length=7, num_segments=3, width=6, layers=1, heads=1,
                     num_memory_tokens=3)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(2)
    model = RMAAT(CONFIG).eval()
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 16, (3, 19)))
    return model, Batch(tokens, torch.tensor([19, 19, 12]), torch.tensor([1, 3, 0]))


def test_gradients_and_likeness_are_drawn_as_they_are(small):
    model, batch = small
    found = (inspect(model, *batch[:2], labels=batch.labels), inside(model, *batch[:2], labels=batch.labels))
    table = columns_of(workings.memory_picture(*found, name="small", command="x"))
    exact = RMAAT(CONFIG)
    exact.load_state_dict(model.state_dict())
    exact = exact.double().eval()
    vectors = exact.embedding(batch.tokens).detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(exact(inputs_embeds=vectors, lengths=batch.lengths), batch.labels)
    gradient, = torch.autograd.grad(loss, vectors)
    by_hand = [float(gradient[:, 7 * t:7 * t + 7].norm()) for t in range(3)]
    name = next(name for name in table if "tokens of the segment" in name)
    np.testing.assert_allclose(table[name], by_hand, rtol=1e-9)
    np.testing.assert_array_equal(table["distance from the last segment"], [2, 1, 0])
    memories = found[1].memories.numpy()
    cosine = [[np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(one, other, strict=True)])
               for other in memories] for one in memories]
    np.testing.assert_allclose(table["cosine"].reshape(3, 3), cosine, rtol=1e-12)


@pytest.mark.parametrize("name", ["recall", "listops", "fashion"])
def test_saliency_shows_every_token_with_its_gradient(name):
    task = TASKS[name]()
    length = 49 if task.pixels else 53
    rng = np.random.default_rng(1)
    tokens = rng.integers(1, 11, (1, length)) if name == "listops" else rng.integers(0, 200, (1, length))
    if name == "listops":
        tokens[0, 0], tokens[0, 5], tokens[0, 9], tokens[0, -1] = 11, 13, CLOSE, CLOSE
    sizes = rng.random((1, length))
    batch = Batch(torch.from_numpy(tokens), torch.tensor([length]), torch.tensor([3]))
    picture = saliency.draw(task, batch, sizes, name="one")
    table = columns_of(picture)
    np.testing.assert_array_equal(table["token"], tokens[0])
    np.testing.assert_array_equal(table["|d loss / d embedding|"], sizes[0])
    assert f"is at token {sizes[0].argmax() + 1} " in picture.alt and "label is 3" in picture.alt
    half = np.cumsum(np.sort(sizes[0])[::-1])
    assert f"{1 + int((half < half[-1] / 2).sum())} tokens have half" in picture.alt


def test_the_depth_of_a_tree_is_its_brackets():
    """[MAX 2 [MIN 3 4 ] 5 ]"""
    words = ["[MAX", "2", "[MIN", "3", "4", "X", "5", "X"]
    depth, parent = saliency.levels(np.array([VOCABULARY[word] for word in words]))
    assert depth.tolist() == [0, 1, 1, 2, 2, 1, 1, 0]
    assert parent.tolist() == [-1, 0, 0, 2, 2, 2, 0, 0]


def test_a_run_without_a_checkpoint_or_that_is_damaged_says_so(tmp_path):
    (one,) = workings.workings(tmp_path, "mine")
    assert "no run in" in one.why and one.title.startswith("Inside of mine")


# ---------------------------------------------------------------------------------------------- runs


def run(seed, accuracy, variant="rmaat") -> Summary:
    body = to_json(find_experiment(find_experiment("recall", {"train.seed": seed}), variant=variant))
    rows = [{"name": "model", "accuracy": accuracy, "samples": 60, "note": ""}]
    return Summary(body, hash_of(body), "r" * 64, {}, {"test": "t"}, 30, rows, {}, (), ())


def test_an_ablation_is_the_paired_difference_with_students_interval():
    ours, theirs = [0.61, 0.64, 0.70, 0.655], [0.40, 0.47, 0.50, 0.41]
    found, = group([*(run(seed, value) for seed, value in enumerate(ours)),
                    *(run(seed, value, "no_retention") for seed, value in enumerate(theirs))])
    difference = 100 * (np.array(theirs) - ours)
    half = stats.t.ppf(0.975, 3) * difference.std(ddof=1) / 2
    picture = costs.ablations(found, "rmaat")
    assert f"{difference.mean():+.2f} ± {half:.2f} points over 4 seeds" in picture.alt
    assert costs.ablations(found, "rmt") is None


def test_the_band_of_a_curve_is_students_interval():
    values = np.random.default_rng(2).random((5, 7))
    low, high = _band(values)
    expected = stats.t.interval(0.95, 4, values.mean(0), stats.sem(values, axis=0))
    np.testing.assert_allclose([low, high], expected, rtol=1e-12)
    np.testing.assert_array_equal(_band(values[:2]), [values[:2].min(0), values[:2].max(0)])


def test_throughput_is_drawn_as_results_have_it():
    from figures.results import STEPS, table

    rows = table(STEPS, "Tokens a second of whole training steps")
    assert "-" in [row["gru"] for row in rows], "too long for it to be run: no point, and no zero"
    figure = costs.throughput(rows)
    drawn = {(float(axes.get_title().split()[-1]), line.get_label(), x): y for axes in figure.axes
             for line in axes.lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    assert drawn == {(row["segment"], label, row["T"]): row[name] for row in rows
                     for name, (_, _, label) in costs.RATES.items() if row[name] != "-"}
    style.plt.close(figure)


@pytest.mark.parametrize("name", ["SPEED", "STEPS"])
def test_costs_that_were_not_measured_are_said_to_be_missing(monkeypatch, tmp_path, name):
    monkeypatch.setattr(costs, name, tmp_path / "gone.md")
    found = sorted(costs.costs(), key=lambda one: isinstance(one, pictures.Missing))
    assert [type(one) for one in found] == [pictures.Picture, pictures.Missing]
    assert found[1].command.startswith("python -m rmaat benchmark ") and "gone.md" in found[1].why


def test_published_numbers_stand_beside_ours_only_of_the_same_task():
    found, = group([run(0, 0.5)])
    assert costs.beside_the_published([found]) is None  # recall is none of the benchmark's tasks
    listops = dataclasses.replace(found, task={"name": "listops"})
    table = costs.beside_the_published([listops])
    assert table.rows[3][:2] == ["RMAAT (Mia2026 (arXiv 2601.00426))", "38.9"] and table.rows[3][-1] == "68.0"
    assert table.rows[-1][1] == "50.00 (1) * 128 tokens" and "not the same task" in table.note


def test_the_data_are_counted_as_numpy_counts_them():
    one, = data(Gathered([run(0, 0.5)], ()))
    task = TASKS["recall"](**(dict(one.dials) | {"test": 200}))
    labels = task.split("test").all_labels()
    assert one.found["samples"] == 200
    assert list(one.found["classes"].values()) == np.bincount(labels, minlength=10).tolist()
    table = columns_of(one.pictures[0])
    assert table["200 samples, samples"].tolist() == [200]
    assert data(Gathered([run(0, 0.5)], ()), looked_at=False)[0].pictures == ()


# ---------------------------------------------------------------------------------------------- a page of one


@pytest.mark.slow
def test_a_recording_has_a_page_of_its_own(recording, tmp_path):
    recording.save(tmp_path / "a.nc")
    line = [sys.executable, "-m", "astro_sim", "report", "a.nc", "--json"]
    for force in ([], ["--force"]):
        done = subprocess.run([*line, *force], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "a.html").read_text("utf-8")
        assert json.loads(done.stdout) == {"out": "a.html", "bytes": len(page.encode())}
    assert "Recording a.nc" in page and recording.hash in page and "python -m astro_sim plot a.nc" in page
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and "already exists" in done.stderr
    (tmp_path / "a.nc").write_bytes(b"no recording")
    done = subprocess.run([*line, "--force"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 3 and "Traceback" not in done.stderr and (tmp_path / "a.html").read_text("utf-8") == page


@pytest.mark.slow
def test_a_record_has_a_page_of_its_own(tmp_path):
    done = subprocess.run([sys.executable, "-m", "derivation", "report", "--out", "r.html"], capture_output=True,
                          text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    assert f"Record {load().hash[:12]}" in page and 'id="derivation"' in page and 'id="training"' not in page
    assert page.count("<img ") >= len(behind_record(load()).points)
