"""Data that would mislead: they are used, and what is odd of them is said once, as a line that a person reads."""

import pytest

TINY = ["model.segment_length=9", "model.width=8", "model.heads=2", "model.layers=1", "model.num_memory_tokens=2",
        "train.steps=2", "train.batch_size=3", "train.evaluate_every=2", "train.checkpoint_every=2", "train.warmup=1",
        "task.split_column=part"]
SET = [part for setting in TINY for part in ("--set", setting)]
NOTES = ["note: task files: all 7 samples of train have the label 1, of 2 classes",
         "note: task files: 2 of the 3 samples of validation have a label that none of train has, the first 0",
         "note: task files: 2 of the 3 samples of test have a label that none of train has, the first 0",
         "note: task files: 2 of the 3 samples of validation are in train, too",
         "note: task files: 1 of the 3 samples of test are in train, too",
         "note: task files: 1 of the 3 samples of test are in validation, too"]


def table(path):
    """Seven samples of one class to train on; two of them, and one of validation, come again."""
    rows = [(f"ape {k}", "yes", "train") for k in range(7)]
    rows += [("ape 2", "yes", "validation"), ("ape 5", "no", "validation"), ("bee", "no", "validation")]
    rows += [("ape 2", "no", "test"), ("cat", "yes", "test"), ("dog", "no", "test")]
    path.write_text("text,label,part\n" + "".join(",".join(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.fault("E2")
@pytest.mark.slow
def test_one_class_and_samples_in_two_splits(forked, tmp_path):
    """All samples of a split have one label, or samples of a split are in another one, too.

    Training goes on, and a note on stderr gives the counts: one line, once.
    """
    ended = forked("rmaat", "train", "files", "--data", table(tmp_path / "own.csv"), "--out", "run", "--device", "cpu",
                   *SET).ok()
    notes = [line for line in ended.err.splitlines() if line.startswith("note: ")]
    assert sorted(line for line in notes if "task files" in line) == sorted(NOTES), ended.err
    assert "DataNote" not in ended.err and "Warning" not in ended.err, "a line for people, not Python's of a source"


@pytest.mark.slow
def test_they_are_said_in_a_study_too(program, tmp_path):
    """Its runs are processes of their own; what they note reaches whoever started the study."""
    table(tmp_path / "own.csv")
    (tmp_path / "odd.toml").write_text('configs = ["files"]\nseeds = [0]\nvariants = ["rmaat"]\n', "utf-8")
    ended = program("rmaat", "study", "odd.toml", "--data", "files=own.csv", "--out", "runs", "--device", "cpu", *SET)
    notes = [line for line in ended.ok("1 of 1 done").err.splitlines() if line.startswith("note: task files")]
    assert sorted(notes) == sorted(NOTES), ended.err


@pytest.mark.fault("E5")
def test_a_field_that_is_given_twice(tmp_path):
    """A field is given twice, also by two names, or beside something that undoes it, such as the seeds of a study.

    The last one counts, with a note of both values; where none of the two comes last it is refused with exit 2.
    """
    import warnings

    from foundation.errors import UserError
    from rmaat.training.configs import find_experiment
    from rmaat.training.settings import SettingNote
    from rmaat.training.studies.plan import Row, read_study, with_changes

    for given, steps in ((["train.steps=5", "train.steps=7"], 7), (["steps=5", "train.steps=7"], 7),
                         (["steps=5", "train.steps=7", "steps=9"], 9)):
        with pytest.warns(SettingNote, match=rf"steps is given as \d and as {steps}: the last one counts"):
            assert find_experiment("recall", given).train.steps == steps
    with warnings.catch_warnings(action="error"):
        assert find_experiment("recall", ["steps=5", "train.steps=5"]).train.steps == 5
    for name in ("seed", "train.seed"):
        with pytest.raises(UserError, match=r"a study has seeds = \[\.\.\.\] in its place"):
            Row(["recall"], changes={name: 3})
    text = 'configs = ["recall"]\nset = {{ "{}" = 5, width = 48 }}\n[[rows]]\nset = {{ "{}" = 6 }}\n'
    for one, other in (("steps", "train.steps"), ("train.steps", "steps"), ("steps", "steps")):
        (tmp_path / "s.toml").write_text(text.format(one, other), "utf-8")
        found = read_study(tmp_path / "s.toml")
        with warnings.catch_warnings(action="error"):
            assert [(point.experiment.train.steps, point.experiment.model.width) for point in found.points()] == [
                (6, 48)], "what a row says is above what all rows say"
            for name in ("steps", "train.steps"):
                assert with_changes(found, [f"{name}=7"]).points()[0].experiment.train.steps == 7


@pytest.mark.slow
def test_a_learning_rate_that_never_comes_is_said(tmp_path):
    from rmaat.training.settings import SettingNote
    from rmaat.training.trainer import train

    with pytest.warns(SettingNote, match=r"train\.warmup = 9 is above train\.steps = 2: the learning rate ends at "):
        train("recall", tmp_path / "run", device="cpu", quiet=True, changes=[
            "task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
            "model.segment_length=3", "model.width=8", "model.layers=1", "train.steps=2", "train.warmup=9"])
