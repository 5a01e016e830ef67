"""Fashion-MNIST: the installed files counted, small files of the tests' own, damaged ones refused; linear rows."""

import gzip

import numpy as np
import pytest
import torch

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks import fashion
from rmaat.tasks.controls import control_rows
from rmaat.tasks.fashion import FILES, Fashion, read_idx
from rmaat.tasks.linear import fit_logistic
from rmaat.tasks.splits import ArraySplit
from rmaat.tasks.task import Task


def write_idx(path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture
def folder(tmp_path):
    """30 + 10 images whose first two pixels say their index and label."""
    for name, count in (("train", 30), ("test", 10)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        images[:, 0, 0], images[:, 0, 1] = np.arange(count) + 100, labels * 20
        write_idx(tmp_path / FILES[name][0], images)
        write_idx(tmp_path / FILES[name][1], labels)
    return tmp_path


def test_the_installed_files_hold_what_the_package_says():
    task = Fashion()
    if not fashion.DEFAULT_FOLDER.is_dir():  # a machine without the data is told which package brings it
        with pytest.raises(UserError, match="Install the Debian package dataset-fashion-mnist"):
            task.split("train")
        return
    train, validation, test = (task.split(name) for name in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (55_000, 5_000, 10_000)
    assert (np.bincount(np.concatenate([train.all_labels(), validation.all_labels()])) == 6_000).all()
    assert (np.bincount(test.all_labels()) == 1_000).all()
    assert test.tokens.shape == (10_000, 1_024) and test.tokens.max() == 255
    assert abs(test.tokens.mean() * 1024 / 784 / 255 - .2869) < 1e-3  # mean brightness of the test images, to 1e-3
    framed = test.tokens.reshape(-1, 32, 32)
    assert not framed[:, [0, 1, 30, 31]].any() and not framed[:, :, [0, 1, 30, 31]].any()


def test_rows_are_in_order_and_framed(folder):
    test = Fashion(validation=5).split("test", folder)
    assert test.tokens.shape == (10, 1_024)
    assert (test.tokens[:, 2 * 32 + 2] == np.arange(10) + 100).all()
    assert (test.tokens[:, 2 * 32 + 3] == np.arange(10) * 20).all()
    assert np.count_nonzero(test.tokens) == 10 + 9


def test_validation_is_carved_from_the_end_of_training_and_overlaps_nothing(folder):
    task = Fashion(validation=5)
    marks = {name: task.split(name, folder).tokens[:, 66].tolist() for name in ("train", "validation", "test")}
    assert marks == {"train": list(range(100, 125)), "validation": list(range(125, 130)), "test": list(range(100, 110))}
    with pytest.raises(UserError, match=r"task\.validation = 30, but the training file holds 30"):
        Fashion(validation=30).split("train", folder)


def test_a_missing_file_is_named_with_what_the_folder_should_hold(folder):
    (folder / FILES["test"][1]).unlink()
    with pytest.raises(UserError, match=r"no t10k-labels-idx1.*should hold train-images-idx3-ubyte\.gz") as raised:
        Fashion(validation=5).split("test", folder)
    assert raised.value.exit_code == 2
    with pytest.raises(UserError, match="no train-images"):
        Fashion(validation=5).split("train", folder / "nowhere")


def renamed(folder, names):
    """The four files under other names; an ending that is not .gz has them unpacked."""
    for name, other in zip([name for pair in FILES.values() for name in pair], names, strict=True):
        data = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / other).write_bytes(data if other.endswith((".gz", ".bin")) else gzip.decompress(data))


@pytest.mark.parametrize("names", [
    [name.removesuffix(".gz") for pair in FILES.values() for name in pair],
    ["train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte.gz"],
    ["d", "a.bin", "b.idx", "c.gz"]])
def test_files_are_read_packed_or_not_and_whatever_their_name(folder, names):
    task = Fashion(validation=5)
    before = {name: task.split(name, folder) for name in ("train", "validation", "test")}
    renamed(folder, names)
    (folder / "README").write_text("no images")
    assert task.place(folder) == folder
    for name, split in before.items():
        again = task.split(name, folder)
        assert np.array_equal(again.tokens, split.tokens) and np.array_equal(again.labels, split.labels)


def test_the_folder_may_lie_in_the_one_that_is_given(folder):
    images = Fashion(validation=5).split("test", folder).tokens
    (folder / "fashion").mkdir()
    for path in folder.glob("*.gz"):
        path.rename(folder / "fashion" / path.name)
    assert (Fashion(validation=5).split("test", folder).tokens == images).all()


def test_where_names_and_contents_do_not_tell_a_file_is_missing(folder):
    renamed(folder, ["a", "b", "c", "d"])
    (folder / "e").write_bytes((folder / "b").read_bytes())  # two files of 30 labels
    with pytest.raises(UserError, match=r"no train-images-idx3-ubyte\.gz in"):
        Fashion(validation=5).split("train", folder)
    (folder / "e").unlink()
    (folder / "d").unlink()
    with pytest.raises(UserError, match="packed or not"):
        Fashion(validation=5).place(folder)


def damage_cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def damage_flip(data: bytes) -> bytes:
    return data[:-6] + bytes([data[-6] ^ 255]) + data[-5:]  # the gzip check sum


def damage_short(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data)[:-1])


def damage_long(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data) + b"\0")


