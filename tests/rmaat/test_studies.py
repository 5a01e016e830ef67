"""Studies: the matrix as written down, shards, processes that are killed, points that fail."""

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foundation.errors import UserError
from foundation.lock import LOCK, holder
from rmaat.model.config import ModelConfig
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import TrainConfig, to_json
from rmaat.training.metrics import read_metrics
from rmaat.training.studies.crew import Crew
from rmaat.training.studies.known import STUDIES, find_study
from rmaat.training.studies.plan import Row, Study, read_study, with_changes
from rmaat.training.studies.run import seconds_of, shard_of, study
from rmaat.training.studies.seeds import seeds_of
from rmaat.training.studies.summary import read_summaries
from rmaat.training.studies.worker import DONE, FAILED, STOPPED, Job, work
from rmaat.training.trainer import train

ROOT = Path(__file__).parents[2]
TINY = {"task.num_segments": 3, "task.segment": 4, "task.train": 16, "task.validation": 4, "task.test": 6,
        "model.width": 8, "model.segment_length": 4, "model.layers": 1, "train.batch_size": 4, "train.steps": 4,
        "train.evaluate_every": 2, "train.checkpoint_every": 2}


def tiny(variants=("rmaat",), seeds=(0,), **fields) -> Study:
    return Study("tiny", (Row(("recall",), variants, seeds, {**TINY, **fields}),))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# ---------------------------------------------------------------------------------------------- as written down


def test_a_file_is_the_matrix_that_it_writes_down(tmp_path):
    plan = read_study(written(tmp_path / "mine.toml", """
        configs = ["recall", "recall_small"]
        variants = ["rmaat", "rmt"]
        seeds = [0, 3]
        set = { "train.steps" = 7, model = { width = 16 } }

        [[rows]]

        [[rows]]
        name = "long"
        configs = ["recall"]
        variants = ["at"]
        set = ["train.steps=9", "task.num_segments=2"]
        """))
    points = {point.folder: point.experiment for point in plan.points()}
    assert plan.name == "mine" and len(points) == 2 * 2 * 2 + 2
    assert points.keys() == {f"{config}{variant}/seed{seed}" for config in ("recall", "recall_small")
                             for variant in ("", "_rmt") for seed in (0, 3)} | {
        "long/recall_at/seed0", "long/recall_at/seed3"}
    assert points["recall_small_rmt/seed3"] == find_experiment("recall_small", {
        "train.steps": 7, "width": 16, "train.seed": 3}, variant="rmt")
    long = points["long/recall_at/seed0"]
    assert (long.train.steps, long.model.width, long.model.segment_length) == (9, 16, 32)


def test_the_longest_come_first_and_what_is_written_twice_runs_once():
    rows = (Row(("recall",), ("rmaat", "rmt"), (0, 1)), Row(("recall",), ("rmt",), (1, 2)),
            Row(("recall",), seeds=(5,), changes={"train.steps": 900}), Row(("listops",), seeds=(7,)))
    points = Study("x", rows).points()
    assert [point.folder for point in points[:2]] == ["listops/seed7", "recall/seed5"] and len(points) == 7
    assert [point.cost for point in points] == sorted((point.cost for point in points), reverse=True)


def test_two_runs_of_one_name_need_names_of_their_rows():
    rows = [Row(("recall",)), Row(("recall",), changes={"train.steps": 9})]
    with pytest.raises(UserError, match=r"two different runs would both be recall/seed0; give one of the rows a name"):
        Study("x", rows).points()
    rows[1] = Row(("recall",), changes={"train.steps": 9}, name="short")
    assert {point.folder for point in Study("x", rows).points()} == {"recall/seed0", "short/recall/seed0"}


def test_data_go_to_the_configs_that_they_name():
    rows = (Row(("recall", "listops"), data={"listops": "lra"}),)
    assert {point.experiment.name: point.data for point in Study("x", rows).points()} == {"recall": None,
                                                                                          "listops": "lra"}
    with pytest.raises(UserError, match=r"data of 'text': no run takes them.*tasks of the study: recall"):
        Study("x", (Row(("recall",), data={"text": "a"}),)).points()


def test_data_given_for_all_rows_go_to_those_that_have_the_task(tmp_path):
    (tmp_path / "two.toml").write_text('variants = ["rmaat"]\n[data]\nlistops = "lra"\n[[rows]]\nconfigs = ["recall"]\n'
                                       '[[rows]]\nconfigs = ["listops"]\n')
    plan = with_changes(read_study(tmp_path / "two.toml"), [], data={"recall": "here"})
    assert {point.experiment.name: point.data for point in plan.points()} == {"recall": "here", "listops": "lra"}
    with pytest.raises(UserError, match=r"data of 'image': no run takes them.*tasks of the study: listops, recall"):
        with_changes(plan, [], data={"image": "x"}).points()


