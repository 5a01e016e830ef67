"""Comparisons: intervals against scipy, pairs by seed, tables from folders and from JSON alike."""

import csv
import dataclasses
import io
import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.lock import locked
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import hash_of, to_json
from rmaat.training.studies.compare import Comparison, ComparisonNote, compare
from rmaat.training.studies.groups import group
from rmaat.training.studies.published import PUBLISHED, published
from rmaat.training.studies.statistics import interval, paired, student
from rmaat.training.studies.summary import Summary, collect, read_summaries, split_name, summarise, write_summaries
from rmaat.training.trainer import train
from rmaat.training.variants import VARIANTS

TINY = {"task.num_segments": 3, "task.segment": 4, "task.train": 16, "task.validation": 4, "task.test": 6,
        "model.width": 8, "model.segment_length": 4, "model.layers": 1, "train.batch_size": 4, "train.steps": 4,
        "train.evaluate_every": 2, "train.checkpoint_every": 2}


def summary(variant="rmaat", seed=0, accuracy=.5, *, config="recall", curve=(), changes=(), record="r" * 64) -> Summary:
    """A run that was never trained; `curve` has (step, tokens, CPU-seconds, validation accuracy)."""
    body = to_json(find_experiment(find_experiment(config, {**dict(changes), "train.seed": seed}), variant=variant))
    rows = [] if accuracy is None else [
        {"name": "model", "accuracy": accuracy, "samples": 60, "note": ""},
        {"name": "model, memory reset", "accuracy": .25, "samples": 60, "note": ""},
        {"name": "majority", "accuracy": .125, "samples": 60, "note": ""}]
    validation = [{"step": step, "tokens": tokens, "cpu_seconds": cpu, "accuracy": share, "loss": 1.}
                  for step, tokens, cpu, share in curve]
    last = curve[-1] if curve else (body["train"]["steps"], 9600, 30., 0)
    costs = {"parameters": 4242, "peak_bytes": 1000 + seed, "tokens_per_second": 500.,
             "tokens": last[1], "cpu_seconds": last[2], "seconds": 9.}
    return Summary(body, hash_of(body), record, {"device": "cpu"}, {"test": "t" * 64}, last[0], rows, costs, validation,
                   [])


# ---------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29, 30, 101])
def test_student_is_scipys(freedom):
    from scipy import stats

    for level in (.5, .9, .95, .99):
        assert student(freedom, level) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_an_interval_is_scipys(values):
    from scipy import stats

    found = interval(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12) and found.n == len(values)
    error = stats.sem(values)
    low, high = stats.t.interval(.95, len(values) - 1, np.mean(values), error) if error > 1e-12 else (found.mean,) * 2
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_one_value_has_no_interval_and_pairs_are_by_seed():
    assert interval([.25]) == (one := interval([.25])) and one.half is one.low is one.high is None
    assert paired({0: .5}, {1: .5}) is None
    found = paired({0: .5, 1: .7, 4: .8, 9: 1.}, {4: .6, 0: .4, 1: .5, 7: 0.})
    direct = interval([.1, .2, .2])
    assert (found.mean, found.half, found.n) == pytest.approx((direct.mean, direct.half, 3), rel=1e-12)
    # what all seeds share falls out: the difference is known far better than the means
    common = [.1, .5, .9]
    close = paired(dict(enumerate(x + .01 for x in common)), dict(enumerate(common)))
    assert close.half < 1e-9 and interval(common).half > .5


# ---------------------------------------------------------------------------------------------- groups and tables


def test_names_tell_config_and_variant():
    for name, parts in {"recall": ("recall", "rmaat"), "recall_small_rmt_amrb": ("recall_small", "rmt_amrb"),
                        "text_rmt+memory_8": ("text", "rmt+memory_8"), "listops_small": ("listops_small", "rmaat"),
                        "recall_no_h_astro": ("recall", "no_h_astro"), "my_thing": ("my_thing", "rmaat")}.items():
        assert split_name(name) == parts


def test_rows_are_means_intervals_and_paired_differences():
    ours, theirs = {0: .6, 1: .8, 2: .7}, {0: .5, 1: .75, 2: .55, 3: .1}
    runs = [summary("rmaat", seed, share) for seed, share in ours.items()]
    runs += [summary("rmt", seed, share) for seed, share in theirs.items()]
    rows = {row["label"]: row for row in Comparison(group(runs), "rmaat").rows()}
    assert rows["rmaat"]["accuracy"] == pytest.approx(.7) and rows["rmaat"]["seeds"] == "0 1 2"
    assert rows["rmt"]["finished"] == 4 and rows["rmt"]["difference"] == pytest.approx(-.1)
    spread = np.std([-.1, -.05, -.15], ddof=1)
    half = 4.302652729749464 * spread / math.sqrt(3)  # t of 2 degrees of freedom, from a printed table
    assert rows["rmt"]["difference_high"] == pytest.approx(-.1 + half) and rows["rmt"]["difference_n"] == 3
    assert rows["rmaat"]["difference"] is None and rows["rmt"]["memory_reset"] == .25
    assert rows["rmt"]["peak_bytes"] == pytest.approx(1001.5) and rows["rmt"]["published"] is None


