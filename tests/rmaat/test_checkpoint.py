"""Checkpoints: equal states are equal files, a kill at any moment leaves a whole one, an altered one is refused."""

import errno
import json

import pytest
import safetensors.torch
import torch

from foundation import sealed
from foundation.errors import DamagedFileError, ResourceError, UserError
from rmaat.training import checkpoint
from rmaat.training.checkpoint import BEFORE, POINTER, Checkpoint, FallenBack, fill, load, save, tidy
from rmaat.training.trainer import train

CONFIG, RECORD = "c" * 64, "r" * 64


def state(step: int = 3) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    tensors = {"model.weight": torch.randn(3, 4, generator=generator), "random.cpu": torch.get_rng_state(),
               "optimizer.0.step": torch.tensor(float(step)), "model.view": torch.arange(6.).reshape(2, 3).T}
    return Checkpoint(step, tensors, CONFIG, RECORD)


def test_what_was_saved_is_loaded(tmp_path):
    save(tmp_path, state())
    loaded = load(tmp_path, CONFIG, RECORD)
    assert loaded.step == 3 and loaded.tensors.keys() == state().tensors.keys()
    assert all(torch.equal(value, state().tensors[name]) for name, value in loaded.tensors.items())
    assert loaded.tensors["optimizer.0.step"].shape == ()


def test_equal_states_are_equal_files(tmp_path):
    for name in "ab":
        save(tmp_path / name, state())
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1] and len(files[0]) == 2


def test_the_one_before_stays_and_older_ones_go(tmp_path):
    save(tmp_path, state(3))
    (tmp_path / ".checkpoint-00000004.safetensors.xyz.part").write_text("left by a kill")
    save(tmp_path, state(5))
    save(tmp_path, state(8))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000005.safetensors", "checkpoint-00000008.safetensors", BEFORE, POINTER]
    save(tmp_path, state(8))  # as a stop right after it does
    assert load(tmp_path, CONFIG, RECORD).step == 8
    next(tmp_path.glob("*8.safetensors")).unlink()
    with pytest.warns(FallenBack, match=r"is missing .*; taken is the checkpoint before, of step 5"):
        assert load(tmp_path, [CONFIG, "x"], RECORD).fell_back


@pytest.mark.parametrize("moment", ["sha256_file", "write_text"])
def test_a_kill_while_saving_leaves_the_older_one(tmp_path, monkeypatch, moment):
    save(tmp_path, state(3))

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, state(5))
    assert load(tmp_path, CONFIG, RECORD).step == 3


def test_a_full_disk_leaves_the_older_one_and_has_exit_code_four(tmp_path, monkeypatch):
    save(tmp_path, state(3))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(ResourceError, match=r"No space left.*go on with --resume") as raised:
            save(tmp_path, state(5))
    assert raised.value.exit_code == 4 and load(tmp_path, CONFIG, RECORD).step == 3
    assert not list(tmp_path.glob(".*.part"))


def test_there_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint in .*--resume") as raised:
        load(tmp_path, CONFIG, RECORD)
    assert raised.value.exit_code == 2 and not checkpoint.exists(tmp_path)


def newest(folder):
    return max(folder.glob("*.safetensors"))


def alter_tensor(folder):
    path = newest(folder)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut_tensor(folder):
    path = newest(folder)
    path.write_bytes(path.read_bytes()[:-10])


def drop_tensor(folder):
    newest(folder).unlink()


def alter_pointer(folder):
    body = json.loads((folder / POINTER).read_text())
    (folder / POINTER).write_text(json.dumps(body | {"step": 4}))


def cut_pointer(folder):
    (folder / POINTER).write_text((folder / POINTER).read_text()[:50])


def foreign_pointer(folder):
    (folder / POINTER).write_text("[1, 2]")


def escape(folder):
    """A pointer with a correct hash that names a file elsewhere."""
    body = json.loads((folder / POINTER).read_text())
    body.pop("hash")
    body["file"] = "../other.safetensors"
    (folder / POINTER).write_text(json.dumps(body | {"hash": sealed.hash_of(body)}))


@pytest.mark.parametrize("damage", [alter_tensor, cut_tensor, drop_tensor, alter_pointer, cut_pointer, foreign_pointer,
                                    escape])
def test_damage_is_noticed_and_named(tmp_path, damage):
    save(tmp_path, state())
    damage(tmp_path)
    with pytest.raises(DamagedFileError, match="checkpoint") as raised:
        load(tmp_path, CONFIG, RECORD)
    assert raised.value.exit_code == 3