def damage_size(data: bytes) -> bytes:
    raw = gzip.decompress(data)
    return gzip.compress(raw[:4] + b"\xff\xff\xff\xff" + raw[8:])


def damage_kind(data: bytes) -> bytes:
    return gzip.compress(b"\0\0\x0d\3" + gzip.decompress(data)[4:])


@pytest.mark.parametrize("damage", [damage_cut, damage_flip, damage_short, damage_long, damage_size, damage_kind,
                                    lambda data: gzip.decompress(data)[:-1], lambda data: b"",
                                    lambda data: gzip.compress(b"")])
def test_damaged_files_have_exit_code_three(folder, damage):
    path = folder / FILES["test"][0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedFileError, match=FILES["test"][0]) as raised:
        read_idx(folder, FILES["test"][0])
    assert raised.value.exit_code == 3


def test_images_and_labels_of_different_number_are_refused(folder):
    write_idx(folder / FILES["test"][1], np.zeros(9))
    with pytest.raises(DamagedFileError, match="do not belong together"):
        Fashion(validation=5).split("test", folder)
    write_idx(folder / FILES["test"][1], np.full(10, 10))
    with pytest.raises(DamagedFileError, match=r"not all in 0\.\.9"):
        Fashion(validation=5).split("test", folder)


def test_logistic_regression_finds_the_maximum_of_its_likelihood():
    """Two classes, one binary feature: the fitted odds are the observed ones (penalty off)."""
    feature = torch.tensor([[0.]] * 40 + [[1.]] * 60)
    labels = torch.tensor([0] * 30 + [1] * 10 + [0] * 15 + [1] * 45)
    weights = fit_logistic(feature, labels, 2, iterations=100, penalty=0.)
    odds = (weights[:, 1] - weights[:, 0]).double()
    # L-BFGS in float32 stops at a gradient of 1e-7; the curvature here is about .04, so the odds are good to 1e-3
    assert torch.allclose(odds, torch.tensor([np.log(3) + np.log(3), -np.log(3)]).double(), atol=1e-3)


class Pixels(Task):
    """Labels that only the last segment (places 8, 9) tells."""

    name, summary, pixels, vocab_size, num_classes, max_length = "toy", "a toy", True, 256, 2, 10

    def split(self, name, data=None):
        generator = np.random.default_rng(len(name))
        tokens = generator.integers(0, 256, (400, 10)).astype(np.uint8)
        return ArraySplit(tokens, (tokens[:, 9] > 127).astype(np.int64))


def test_control_rows_use_the_last_segment_even_where_it_is_not_full():
    rows = control_rows(Pixels(), "test", segment=4)
    assert [row.name for row in rows] == ["majority", "histogram, last segment", "histogram, all tokens",
                                          "linear, last segment (2 places)", "linear, all 10 places"]
    assert .5 <= rows[0].accuracy < .65 and rows[3].accuracy > .95 and rows[4].accuracy > .95
    assert all(row.samples == 400 for row in rows)