def test_networks_that_are_the_same_are_one_and_others_of_a_name_are_told_apart():
    same = [summary("rmaat", 0, .5), summary("retention_accumulate", 1, .7)]  # the default's rule
    short = [summary("rmt", 0, .4), summary("rmt", 0, .3, changes={"train.steps": 7, "model.width": 16})]
    other = [summary("rmaat", 0, .1, record="s" * 64)]
    (found,) = group(same + short + other)
    labels = {entry.label: len(entry.runs) for entry in found.entries}
    assert labels == {f"rmaat (record {'r' * 12})": 2, f"rmaat (record {'s' * 12})": 1,
                      "rmt (train.steps 220, model.width 32)": 1, "rmt (train.steps 7, model.width 16)": 1}
    text = str(Comparison([found], "rmaat"))
    assert "BUDGETS DIFFER" in text and "BUDGETS DIFFER" not in str(Comparison(group(same), "rmaat"))


def test_a_network_is_held_against_the_default_that_was_trained_alike():
    short = {"changes": {"train.steps": 7}}
    runs = [summary("rmaat", 0, .9), summary("rmaat", 0, .5, **short), summary("rmt", 0, .4, **short),
            summary("rlt", 0, .3, changes={"train.steps": 8})]
    rows = {row["label"]: row["difference"] for row in Comparison(group(runs), "rmaat").rows()}
    assert rows["rmt"] == pytest.approx(-.1) and rows["rlt"] is None
    assert rows["rmaat (train.steps 7)"] is None and rows["rmaat (train.steps 220)"] is None


def test_how_often_a_run_is_looked_at_is_told_where_nothing_else_differs():
    often = {"train.evaluate_every": 5}
    (found,) = group([summary(), summary(changes=often)])
    assert {entry.label for entry in found.entries} == {f"rmaat (train.evaluate_every {n})" for n in (5, 20)}
    (found,) = group([summary(), summary(changes={**often, "train.steps": 9})])
    assert {entry.label for entry in found.entries} == {"rmaat (train.steps 9)", "rmaat (train.steps 220)"}
    (found,) = group([summary(), summary(changes=often), summary(changes={**often, "train.steps": 9})])
    assert {entry.label for entry in found.entries} == {
        "rmaat (train.steps 220, train.evaluate_every 20)", "rmaat (train.steps 220, train.evaluate_every 5)",
        "rmaat (train.steps 9)"}


def test_a_run_of_an_older_version_lacks_fields_and_had_their_defaults():
    new, other = summary(seed=0), summary(seed=1)
    old = dataclasses.replace(other, experiment={**other.experiment, **{
        part: {key: value for key, value in other.experiment[part].items() if key not in lacking}
        for part, lacking in (("model", ("readout_parts", "mixing")), ("train", ("test_samples", "clip")))}})
    (found,) = group([new, old])
    assert [entry.label for entry in found.entries] == ["rmaat"] and len(found.entries[0].runs) == 2
    (found,) = group([summary(seed=0, changes={"train.clip": .5}), old])
    assert [entry.label for entry in found.entries] == ["rmaat (train.clip 0.5)", "rmaat (train.clip 1.0)"]


def test_other_tasks_and_other_data_are_other_groups():
    runs = [summary(), summary(config="recall_small"), summary(changes={"task.seed": 3}),
            dataclasses.replace(summary("rmt"), fingerprints={"test": "u" * 64})]
    groups = group(runs)
    assert [one.name for one in groups] == ["recall", "recall 2", "recall 3", "recall_small"]
    assert {entry.label for one in groups for entry in one.entries} == {"rmaat", "rmt"}


def test_unfinished_runs_are_said_and_are_in_no_mean():
    curve = [(100, 4800, 3., .3), (200, 9600, 6., .5)]
    runs = [summary(seed=0, accuracy=.9), summary(seed=1, accuracy=None, curve=curve)]
    text = str(Comparison(group(runs), "rmaat"))
    assert "90.00" in text and "200 of 220" in text and "these are in no mean" in text
    assert Comparison(group(runs), "rmaat").rows()[0]["finished"] == 1