@pytest.mark.parametrize("damage", [alter_tensor, cut_tensor, drop_tensor, alter_pointer, cut_pointer, foreign_pointer,
                                    escape, lambda folder: (folder / POINTER).unlink()])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path, damage):
    save(tmp_path, state(3))
    save(tmp_path, state(5))
    (tmp_path / "checkpoint-00000003.safetensors").rename(tmp_path / "aside")
    damage(tmp_path)
    with pytest.raises(UserError, match="checkpoint"):
        load(tmp_path, CONFIG, RECORD)
    (tmp_path / "aside").rename(tmp_path / "checkpoint-00000003.safetensors")
    with pytest.warns(FallenBack, match="of step 3"):
        found = load(tmp_path, CONFIG, RECORD)
    assert (found.step, found.fell_back) == (3, True)
    checkpoint.take_the_one_before(tmp_path)
    save(tmp_path, state(4))  # training goes on from there: what is damaged goes, and is never the one before
    save(tmp_path, state(5))
    assert load(tmp_path, CONFIG, RECORD).step == 5
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "checkpoint-00000004.safetensors", "checkpoint-00000005.safetensors"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    save(tmp_path, state())
    with pytest.raises(DamagedFileError, match="belongs to the config cccccccccccc"):
        load(tmp_path, "x" * 64, RECORD)
    with pytest.raises(DamagedFileError, match="belongs to the record rrrrrrrrrrrr"):
        load(tmp_path, CONFIG, "x" * 64)


def test_weights_must_fit_the_model(tmp_path):
    model = torch.nn.Linear(2, 2)
    saved = Checkpoint(1, {"model.weight": torch.zeros(2, 2), "model.bias": torch.ones(2)}, CONFIG, RECORD)
    fill(model, saved, tmp_path)
    assert torch.equal(model.bias, torch.ones(2))
    with pytest.raises(DamagedFileError, match="does not fit its config"):
        fill(model, Checkpoint(1, {"model.weight": torch.zeros(2, 3)}, CONFIG, RECORD), tmp_path)


def test_a_reader_whose_file_a_writer_removes_just_before_it_is_opened_reads_the_next_one(tmp_path, monkeypatch):
    """Between its hash and its tensors a slow reader is overtaken by two saves; then it reads the pointer again."""
    import rmaat.training.checkpoint as module

    for step in (2, 4):
        save(tmp_path, Checkpoint(step, {"x": torch.full((3,), float(step))}, "c", "r"))
    tensors, later = module._tensors, iter([6, 8])

    def overtaken(path):
        for step in later:
            save(tmp_path, Checkpoint(step, {"x": torch.full((3,), float(step))}, "c", "r"))
        return tensors(path)

    monkeypatch.setattr(module, "_tensors", overtaken)
    found = load(tmp_path, "c", "r")
    assert found.step == 8 and not found.fell_back and torch.equal(found.tensors["x"], torch.full((3,), 8.))

    def out_of_memory(path):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(module, "_tensors", out_of_memory)
    with pytest.raises(RuntimeError, match="can't allocate"):  # no fault of the file: the one before is not taken
        load(tmp_path, "c", "r")


def test_what_a_kill_left_between_the_pointer_and_the_removal_goes_when_a_run_goes_on(tmp_path):
    """Also at the last step, after which nothing more is saved."""
    tensors = {"x": torch.ones(3)}
    for step in (2, 4, 6):
        save(tmp_path, Checkpoint(step, tensors, "c", "r"))
    left = tmp_path / "checkpoint-00000002.safetensors"
    left.write_bytes(b"x")
    for name in (".checkpoint-00000006.safetensors.x.part/new", ".checkpoint-00000006.safetensors.x.part/.tmpFKGBZV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    whole = (tmp_path / "checkpoint.json").read_bytes()
    (tmp_path / "checkpoint.json").write_bytes(b"{")
    tidy(tmp_path)
    assert left.exists(), "where it is not known what is named, nothing is removed"
    (tmp_path / "checkpoint.json").write_bytes(whole)
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000004.safetensors", "checkpoint-00000006.safetensors", "checkpoint.before.json",
        "checkpoint.json"]
    assert load(tmp_path, "c", "r").step == 6


def test_a_finished_training_whose_last_save_was_killed_is_left_as_any_other(tmp_path):
    changes = {"task.num_segments": 2, "task.segment": 3, "task.train": 6, "task.validation": 2, "task.test": 3,
               "model.segment_length": 3, "model.width": 8, "model.heads": 1, "model.layers": 1, "train.batch_size": 3,
               "train.steps": 6, "train.checkpoint_every": 2, "train.evaluate_every": 6, "train.warmup": 1}
    train("recall", tmp_path / "run", changes=changes, device="cpu", quiet=True)
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "checkpoint-00000002.safetensors").write_bytes(b"x")
    train("recall", tmp_path / "run", changes=changes, device="cpu", quiet=True, resume=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == names
