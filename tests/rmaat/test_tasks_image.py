"""Image: CIFAR-10 from its three layouts, which say the same; grey as the benchmark has it; what is wrong is named."""

import pickle
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from twins import CLASSES, batches, pack, write_binary, write_images, write_pickled

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.checks import DataNote, check_data
from rmaat.tasks.cifar import grey
from rmaat.tasks.image import Image


@pytest.fixture(autouse=True)
def few_images(tmp_path, monkeypatch):
    """A cache of the test's own; that the twins hold fewer images than the release is known here."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        yield


def plain_grey(image):
    """Of one image [3, 32, 32], pixel by pixel in double precision."""
    return [[(.2989 * r + .587 * g + .114 * b) / 255 * 255.5 for r, g, b in zip(*rows, strict=True)]
            for rows in zip(*image.astype(float).tolist(), strict=True)]


def test_binary_batches_are_read_in_order_and_grey(tmp_path):
    place, task = write_binary(tmp_path), Image(validation=7)
    train, validation, test = (task.split(name, tmp_path) for name in ("train", "validation", "test"))
    made = batches(10)
    for split, name in ((train, "data_batch_1"), (test, "test_batch")):
        images, labels = made[name]
        assert split.labels[:10].tolist() == labels.tolist()
        for row in (0, 3, 9):
            exact = np.array(plain_grey(images[row])).reshape(-1)
            # the value is cut off; float32 may fall on the other side where the exact one is whole to 1e-4
            assert (np.abs(split.tokens[row] - np.floor(exact)) <= (np.abs(exact - np.round(exact)) < 1e-4)).all()
    assert (len(train), len(validation), len(test)) == (43, 7, 10)
    joined = np.concatenate([train.tokens, validation.tokens])
    assert (joined[40:] == grey(made["data_batch_5"][0].reshape(10, 3, -1))).all()
    check_data(validation, "validation", task)
    assert set(train.sources) == {str(place)}


def test_grey_at_the_ends_and_against_pillow():
    """White stays white, black black; Pillow's own grey has weights of 16 bits and rounds: at most one step away."""
    ends = np.stack([np.zeros((3, 4)), np.full((3, 4), 255)]).astype(np.uint8)
    assert grey(ends).tolist() == [[0] * 4, [255] * 4]
    colours = np.random.default_rng(1).integers(0, 256, (3, 1024)).astype(np.uint8)
    other = np.asarray(Pillow.fromarray(colours.T.reshape(32, 32, 3)).convert("L")).reshape(-1)
    assert np.abs(grey(colours).astype(int) - other).max() <= 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_python_batches_say_what_binary_ones_say(tmp_path, protocol):
    write_binary(tmp_path / "a")
    write_pickled(tmp_path / "b", protocol=protocol)
    for name in ("train", "validation", "test"):
        one, other = (Image(validation=5).split(name, tmp_path / folder) for folder in "ab")
        assert (one.tokens == other.tokens).all() and (one.labels == other.labels).all()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["", "tar", "tar.gz", "zip"])
def test_image_files_say_what_batches_say_with_the_classes_in_turn(tmp_path, ending):
    write_binary(tmp_path / "batches", 20)
    place = write_images(tmp_path, 20)
    if ending:
        place = pack(place, tmp_path / f"cifar10-png.{ending}")
    task = Image(validation=20)
    files, binary = ({name: task.split(name, folder) for name in ("train", "validation", "test")}
                     for folder in (place, tmp_path / "batches"))
    for name in files:
        assert (files[name].labels == np.arange(len(files[name])) % 10).all()
    # the twin's labels are in turn, too, so the order is the same: by rank within the class, then by class
    assert all((files[name].tokens == binary[name].tokens).all() for name in files)


def test_jpeg_files_are_near(tmp_path):
    test = Image(validation=2).split("test", write_images(tmp_path, 10, kind="jpg"))
    expected = grey(batches(10)["test_batch"][0].reshape(10, 3, -1)).astype(int)
    assert test.tokens.shape == (10, 1024) and np.abs(test.tokens.mean(1) - expected.mean(1)).max() < 2


def spoil_class(root):
    (root / "cifar10/test/ship").rename(root / "cifar10/test/yacht")


def spoil_size(root):
    Pillow.new("RGB", (32, 31)).save(root / "cifar10/train/frog/0.png")


def spoil_image(root):
    path = root / "cifar10/train/frog/1.png"
    path.write_bytes(path.read_bytes()[:-40])


def spoil_kind(root):
    (root / "cifar10/train/frog/1.png").write_bytes(b"GIF89a nothing of the kind")


