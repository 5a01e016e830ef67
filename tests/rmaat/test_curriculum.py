"""train.curriculum: the first steps with another dial of the task, found again by a resume, kept beside the run."""

import dataclasses

import numpy as np
import pytest
import torch
from twins import write_release

from foundation.errors import UserError
from rmaat.tasks.pathfinder import ChunkedSplit, Pathfinder
from rmaat.tasks.pathfinder_files import ChosenImages
from rmaat.tasks.recall import Recall
from rmaat.tasks.splits import training_indices
from rmaat.training import diverged, opening
from rmaat.training.configs import find_experiment, listops_small, recall, text_small
from rmaat.training.curriculum import stages
from rmaat.training.data import load_splits
from rmaat.training.experiment import to_json
from rmaat.training.loop import fit
from rmaat.training.run_folder import read
from rmaat.training.settings import change
from rmaat.training.stored import from_json
from rmaat.training.variants import with_variant

TINY = ["task.num_segments=4", "task.segment=3", "task.train=17", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "model.dropout=.2",
        "train.steps=9", "train.batch_size=3", "train.evaluate_every=4", "train.checkpoint_every=2", "train.warmup=2"]
CURRICULUM = "num_segments=1:2,2:3"


def tiny(*settings):
    return change(recall(), [*TINY, f"train.curriculum={CURRICULUM}", *settings])


