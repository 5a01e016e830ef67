"""Files that are whole, each with its right hash, and do not belong together: of another run, point or moment."""

import json
import shutil
import warnings

import pytest

from foundation.errors import DamagedFileError, UserError

TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "train.batch_size=3",
        "train.evaluate_every=2", "train.checkpoint_every=2", "train.steps=4", "train.warmup=2"]
OTHERS = {"another seed": ["train.seed=3"], "another width": ["model.width=12"], "another rate": ["learning_rate=.01"]}


def go(folder, *settings, **options):
    from rmaat.training.trainer import train

    return train("recall", folder, changes=[*TINY, *settings], device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, one that was extended to as many steps, and one for each of OTHERS."""
    folder = tmp_path_factory.mktemp("runs")
    with warnings.catch_warnings(action="ignore"):
        go(folder / "run")
        go(folder / "extended", "train.steps=2")
        go(folder / "extended", resume=True)
        for name, settings in OTHERS.items():
            go(folder / name, *settings)
    return folder


def copy_of(runs, place, **files):
    """The run in `place`, with files (without their endings) from other runs."""
    shutil.copytree(runs / "run", place)
    for name, other in files.items():
        shutil.copy(next((runs / other).glob(f"{name}.json*")), place)
    return place


@pytest.mark.fault("C14")
@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_another_run(runs, tmp_path, other):
    """A run's result, metrics or changes are those of another run, by a copy that went wrong; each has its right hash.

    Whoever reads the run says which file is of another one, exit 3: a result knows its config, seed and metrics.
    """
    from rmaat.training.result import load_run
    from rmaat.training.studies.summary import summarise

    for number, (names, says) in enumerate([(("result",), "result.json is of another run: "),
                                            (("result", "metrics"), "result.json is of another run: "),
                                            (("metrics",), r"metrics\.jsonl is of another run: its config")]):
        place = copy_of(runs, tmp_path / str(number), **dict.fromkeys(names, other))
        with pytest.raises(DamagedFileError, match=says):
            summarise(place)
        with pytest.raises(DamagedFileError, match=says):
            print(load_run(place).metrics)
    place = copy_of(runs, tmp_path / "unfinished", metrics=other)
    (place / "result.json").unlink()
    for read in (summarise, lambda place: print(load_run(place).metrics), lambda place: go(place, resume=True)):
        with pytest.raises(DamagedFileError, match=r"metrics\.jsonl is of another run: its config has the hash "):
            read(place)
    place = shutil.copytree(runs / "extended", tmp_path / "unchanged")
    for name in ("changes.json", "result.json"):
        (place / name).unlink()
    with pytest.raises(DamagedFileError, match=r"goes on to step 4, config\.json and changes\.json to 2"):
        summarise(place)
    place = copy_of(runs, tmp_path / "changed", changes="extended")
    for read in (summarise, load_run):
        with pytest.raises(DamagedFileError, match=r"changes\.json: train\.steps is changed from 2 there, but was 4"):
            read(place)


@pytest.mark.fault("E4")
@pytest.mark.slow
def test_an_extended_run_beside_one_that_was_planned_so(runs, tmp_path):
    """A run that was extended, or whose learning rate was changed on the way, is compared with others.

    It counts with the steps that it has now, and is no seed of those that were planned so: its label says from where.
    """
    from figures.report.gathering import gather
    from rmaat.training.studies.compare import compare
    from rmaat.training.studies.summary import read_summaries, summarise, write_summaries

    planned, extended = summarise(runs / "run"), summarise(runs / "extended")
    assert (extended.steps, extended.step, planned.steps) == (4, 4, 4)
    assert extended.experiment["changes"] == [{"step": 2, "fields": {"train.steps": [2, 4]}}]
    assert extended.kind != planned.kind and extended.config_hash != planned.config_hash
    labels = {entry.label: list(entry.runs) for entry in compare([runs / "run", runs / "extended"]).groups[0].entries}
    assert labels == {"rmaat": [0], "rmaat (train.steps until step 2 2)": [0]}
    write_summaries(tmp_path / "a.json", "a", [planned, extended])
    assert {one.kind for one in read_summaries(tmp_path / "a.json")} == {planned.kind, extended.kind}
    assert len(gather([runs / "run", runs / "extended"]).runs) == 2


@pytest.mark.slow
def test_how_a_run_is_looked_at_on_the_way_makes_no_other_network(runs, tmp_path):
    from rmaat.training.studies.summary import summarise

    go(tmp_path / "run", "train.steps=2")
    go(tmp_path / "run", "train.steps=4", "evaluate_every=3", "model.keep_last=1", resume=True)
    assert summarise(tmp_path / "run").kind == summarise(runs / "extended").kind


@pytest.mark.slow
def test_what_is_given_to_a_finished_run_without_effect_is_said(runs, tmp_path, capsys):
    place = copy_of(runs, tmp_path / "run")
    before = (place / "result.json").read_bytes()
    go(place, "train.learning_rate=.5", "clip=2", resume=True)
    said = capsys.readouterr().err
    assert "has done all its 4 steps, and what is given for train.clip, train.learning_rate changes nothing" in said
    assert (place / "result.json").read_bytes() == before and not (place / "changes.json").exists()
    assert go(place, "train.test_samples=2", resume=True).evaluation.rows[0].samples == 2, "this one has an effect"
    assert go(place, "train.test_samples=2", resume=True).evaluation.rows[0].samples == 2


@pytest.mark.fault("B8")
@pytest.mark.slow
def test_a_reader_beside_an_extension(runs, tmp_path, monkeypatch):
    """A run is evaluated or compared just as another process extends it.

    The checkpoint of the extension is taken for what it is: nobody calls the folder a mixture of two runs.
    """
    import torch

    from rmaat.training import run_folder
    from rmaat.training.evaluation import load_model
    from rmaat.training.studies import summary

    place = copy_of(runs, tmp_path / "run")
    found = run_folder.read(place)
    go(place, "train.steps=6", resume=True)
    assert load_model(found, torch.device("cpu"))[1] == 6, "it was read as a run of 4 steps"

    place = copy_of(runs, tmp_path / "other")
    read = run_folder.read_result

    def then_extended(folder):
        result = read(folder)
        monkeypatch.setattr(run_folder, "read_result", read)
        go(place, "train.steps=8", resume=True)
        return result

    monkeypatch.setattr(run_folder, "read_result", then_extended)
    one = summary.summarise(place)
    assert (one.step, one.steps, one.accuracy is not None) == (8, 8, True)


def write_table(path):
    path.write_text("body,kind\n" + "".join(f"{'win' if k % 3 else 'plan'} {k:03},{k % 3 > 0:d}\n" for k in range(800)))
    return ["task.text=body", "task.label=kind"]


def write_lines(path):
    path.write_text("".join(json.dumps({"body": f"{'win' if k % 3 else 'plan'} {k:03}", "kind": k % 3}) + "\n"
                            for k in range(800)))
    return ["task.text=body", "task.label=kind"]


def write_text(path):
    path.write_text("".join(f"one line {k:03} and another\n" for k in range(400)))
    return []


DATA = {"a table": ("files", "x.csv", write_table), "JSON lines": ("files", "x.jsonl", write_lines),
        "a text": ("next_byte", "x.txt", write_text)}


@pytest.mark.fault("E6")
@pytest.mark.slow
@pytest.mark.parametrize("kind", DATA)
def test_data_that_are_changed_on_the_way(tmp_path, kind):
    """A letter of one sample among hundreds is changed between two parts of a training, or before an evaluation.

    Going on and evaluating are refused, exit 2: the split is named, and the file that has changed since.
    """
    from rmaat.training.evaluation import evaluate
    from rmaat.training.trainer import train

    task, name, write = DATA[kind]
    path = tmp_path / name
    changes = [*write(path), "model.width=8", "model.layers=1", "model.heads=1", "train.steps=2", "train.batch_size=3",
               "task.length=20" if task == "next_byte" else "task.max_length=12"]

    def run(*more, **options):
        return train(task, tmp_path / "run", changes=[*changes, *more], data=path, device="cpu", quiet=True, **options)

    run()
    whole = path.read_text()
    for number in ("101", "222", "303"):
        path.write_text(whole.replace(number, "111", 1))
        with pytest.raises(UserError, match=r"the train data.* is not what the run was trained with") as raised:
            run("train.steps=4", resume=True)
        assert raised.value.exit_code == 2 and (task != "files" or f"{name} has changed since" in str(raised.value))
    path.write_text(whole.replace("799" if task == "files" else "399", "111", 1))
    splits = []
    for split in ("train", "validation", "test"):
        try:
            evaluate(tmp_path / "run", split, controls=False, device="cpu")
        except UserError as error:
            splits.append(split)
            assert f"the {split} data" in str(error)
    assert len(splits) == 1, "one sample is in one split"
    path.write_text(whole)
    run("train.steps=4", resume=True)


@pytest.mark.fault("C15")
@pytest.mark.slow
def test_a_recording_of_another_point(tmp_path):
    """In the folder of a sweep a recording has the name of another one, or two have each other's.

    They are simulated anew, since a name is the hash of what is in it: no number stands beside another point's values.
    """
    from astro_sim.run.sweeps import grid, sweep

    points = grid({"K_P": ["0.05 umolar", "0.2 umolar"]}, model="li_rinzel", duration="50 ms", dt="10 ms",
                  backend="numpy", method="rk4")
    one, other = sweep(points, tmp_path).done
    before = one.read_bytes(), other.read_bytes()
    one.write_bytes(before[1])
    other.write_bytes(before[0])
    outcome = sweep(points, tmp_path)
    assert (set(outcome.done), outcome.kept) == ({one, other}, ())
    assert all(recording.hash == name for name, recording in outcome.recordings())
    one.write_bytes(other.read_bytes())
    assert sweep(points, tmp_path).done == (one,)