def test_a_config_s_own_data_go_before_those_of_its_task():
    rows = (Row(("recall", "recall_small"), data={"recall_small": "own", "recall": "all"}),)
    assert {point.experiment.name: point.data for point in Study("x", rows).points()} == {"recall": "all",
                                                                                          "recall_small": "own"}
    with pytest.raises(UserError, match="data of 'recall': no run takes them"):  # the config's own stand before them
        Study("x", (Row(("recall_small",), data={"recall_small": "own", "recall": "all"}),)).points()


def test_what_is_said_last_counts_by_whatever_name(tmp_path):
    path = written(tmp_path / "mine.toml", 'configs = ["recall"]\nset = { "train.steps" = 3, "model.width" = 8 }\n'
                                           '[[rows]]\nset = { steps = 4 }')
    plan = find_study(path)
    assert [point.experiment.train.steps for point in plan.points()] == [4]
    for changes, steps in ((["train.steps=5"], 5), ({"train.steps": 6}, 6), (["steps=7"], 7), (["width=16"], 4)):
        assert [point.experiment.train.steps for point in with_changes(plan, changes).points()] == [steps]


def test_shards_are_a_partition():
    whole = [point.folder for point in find_study("ablations").points()]
    for n in (1, 2, 5):
        parts = [whole[i - 1::n] for i, _ in (shard_of(f"{i}/{n}") for i in range(1, n + 1))]
        assert sorted(name for part in parts for name in part) == sorted(whole)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_by_name_can_be_planned(name):
    assert find_study(name).points()


@pytest.mark.parametrize(("text", "message"), [
    ("configs = [", "mine.toml: "), ("", "configs are missing"), ('config = ["recall"]', "did you mean 'configs'"),
    ('configs = "recall"', "configs = 'recall': give a list"), ('configs = []', "give a list with at least one"),
    ('configs = ["recall"]\nseeds = [-1]', "seeds = -1: give whole numbers"),
    ('configs = ["recall"]\nseeds = [true]', "seeds = True: give whole numbers"),
    ('configs = ["recall"]\nset = 3', "set = 3: write"), ('configs = ["recall"]\nset = ["a"]', "set = ['a']: write"),
    ('configs = ["recall"]\nset = { "train.seed" = 3 }', "set train.seed: a study has seeds"),
    ('configs = ["recall"]\nname = "../x"', "name = '../x': it becomes a name of files"),
    ('configs = ["recall"]\ndata = { text = 3 }', "a folder for each task"),
    ('configs = ["recall"]\nrows = 3', "write each row as a table under [[rows]]"),
    ('seeds = [1]\n[[rows]]\nseeds = [2]', "row 1: configs are missing"),
    ('configs = [3]', "configs = [3]: give a list of names"), ('configs = [["recall"]]', "give a list of names, as"),
    ('configs = ["recall"]\n[[rows]]\nvariants = [true]', "row 1: variants = [True]: give a list of names, as"),
    ('configs = ["recall"]\nset = { "train.steps" = 3, train = { steps = 4 } }', "set gives train.steps twice"),
    (f'configs = ["recall"]\n[[rows]]\nname = "{"x" * 101}"', "row 1: name = 'xxx"),
])
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, message):
    with pytest.raises(UserError) as raised:
        read_study(written(tmp_path / "mine.toml", text))
    assert message in str(raised.value) and "mine.toml" in str(raised.value)


@pytest.mark.parametrize(("body", "message"), [
    (Row(("recal",)), "unknown config 'recal'"), (Row(("recall",), ("rtm",)), "unknown variant 'rtm'"),
    (Row(("recall",), changes={"train.step": 3}), "unknown field 'train.step'")])