def test_accuracy_within_a_budget_is_that_of_the_last_validation_before():
    slow = summary("rmt", curve=[(50, 1000, 40., .2), (100, 2000, 80., .6)])
    fast = [summary("rmaat", seed, curve=[(50, 1000, 10., .3), (100, 2000, 20., share)]) for seed, share in
            ((0, .5), (1, .7))]
    (found,) = group([slow, *fast])
    ours, theirs = found.entry("rmaat"), found.entry("rmt")
    assert [ours.within("cpu_seconds", most) for most in (9, 10, 20, 80)] == [None, .3, .6, .6]
    assert [theirs.within("cpu_seconds", most) for most in (20, 40, 79, 80)] == [None, .2, .2, .6]
    assert ours.within("tokens", 1500) == .3 and theirs.within("tokens", 2000) == .6
    assert "within a budget of CPU-seconds" in str(Comparison([found], "rmaat"))


def test_published_numbers_stand_beside_their_sizes_alone():
    listops, text, recall = {"name": "listops", "train": 96_000}, {"name": "text"}, {"name": "recall", "train": 65_536}
    assert published(listops, "rmt", 2000) == 37.4 and published(listops, "rmaat", 2000) == 38.9
    assert published(listops, "rmt", 500) is None and published(listops, "gru", 2000) is None
    assert published(text, "rmt", 4224) == 65.0 and published(recall, "rmt", 128) is None
    assert published(listops | {"train": 2_000}, "rmt", 2000) is None  # learned from a part
    assert published({"name": "pathfinder", "train": 160_000, "size": 32}, "rmt", 1024) == 81.5
    means = [np.mean([task.accuracy[name] for task in PUBLISHED.values()]) for name in
             ("transformer", "rmt", "rlt", "rmaat_paper")]
    assert np.round(means, 1).tolist() == [54.4, 63.6, 58.3, 68.0]  # the means that the paper prints
    (found,) = group([summary("rmt", config="listops")])
    row = Comparison([found], "rmaat").rows()[0]
    assert row["published"] == pytest.approx(.374) and "Mia2026" in str(Comparison([found], "rmaat"))
    found = Comparison(group([summary("rmt", config="listops", changes={"train.test_samples": 1_500})]), "rmaat")
    assert found.rows()[0]["published"] is None and "tested on 1,500 samples" in str(found)


# ---------------------------------------------------------------------------------------------- files


def test_summaries_come_back_and_an_altered_file_is_refused(tmp_path):
    runs = [summary("rmaat", seed, .5 + seed / 10, curve=[(50, 1000, 10., .3)]) for seed in (0, 1)] + [
        summary("rmt", 0, None)]
    path = tmp_path / "small.json"
    write_summaries(path, "small", runs, "rmaat study small")
    assert collect([path]) == runs and json.loads(path.read_text())["command"] == "rmaat study small"
    assert compare(path).rows() == compare([path, path]).rows() == Comparison(group(runs), "rmaat").rows()
    path.write_text(path.read_text().replace('"accuracy":0.5,', '"accuracy":0.6,'))
    with pytest.raises(DamagedFileError, match="does not match its own hash"):
        read_summaries(path)
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(UserError, match="holds no summaries of runs"):
        compare(tmp_path / "other.json")
    with pytest.raises(UserError, match="none is not there; give folders"):
        compare(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no run"):
        compare(tmp_path / "empty")


@pytest.mark.slow
def test_a_comparison_from_folders_is_that_from_their_summaries(tmp_path):
    for variant in ("rmaat", "rmt"):
        for seed in (0, 1):
            train("recall", tmp_path / "runs" / variant / str(seed), changes={**TINY, "train.seed": seed},
                  variant=variant, device="cpu", quiet=True)
    write_summaries(tmp_path / "runs.json", "runs", collect([tmp_path / "runs"]))
    found = compare(tmp_path / "runs")
    assert found.rows() == compare(tmp_path / "runs.json").rows() and len(found.rows()) == 2
    one = summarise(tmp_path / "runs" / "rmt" / "1")
    assert (one.config, one.variant, one.seed, one.step, one.steps) == ("recall", "rmt", 1, 4, 4)
    assert [point["step"] for point in one.validation] == [2, 4] and one.validation[-1]["tokens"] == 4 * 4 * 12
    assert one.costs["tokens"] == 192 and one.costs["cpu_seconds"] > 0 and len(one.training) == 4
    written = {path.name for path in found.write(tmp_path / "tables")}
    assert written == {"compare.md", "compare.csv", "compare.json", "accuracy.png", "curves_recall.png"}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "tables" / "compare.csv").read_text())))
    assert [float(row["accuracy"]) for row in rows] == [row["accuracy"] for row in found.rows()]
    assert json.loads((tmp_path / "tables" / "compare.json").read_text())["rows"] == found.rows()
    page = (tmp_path / "tables" / "compare.md").read_text()
    assert str(found).splitlines()[2] in page and "](accuracy.png)" in page and "](curves_recall.png)" in page
    result = tmp_path / "runs" / "rmt" / "1" / "result.json"
    result.write_text(result.read_text().replace('"accuracy": 0', '"accuracy": 1', 1))
    assert len(collect([tmp_path / "runs"])) == 3  # the altered one is named and left out