def test_each_stage_has_its_steps_and_its_samples(tmp_path):
    trainer = opening.begin(tiny(), tmp_path / "run")
    seen = []
    for step in range(9):
        split, indices = trainer.samples()
        assert indices.tolist() == training_indices(17, 3, 0, step=step).tolist()
        batch = split.batch(indices)
        seen.append(batch.tokens.shape[1] // 3)
        own = Recall(num_segments=seen[-1], segment=3, train=17, validation=3, test=5).split("train").batch(indices)
        assert torch.equal(batch.tokens, own.tokens) and torch.equal(batch.labels, own.labels)
        told = trainer.advance()
        assert told["tokens"] == batch.lengths.sum()
    assert seen == [1, 1, 2, 2, 2, 4, 4, 4, 4]
    assert trainer.splits["validation"].batch(np.arange(2)).tokens.shape == (2, 12)


@pytest.mark.parametrize("stop", [1, 2, 4, 5, 7])
def test_a_resumed_run_meets_the_samples_of_an_uninterrupted_one(tmp_path, stop):
    whole = opening.begin(tiny(), tmp_path / "whole")
    fit(whole, quiet=True)
    stopped = opening.begin(tiny(), tmp_path / "stopped")
    for _ in range(stop):
        stopped.advance()
    stopped.save()
    resumed = opening.begin(tiny(), tmp_path / "stopped", resume=True)
    fit(resumed, quiet=True)
    assert resumed.step == whole.step == 9
    for name, value in whole.model.state_dict().items():
        assert (resumed.model.state_dict()[name] == value).all(), name


def test_a_run_knows_the_samples_of_all_its_stages(tmp_path, monkeypatch):
    trainer = opening.begin(tiny(), tmp_path / "run")
    trainer.advance()
    trainer.save()
    known = read(tmp_path / "run").environment["fingerprints"]
    assert known.keys() == {"train", "validation", "test", "train, num_segments=1", "train, num_segments=2"}
    assert len(set(known.values())) == 5
    fill = Recall.fill

    def other(self, tokens, key):
        fill(self, tokens, key)
        tokens[:, -1] += self.num_segments == 2

    monkeypatch.setattr(Recall, "fill", other)
    with pytest.raises(UserError, match="the train, num_segments=2 data is not what the run was trained with"):
        opening.begin(tiny(), tmp_path / "run", resume=True)


def test_the_batch_that_diverged_is_that_of_its_stage_and_bucket(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = change(listops_small(), [
        "task.train=50", "task.validation=4", "task.test=4", "task.min_length=5", "task.max_length=60",
        "task.max_depth=4", "model.segment_length=10", "model.width=8", "model.layers=1", "train.steps=7",
        "train.batch_size=4", "train.bucket_batches=3", "train.warmup=0", "train.curriculum=max_length=20:3"])
    trainer = opening.begin(made, tmp_path / "run")
    for name in ("train, max_length=20",) * 3 + ("train",):
        lengths = trainer.splits[name].all_lengths()
        indices = training_indices(50, 4, 0, step=trainer.step, lengths=lengths, together=3)
        diverged.keep(trainer, float("nan"), 1.)
        kept = diverged.load(tmp_path / "run")
        assert kept.indices.tolist() == indices.tolist()
        assert kept.batch.lengths.tolist() == lengths[indices].tolist()
        trainer.advance()


def test_blanks_and_the_part_of_a_dial_are_read():
    made = change(text_small(), ["train.curriculum= task.max_length = 128:5 , 256:7 ", "train.steps=30"])
    assert [(stage.name, stage.task.max_length, stage.steps) for stage in made.curriculum] == [
        ("max_length=128", 128, 5), ("max_length=256", 256, 7)]


def test_stages_that_a_release_does_not_have_are_generated(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("curv_contour_length_14", "curv_baseline"):
        write_release(tmp_path / "release", name=name)
    made = change(find_experiment("pathfinder"), {
        "task.train": 12, "task.validation": 2, "task.test": 2, "train.batch_size": 3, "train.steps": 5,
        "train.curriculum": "difficulty=3:1,easy:1"})
    splits = load_splits(made, tmp_path / "release")
    assert isinstance(splits["train, difficulty=3"], ChunkedSplit)
    assert isinstance(splits["train, difficulty=easy"], ChosenImages) and isinstance(splits["train"], ChosenImages)
    assert splits["train, difficulty=easy"].images is not splits["train"].images


def test_no_more_images_are_made_than_a_stage_looks_at(tmp_path, monkeypatch):
    """And those are of the chunks that a longer stage finds in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = Pathfinder(train=1_100)
    made = stages("difficulty=3:1,4:63,5:126", task, steps=200, batch_size=8)
    assert [stage.task.train for stage in made] == [500, 1_000, 1_100]
    assert [stage.steps for stage in made] == [1, 63, 126]
    short = made[0].task.split("train")
    files = sorted((tmp_path / "cache").rglob("32-3-train-*"))
    longer = dataclasses.replace(made[0].task, train=510).split("train")
    assert len(short) == 500 and len(longer) == 510 and (short.chunks[0] == longer.chunks[0]).all()
    assert len(files) == 1 and set(files) < set((tmp_path / "cache").rglob("32-3-train-*"))
    trainer = opening.begin(change(find_experiment("pathfinder"), {
        "task.train": 600, "task.validation": 2, "task.test": 2, "train.batch_size": 3, "train.steps": 4,
        "train.curriculum": "difficulty=3:2"}), tmp_path / "run")
    sizes = []
    for trainer.step in range(4):
        split, indices = trainer.samples()
        assert indices.max() < len(split)
        sizes.append(len(split))
    assert sizes == [500, 500, 600, 600]


def test_a_run_of_before_has_none(tmp_path):
    """Its config says nothing of a curriculum, and its hash stays what it was."""
    plain = change(recall(), TINY)
    body = to_json(plain)
    assert "curriculum" not in body["train"] and from_json(body, "here") == plain and plain.curriculum == ()
    made = tiny()
    assert to_json(made)["train"]["curriculum"] == CURRICULUM and from_json(to_json(made), "here") == made
    assert made.hash != plain.hash
    trainer = opening.begin(plain, tmp_path / "run")
    trainer.advance()
    trainer.save()
    assert opening.begin(plain, tmp_path / "run", resume=True).step == 1
    with pytest.raises(UserError, match=f"train.curriculum is None there, {CURRICULUM} here"):
        opening.begin(made, tmp_path / "run", resume=True)


@pytest.mark.parametrize(("text", "message"), [
    ("x", "train.curriculum = 'x': write DIAL=VALUE:STEPS,VALUE:STEPS"),
    ("=2:3", "write DIAL=VALUE"), ("num_segments=", "write DIAL=VALUE"), ("num_segments=2", "write DIAL=VALUE"),
    ("num_segments=2:0", "write DIAL=VALUE"), ("num_segments=2:-1", "write DIAL=VALUE"),
    ("num_segments=2:1.5", "write DIAL=VALUE"), ("num_segments=:3", "write DIAL=VALUE"),
    ("num_segments=2:3,", "write DIAL=VALUE"), ("num_segments=2:²", "write DIAL=VALUE"),
    ("segments=2:3", "unknown dial of train.curriculum 'segments'"),
    ("num_segments=two:3", "train.curriculum: num_segments = 'two': give a whole number"),
    ("num_segments=0:3", "train.curriculum = num_segments=0:3: task.num_segments = 0"),
    ("num_segments=4:3", "with num_segments=4 the task is as it is anyway; leave it out"),
    ("num_segments=5:3", "sequences have up to 15 tokens, the task's own 12; a curriculum may shorten them"),
    ("num_segments=1:4,2:5", "its 9 steps leave none of train.steps = 9 for the task itself"),
    ("num_segments=1:99999999999999999999999", "leave none of train.steps")])
def test_what_is_no_curriculum_is_refused(text, message):
    with pytest.raises(UserError) as raised:
        change(recall(), [*TINY, f"train.curriculum={text}"])
    assert message in str(raised.value)


def test_convolutions_over_an_image_are_of_images_of_one_size():
    """A text of 64 x 64 bytes is none, and rows of 64 pixels are not read in an image that is 32 wide."""
    with pytest.raises(UserError, match=r"reads images of one size, and task text has none"):
        with_variant(find_experiment("text"), "mixing_convolution_2d")
    with pytest.raises(UserError, match=r"task pathfinder has images of several in train\.curriculum"):
        change(find_experiment("pathfinder"), {"task.side": 64, "segment_length": 512, "train.curriculum": "side=32:5"})


def test_a_dial_that_makes_another_network_is_refused():
    class Classes(Recall):
        @property
        def num_classes(self):
            return 10 if self.seed == 0 else 11

    with pytest.raises(UserError, match="with seed=1 the task has num_classes = 11, and 10 otherwise"):
        stages("seed=1:3", Classes(), steps=10, batch_size=2)