@pytest.mark.parametrize(("spoil", "error", "words"), [
    (spoil_class, UserError, "train has the classes airplane, .*; test has .*yacht"),
    (spoil_size, UserError, r"train/frog/0\.png: 32 x 31 pixels; expected 32 x 32"),
    (spoil_image, DamagedFileError, r"train/frog/1\.png: no whole PNG or JPEG"),
    (spoil_kind, DamagedFileError, r"train/frog/1\.png: no whole PNG or JPEG")])
def test_wrong_image_files_are_named(tmp_path, spoil, error, words):
    write_images(tmp_path, 10)
    spoil(tmp_path)
    with pytest.raises(error, match=words):
        Image(validation=2).split("train", tmp_path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def label(path):
    content = bytearray(path.read_bytes())
    content[3 * 3073] = 10
    path.write_bytes(content)


@pytest.mark.parametrize(("spoil", "error", "words"), [
    (cut, DamagedFileError, r"data_batch_3\.bin: 30729 bytes are not whole records"),
    (label, DamagedFileError, r"data_batch_3\.bin, image 3: label 10 is not in 0\.\.9"),
    (lambda path: path.unlink(), UserError, "no data_batch_3 in"),
    (lambda path: path.write_bytes(b""), DamagedFileError, "0 bytes are not whole")])
def test_wrong_batches_are_named(tmp_path, spoil, error, words):
    spoil(write_binary(tmp_path) / "data_batch_3.bin")
    with pytest.raises(error, match=words):
        Image(validation=2).split("train", tmp_path)


@pytest.mark.parametrize("labels", [[True, False], [10**30, 1], [1, -1], [1, 2.], [[1], [2]]])
def test_labels_of_a_pickle_that_are_none_are_refused(tmp_path, labels):
    held = {b"data": np.zeros((2, 3072), np.uint8), b"labels": labels}
    (write_pickled(tmp_path) / "data_batch_4").write_bytes(pickle.dumps(held, 2))
    with pytest.raises(DamagedFileError, match="data_batch_4"):
        Image(validation=2).split("train", tmp_path)


def test_endings_in_capitals_and_more_batches_than_there_are(tmp_path):
    folder = write_binary(tmp_path)
    (folder / "data_batch_2.bin").rename(folder / "DATA_BATCH_2.BIN")
    assert len(Image(validation=2).split("train", tmp_path)) == 48
    (folder / "data_batch_1.bin").rename(folder / "data_batch_8.bin")
    with pytest.raises(UserError, match=r"data_batch_8\.bin: there is no such batch; expected CIFAR-10"):
        Image(validation=2).split("train", tmp_path)


def test_deep_colours_and_two_trees_of_images_are_refused(tmp_path):
    folder = write_images(tmp_path, 10)
    with Pillow.new("I;16", (32, 32)) as image:
        image.save(folder / "train" / "cat" / "0.png")
    with pytest.raises(UserError, match=r"train/cat/0\.png: more than 8 bits a colour \(mode I;16\)"):
        Image(validation=2).split("train", tmp_path)
    (folder / "train" / "cat" / "0.png").write_bytes((folder / "train" / "cat" / "0.png").read_bytes()[:9])
    with pytest.raises(DamagedFileError, match=r"0\.png: no whole PNG or JPEG image \(cannot identify image file\)"):
        Image(validation=2).split("train", tmp_path)
    (folder / "train" / "cat" / "0.png").write_bytes((folder / "test" / "cat" / "0.png").read_bytes())
    write_images(folder / "copy", 10)
    with pytest.raises(UserError, match=r"holds the data 2 times, in \. and copy/cifar10/; give the folder of one"):
        Image(validation=2).split("train", tmp_path)


def test_a_pickle_of_something_else_is_named(tmp_path):
    (write_pickled(tmp_path) / "data_batch_2").write_bytes(pickle.dumps({b"data": np.zeros((3, 3072)), b"labels": [0]}))
    with pytest.raises(DamagedFileError, match=r"data_batch_2: expected a dictionary with data uint8"):
        Image(validation=2).split("train", tmp_path)


def test_nothing_at_all_says_what_to_fetch(tmp_path):
    assert len(CLASSES) == Image.num_classes
    for data in (tmp_path, None):
        with pytest.raises(UserError, match=r"no CIFAR-10 \(www\.cs\.toronto.*cifar-10-binary\.tar\.gz"):
            Image().split("train", data)


def test_an_image_that_declares_gigapixels_is_refused_before_it_is_unpacked(tmp_path):
    place = write_images(tmp_path, 10)
    path = next((place / "train" / CLASSES[3]).iterdir())
    data = bytearray(path.read_bytes())
    for side in (20_000, 65_000):  # Pillow warns of the one, and raises for the other
        data[16:24] = 2 * side.to_bytes(4, "big")
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"no whole PNG or JPEG image|pixels; expected 32 x 32"):
            Image(validation=2).split("train", place)
