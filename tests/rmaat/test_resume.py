"""A run that goes on: from which step, with which fields changed, after damage, after it diverged, and locked."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from foundation import sealed
from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.lock import LOCK, locked
from foundation.stopping import StopRequest
from rmaat.tasks.splits import training_indices
from rmaat.training import changes, diverged, run_folder
from rmaat.training.checkpoint import FallenBack
from rmaat.training.configs import recall
from rmaat.training.evaluation import evaluate
from rmaat.training.loop import fit
from rmaat.training.metrics import read_metrics
from rmaat.training.opening import begin
from rmaat.training.result import load_run
from rmaat.training.settings import change
from rmaat.training.trainer import train

TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "model.dropout=.2",
        "train.batch_size=3", "train.evaluate_every=4", "train.checkpoint_every=2", "train.warmup=2"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(*settings: str):
    return change(recall(), [*TINY, *settings])


def run(folder, *settings: str, **options):
    return train(tiny(*settings), folder, device="cpu", quiet=True, **options)


def tensors(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("checkpoint*")}


def losses(folder: Path) -> list[tuple]:
    return [(line["step"], line["loss"]) for line in read_metrics(folder / "metrics.jsonl") if "loss" in line]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 6 steps, to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(folder, "train.steps=6")
    return folder


@pytest.fixture
def six(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


class StopAt(StopRequest):
    """As if Ctrl-C had been pressed after it was looked for `looks` times: once a step, and once a batch evaluated."""

    looks = 0

    @property
    def asked(self):
        StopAt.looks -= 1
        return StopAt.looks < 0

    @asked.setter
    def asked(self, value):
        pass


@pytest.mark.slow
def test_a_finished_run_is_extended_and_an_extension_is_as_exact_as_any_run(six, tmp_path, capsys, monkeypatch):
    """Stopped on its way and gone on with, it has the bits of one that was not."""
    apart = Path(shutil.copytree(six, tmp_path / "apart"))
    first = losses(six)
    result = run(six, "train.steps=11", resume=True)
    told = capsys.readouterr().err
    rates = tiny("train.steps=6").train.rate(5), tiny("train.steps=11").train.rate(6)
    assert f"going on with {six} at step 6 of 11" in told
    assert (f"changed from step 6 on: train.steps 6 -> 11; the learning rate goes from {rates[0]:.3g} to {rates[1]:.3g}"
            ) in told
    assert losses(six)[:6] == first and [step for step, _ in losses(six)] == list(range(1, 12))
    lines = [line["learning_rate"] for line in read_metrics(six / "metrics.jsonl") if "learning_rate" in line]
    assert lines == [tiny(f"train.steps={6 if step < 6 else 11}").train.rate(step) for step in range(11)]
    assert (result.evaluation.step, result.evaluation.steps) == (11, 11)
    assert load_run(six).to_json() == result.to_json() and evaluate(six, device="cpu").rows == result.evaluation.rows
    assert changes.read(six) == [{"step": 6, "fields": {"train.steps": [6, 11]}}]

    StopAt.looks = 3  # steps 7 and 8, the evaluation after step 8
    with monkeypatch.context() as patch:
        patch.setattr("rmaat.training.loop.StopRequest", StopAt)
        with pytest.raises(KeyboardInterrupt):
            run(apart, "train.steps=11", resume=True)
    assert load_run(apart).evaluation is None, "the result of 6 steps is no longer its result"
    run(apart, "train.steps=11", resume=True)
    assert "going on with " + str(apart) + " at step 9 of 11\n" in capsys.readouterr().err
    assert tensors(apart) == tensors(six) and losses(apart) == losses(six)
    assert run(apart, "train.steps=11", resume=True).to_json() == load_run(apart).to_json()


@pytest.mark.slow
def test_an_extension_that_was_killed_before_its_first_step_goes_on(six):
    """After the change was written down, and before the older result was removed."""
    kept = (six / "result.json").read_bytes()
    begin(tiny("train.steps=9"), six, resume=True)
    (six / "result.json").write_bytes(kept)
    assert run(six, "train.steps=9", resume=True).evaluation.step == 9
    assert len(changes.read(six)) == 1


@pytest.mark.slow
def test_all_fields_that_differ_are_named_and_nothing_is_touched(six):
    before = {path.name: path.read_bytes() for path in six.iterdir()}
    with pytest.raises(UserError) as raised:
        run(six, "model.width=12", "train.seed=3", "train.steps=9", "task.test=6", "train.beta1=.8", resume=True)
    for said in ("model.width is 8 there, 12 here", "train.seed is 0 there, 3 here", "task.test is 5 there, 6 here",
                 "train.beta1 is 0.9 there, 0.8 here", "train.learning_rate"):
        assert said in str(raised.value)
    assert "train.steps is" not in str(raised.value)
    assert {path.name: path.read_bytes() for path in six.iterdir()} == before


@pytest.mark.slow
def test_fewer_steps_than_are_done_are_refused_and_as_many_end_it(six, tmp_path):
    with pytest.raises(UserError, match=r"train\.steps = 5: the run in .* has done 6 already; give at least 6"):
        run(six, "train.steps=5", resume=True)
    begun = begin(tiny("train.steps=100"), tmp_path / "other")
    for _ in range(4):
        begun.advance()
    begun.save()
    (tmp_path / "other" / "metrics.jsonl").unlink(missing_ok=True)
    assert run(tmp_path / "other", "train.steps=4", resume=True).evaluation.step == 4


@pytest.mark.slow
def test_how_a_gradient_is_computed_may_change_and_stays_the_same_gradient(six, tmp_path):
    other = Path(shutil.copytree(six, tmp_path / "other"))
    run(six, "train.steps=8", resume=True)
    run(other, "train.steps=8", "model.keep_last=2", "train.checkpoint_every=1", resume=True)
    # float32 sums in another order, two steps of some 1e-3
    np.testing.assert_allclose([loss for _, loss in losses(other)], [loss for _, loss in losses(six)], rtol=1e-4)
    assert run_folder.read(other).experiment.model.keep_last == 2
    assert run(other, "train.steps=9", "model.keep_last=1", resume=True).evaluation.step == 9
    assert [sorted(each["fields"]) for each in changes.read(other)] == [
        ["model.keep_last", "train.checkpoint_every", "train.steps"],
        ["model.keep_last", "train.checkpoint_every", "train.steps"]]


@pytest.mark.slow
def test_a_list_of_changes_that_was_altered_is_refused(six):
    run(six, "train.steps=7", resume=True)
    path = six / "changes.json"
    for old, new in (("7", "8"), ("train.steps", "train.seed"), ('"kind"', '"kinD"'), ("\n", "")):
        kept = path.read_text()
        path.write_text(kept.replace(old, new, 1))
        if old == "\n":  # blanks decide nothing
            assert load_run(six)
        else:
            with pytest.raises(DamagedFileError, match=r"changes\.json"):
                load_run(six)
        path.write_text(kept)


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(six, tmp_path, capsys):
    whole = tensors(six)
    path = max(six.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(FallenBack, match="of step 4"):
        assert evaluate(six, device="cpu").step == 4
    with pytest.warns(FallenBack, match="of step 4"):
        run(six, "train.steps=6", resume=True)
    assert f"going on with {six} at step 4 of 6" in capsys.readouterr().err
    assert tensors(six) == whole and load_run(six).evaluation.step == 6


@pytest.mark.slow
def test_metrics_that_were_altered_or_shortened_stop_a_resumption(six):
    path = six / "metrics.jsonl"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b'"step":3', b'"step":2', 1))
    with pytest.raises(DamagedFileError, match=r"metrics\.jsonl, line \d+: does not match its hash"):
        run(six, "train.steps=7", resume=True)
    path.write_bytes(b"".join(kept.splitlines(keepends=True)[:-2]))
    with pytest.raises(DamagedFileError, match="does not end as it did when the run ended"):
        load_run(six).metrics  # noqa: B018
    path.write_bytes(b"".join(kept.splitlines(keepends=True)[:4]))
    with pytest.raises(DamagedFileError, match="lines are missing"):
        run(six, "train.steps=7", resume=True)
    path.unlink()
    run(six, "train.steps=7", resume=True)
    assert [step for step, _ in losses(six)] == [7]


@pytest.mark.slow
def test_a_result_of_an_older_and_of_a_later_version(six):
    body = json.loads((six / "result.json").read_text())
    for name in ("hash", "schema", "metrics_hash"):
        del body[name]
    (six / "result.json").write_text(json.dumps(body | {"hash": sealed.hash_of(body)}))
    assert load_run(six).accuracy == body["rows"][0]["accuracy"] and load_run(six).metrics
    body["schema"] = 99
    (six / "result.json").write_text(json.dumps(body | {"hash": sealed.hash_of(body)}))
    with pytest.raises(UserError, match="has schema 99; this version reads up to 2"):
        load_run(six)


@pytest.mark.slow
def test_a_run_that_diverges_keeps_what_made_it_and_goes_on_with_a_lower_rate(tmp_path):
    settings = ("train.steps=6", "train.learning_rate=1e6", "train.checkpoint_every=1", "train.clip=1e6")
    trainer = begin(tiny(*settings), tmp_path / "run")
    fit_until = trainer.advance
    for _ in range(2):
        fit_until()
    with torch.no_grad():
        trainer.model.head.bias.fill_(float("nan"))
    trainer.save()
    (tmp_path / "run" / "metrics.jsonl").unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"diverged at step 3: .*--resume .* are in .*diverged\.json"):
        fit(trainer, quiet=True)
    kept = diverged.load(tmp_path / "run")
    indices = training_indices(7, 3, 0, step=2)
    assert (kept.step, kept.seed, kept.loss) == (3, 0, "nan") and kept.indices.tolist() == indices.tolist()
    expected = trainer.splits["train"].batch(indices)
    assert all(torch.equal(one, other) for one, other in zip(kept.batch, expected, strict=True))
    torch.manual_seed(kept.torch_seeds[0])
    trainer.model.load_state_dict(kept.weights)
    assert torch.isnan(trainer.model(kept.batch.tokens, kept.batch.lengths)).any()
    path = tmp_path / "run" / "diverged.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedFileError, match="does not match its SHA-256"):
        diverged.load(tmp_path / "run")


@pytest.mark.slow
def test_a_second_training_in_the_folder_is_refused(six):
    with locked(six / LOCK, "training"), pytest.raises(
            ResourceError, match=rf"is being written by process {os.getpid()} on .*another folder"):
        run(six, "train.steps=7", resume=True)
    assert not (six / LOCK).exists() and not changes.read(six)


@pytest.mark.slow
def test_a_folder_that_is_moved_away_ends_the_run_and_keeps_it(six):
    """What was there until then is where it was moved."""
    trainer = begin(tiny("train.steps=30"), six, resume=True)
    advance = trainer.advance

    def moved(asked):
        if trainer.step == 9:
            six.rename(six.with_name("moved"))
        return advance(asked)

    trainer.advance = moved
    with pytest.raises(ResourceError, match=r"run is no longer there: it was moved or removed.*--resume"):
        fit(trainer, quiet=True)
    assert not six.exists()
    assert run(six.with_name("moved"), "train.steps=30", resume=True).evaluation.step == 30


@pytest.mark.slow
def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    run(tmp_path / "calm", "train.steps=5")
    jumps = iter(range(10**9, 0, -10**6))
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    run(tmp_path / "wild", "train.steps=5")
    assert tensors(tmp_path / "calm") == tensors(tmp_path / "wild")
    assert losses(tmp_path / "calm") == losses(tmp_path / "wild")