def test_nothing_is_trained_where_a_name_is_wrong(tmp_path, body, message):
    with pytest.raises(UserError, match=f"^study x, row 2: {message}"):
        study(Study("x", (Row(("recall",)), body)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_budgets_shards_seeds():
    for text, seconds in {"90 min": 5400, "1.5 h": 5400, "45s": 45, "2 hours": 7200, "1 minute": 60, "3 days": 259200,
                          ".5 h": 1800}.items():
        assert seconds_of(text) == seconds
    assert seconds_of(None) is None and seconds_of(12.5) == 12.5
    for wrong in ("90", "min", "0 min", "-3 h", "1 fortnight", "", 0, -1, True, "1.2.3 h"):
        with pytest.raises(UserError, match="give a time above 0 with its unit"):
            seconds_of(wrong)
    assert shard_of(None) == (1, 1) and shard_of("2/3") == (2, 3)
    for wrong in ("0/2", "3/2", "1", "1/0", "a/b", "-1/2"):
        with pytest.raises(UserError, match="give i/n"):
            shard_of(wrong)
    assert seeds_of("0, 3,12") == [0, 3, 12]
    for wrong in ("", "0,0", "1,-2", "a", "0,,1"):
        with pytest.raises(UserError, match="give different whole numbers"):
            seeds_of(wrong)


def test_a_study_finds_what_to_do_from_names_and_changes():
    plan = with_changes(find_study("quick"), ["train.steps=5"], data={"recall": "here"})
    assert {point.experiment.train.steps for point in plan.points()} == {5}
    assert {point.data for point in plan.points()} == {"here"}
    with pytest.raises(UserError, match=r"unknown study 'quik' \(did you mean 'quick'\?\).*; or a file of your own"):
        find_study("quik")
    with pytest.raises(UserError, match=r"cannot read the study none\.toml: No such file"):
        find_study("none.toml")


# ---------------------------------------------------------------------------------------------- processes


@pytest.mark.slow
def test_a_point_that_fails_or_whose_process_dies_takes_nobody_along(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    good = find_experiment("recall", TINY)
    jobs = {"dies": Job(str(tmp_path / "dies"), os._exit, (9,), None, "cpu"),
            "fails": Job(str(tmp_path / "fails"), int, ("no number",), None, "cpu"),
            "refused": Job(str(tmp_path / "refused"), find_experiment, (good,), str(tmp_path / "none"), "cpu"),
            "good": Job(str(tmp_path / "good"), find_experiment, (good,), None, "cpu")}
    ended = []
    outcomes = Crew(jobs, jobs=1, threads=1, told=lambda name, outcome: ended.append(name)).run()
    assert ended == list(jobs) == list(outcomes)
    assert [outcomes[name].state for name in jobs] == [FAILED, FAILED, FAILED, DONE]
    assert "its process died" in outcomes["dies"].message and "ValueError" in outcomes["fails"].message
    assert "makes its own data; leave out --data" in outcomes["refused"].message
    alone = train(good, tmp_path / "alone", device="cpu", quiet=True)
    assert outcomes["good"].accuracy == alone.accuracy


TOML = """
configs = ["recall"]
variants = ["rmaat", "rmt"]
[set]
task = { num_segments = 3, segment = 4, train = 16, validation = 4, test = 6 }
model = { width = 8, segment_length = 4, layers = 1 }
train = { batch_size = 4, steps = STEPS, evaluate_every = 1000, checkpoint_every = 5 }
"""


def program(out, *more, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "rmaat", "study", str(out) + ".toml", "--out", str(out),
                             "--device", "cpu", *more], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}, **options)


def step_of(folder: Path) -> int:
    path = folder / "checkpoint.json"
    return json.loads(path.read_text())["step"] if path.exists() else 0


def waited_for(what) -> None:
    """Until it is true, however long that takes."""
    while not what():
        time.sleep(.05)


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_to_the_same_end(tmp_path):
    """Killed in its first run, whose process stops by itself; what comes out is what an uninterrupted one gives."""
    out = tmp_path / "long"
    plan = str(written(tmp_path / "long.toml", TOML.replace("STEPS", "200")))
    killed = program(out)
    waited_for(lambda: killed.poll() is not None or step_of(out / "recall" / "seed0") >= 5)
    killed.kill()
    killed.communicate()
    waited_for(lambda: holder(out / "recall" / "seed0" / LOCK) is None)
    at = step_of(out / "recall" / "seed0")
    assert at < 200 and not (out / "recall_rmt").exists()
    ended = study(plan, out, device="cpu", quiet=True)
    assert [outcome.state for outcome in ended.outcomes.values()] == [DONE, DONE]
    runs = {one.variant: one for one in read_summaries(out / "long.json")}
    for name, run in runs.items():
        changes = {**FLAT, "train.steps": 200}
        alone = train("recall", tmp_path / name, changes=changes, variant=name, device="cpu", quiet=True)
        assert run.accuracy == alone.accuracy and run.rows[0]["note"] == alone.evaluation.rows[0].note  # the loss
        assert run.costs["tokens"] == 200 * 4 * 12


FLAT = {"task.num_segments": 3, "task.segment": 4, "task.train": 16, "task.validation": 4, "task.test": 6,
        "model.width": 8, "model.segment_length": 4, "model.layers": 1, "train.batch_size": 4,
        "train.evaluate_every": 1000, "train.checkpoint_every": 5}


@pytest.mark.slow
def test_ctrl_c_stops_all_at_checkpoints_and_a_point_that_another_has_is_waited_for(tmp_path):
    out = tmp_path / "both"
    written(tmp_path / "both.toml", TOML.replace("STEPS", "1000000"))
    first = program(out, "--shard", "1/2")
    try:
        waited_for(lambda: first.poll() is not None or step_of(out / "recall" / "seed0") >= 5)
        second = program(out)
        try:
            assert "recall/seed0 is being trained by another process" in second.stderr.readline()
            waited_for(lambda: second.poll() is not None or step_of(out / "recall_rmt" / "seed0") >= 5)
        finally:
            second.terminate()
    finally:
        first.send_signal(signal.SIGINT)
    assert (first.wait(), second.wait()) == (130, 143)
    steps = [line["step"] for line in read_metrics(out / "recall" / "seed0" / "metrics.jsonl")]
    assert steps[-1] == step_of(out / "recall" / "seed0")  # nothing that was done is lost


@pytest.mark.slow
def test_seeds_of_one_training_and_the_exit_code_of_a_failed_point(tmp_path):
    settings = [part for name, value in {**TINY}.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "rmaat", "train", "recall", "--out", str(tmp_path / "seeds"), "--seeds", "3,5"]
    done = subprocess.run([*command, "--device", "cpu", *settings], cwd=ROOT, text=True, capture_output=True,
                          check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert "| rmaat   | 2 " in done.stdout and " ± " in done.stdout
    assert {path.name for path in (tmp_path / "seeds").iterdir()} == {"seed3", "seed5"}
    written(tmp_path / "failing.toml", TOML.replace("STEPS", "2") + '\n[data]\nrecall = "none"\n')
    failed = program(tmp_path / "failing")
    told = failed.communicate()
    assert failed.returncode == 1 and "0 of 2 done, 2 failed" in told[0] and "leave out --data none" in told[0]


def loads_a_module(folder):
    """A module that is asked to stop while it is loaded, and then work without an end."""
    (folder / "asked_to_stop.py").write_text(
        f"import os\nos.kill(os.getpid(), {int(signal.SIGINT)})\nfor _ in range(100):\n    pass\n"
        "open(os.path.join(os.path.dirname(__file__), 'loaded'), 'w').close()\n", "utf-8")
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module("asked_to_stop")
        while True:
            pass
    finally:
        sys.path.remove(str(folder))


def seems_not_installed(folder):
    """A library has made an error of its own of Ctrl-C."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as wish:
        raise ImportError("initialization failed") from wish


@pytest.mark.parametrize("make", [loads_a_module, seems_not_installed])
def test_a_point_that_is_stopped_before_it_trains_has_not_failed(tmp_path, make):
    before = signal.getsignal(signal.SIGINT)
    try:
        outcome = work(Job(str(tmp_path / "run"), make, (tmp_path,), None, "cpu"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.state == STOPPED and (tmp_path / "loaded").exists() == (make is loads_a_module)


COMMITTED = sorted(path for path in (ROOT / "results" / "lra").rglob("*.toml") if path.with_suffix(".json").exists())


def said(body, default):
    """Fields by their path; those that a run of an older version does not know have what changes nothing."""
    return {f"{part}.{name}": body.get(part, {}).get(name, default[part].get(name))
            for part in ("task", "model", "train") for name in body.get(part, {}).keys() | default[part].keys()}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_committed_studies_are_the_runs_whose_results_are_committed(path):
    """A config that has changed since would make another network of the same file."""
    default = {"task": {}, "model": {field.name: field.default for field in dataclasses.fields(ModelConfig)},
               "train": dataclasses.asdict(TrainConfig())}
    planned = [said(to_json(point.experiment), default) for point in find_study(str(path)).points()]
    ran = [said(run["experiment"], default) for run in json.loads(path.with_suffix(".json").read_text("utf-8"))["runs"]]
    assert ran
    for one in ran:
        assert one in planned, min(({name: (one.get(name), other.get(name)) for name in one.keys() | other.keys()
                                     if one.get(name) != other.get(name)} for other in planned), key=len)
