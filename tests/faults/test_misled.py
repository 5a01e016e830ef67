"""Data that would mislead: they are used, and what is odd of them is said once, as a line that a person reads."""

import pytest

TINY = ["model.segment_length=9", "model.width=8", "model.heads=2", "model.layers=1", "model.num_memory_tokens=2",
        "train.steps=2", "train.batch_size=3", "train.evaluate_every=2", "train.checkpoint_every=2", "train.warmup=1",
        "task.split_column=part"]
SET = [part for setting in TINY for part in ("--set", setting)]
NOTES = ["note: task files: all 7 samples of train have the label 1, of 2 classes",
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