def test_one_comparison_at_a_time_and_what_stays_of_an_earlier_one_is_said(tmp_path):
    write_summaries(tmp_path / "a.json", "study", [summary(curve=[(5, 50, 1., .4), (9, 90, 2., .5)])])
    found, out = compare(tmp_path / "a.json"), tmp_path / "tables"
    busy = pytest.raises(ResourceError, match="is being written by process")
    with locked(out / ".compare.lock", "a comparison"), busy:
        found.write(out)
    assert not out.exists()
    found.write(out)
    write_summaries(tmp_path / "b.json", "study", [summary()])  # of an earlier version, say: without a curve
    other = compare(tmp_path / "b.json")
    with pytest.warns(ComparisonNote, match=r"still has curves_recall\.png of an earlier comparison"):
        other.write(out)
    with warnings.catch_warnings(action="error"):
        found.write(out)
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\x1b[31m\u202eb", "n\0l", "y" * 5000, "a$b"])
def test_a_name_in_a_summary_leads_out_of_no_folder_and_steers_no_terminal(tmp_path, name):
    run = summary(curve=[(5, 50, 1., .4), (9, 90, 2., .5)])
    run = dataclasses.replace(run, experiment=run.experiment | {"name": name, "task": run.experiment["task"]
                                                                | {"name": name}})
    write_summaries(tmp_path / "a.json", "study", [run])
    found, out = compare(tmp_path / "a.json"), tmp_path / "deep" / "down"
    written = found.write(out)
    assert all(path.parent == out for path in written) and len(set(written)) == 5
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"a.json", *(path.name for path in written)}
    assert all(mark.isprintable() or mark == "\n" for mark in str(found))


def test_a_text_that_cannot_be_written_is_refused(tmp_path):
    run = summary()
    write_summaries(tmp_path / "a.json", "study", [dataclasses.replace(run, environment={"device": "\ud800"})])
    with pytest.raises(DamagedFileError, match="a text of 1 letters that cannot be shown"):
        read_summaries(tmp_path / "a.json")


def test_a_picture_of_many_networks_keeps_its_panels_and_its_words(tmp_path):
    """25 networks, some of whose labels have lines and lines: panels stay as high, and nothing is cut off."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    curve = [(5, 50, 1., .4), (9, 90, 2., .5)]
    runs = [summary(name, curve=curve) for name in sorted(VARIANTS)[:22]]
    runs += [summary(curve=curve, changes={
        "train.steps": 9 + n, "train.warmup": n, "model.width": 32 + 8 * n, "train.clip": 1. + n,
        "train.label_smoothing": .1 * n, "model.num_memory_tokens": 1 + n}) for n in range(3)]
    write_summaries(tmp_path / "a.json", "study", runs)
    figure = compare(tmp_path / "a.json").figures()["curves_recall"]
    FigureCanvasAgg(figure).draw()
    whole = figure.bbox.padded(1)
    for axes in figure.axes:
        assert axes.get_window_extent().height > 2 * figure.dpi, "two inches"
    for words in [*figure.legends[0].get_texts(), figure.axes[0].yaxis.label]:
        box = words.get_window_extent()
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1, words.get_text()


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from([7, 9, 11]), st.sampled_from([.1, .01, 0.]), st.sampled_from([1, 2])),
                min_size=4, max_size=12, unique=True))
def test_of_many_networks_of_one_name_each_is_told_by_what_most_do_not_have(fields):
    found = group([summary(changes={"train.steps": steps, "train.weight_decay": decay, "model.layers": layers})
                   for steps, decay, layers in fields])[0]
    labels = [entry.label for entry in found.entries]
    assert len(set(labels)) == len(fields)
    for name, place in (("train.steps", 0), ("train.weight_decay", 1), ("model.layers", 2)):
        values = [one[place] for one in fields]
        for value in set(values):
            said = sum(f"{name} {value}" in label.rstrip(")").partition(" (")[2].split(", ") for label in labels)
            assert said == (0 if 2 * values.count(value) > len(values) else values.count(value))
