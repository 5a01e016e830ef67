"""Text: reviews as released, from a folder or any archive; what is missing or damaged is said in words."""

import hashlib
import warnings

import numpy as np
import pytest
from twins import pack, write_reviews

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks.checks import DataNote, check_data
from rmaat.tasks.text import Text


@pytest.fixture(autouse=True)
def few_reviews(tmp_path, monkeypatch):
    """A cache of the test's own; that the twins hold fewer reviews than the release is known here."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        yield


def reviews_of(split):
    """Samples as bytes, through `batch`, which pads and shifts."""
    tokens, lengths, labels = split.batch(np.arange(len(split)))
    assert (tokens[np.arange(tokens.shape[1]) >= lengths[:, None].numpy()] == 0).all()
    return [(bytes((row[:length] - 1).tolist()), label)
            for row, length, label in zip(tokens.numpy(), lengths.tolist(), labels.tolist(), strict=True)]


def test_every_review_is_there_once_and_the_classes_take_turns(tmp_path):
    made = write_reviews(tmp_path, 11)
    task = Text(validation=6)
    splits = {name: reviews_of(task.split(name, tmp_path)) for name in ("train", "validation", "test")}
    expected = {(part, kind): list(texts.values()) for (part, kind), texts in made.items()}
    for part, found in (("train", splits["train"] + splits["validation"]), ("test", splits["test"])):
        in_turn = [review for pair in zip(expected[part, "neg"], expected[part, "pos"], strict=True) for review in pair]
        assert [text for text, _ in found] == in_turn  # by number: 2 before 10
        assert [label for _, label in found] == [0, 1] * 11
    assert len(splits["validation"]) == 6


def test_a_review_is_cut_to_max_length(tmp_path):
    write_reviews(tmp_path)
    whole, cut = (Text(validation=2, max_length=length).split("test", tmp_path) for length in (4_096, 17))
    assert [text[:17] for text, _ in reviews_of(whole)] == [text for text, _ in reviews_of(cut)]
    assert max(len(text) for text, _ in reviews_of(whole)) > 17
    for task, split in ((Text(validation=2, max_length=17), cut), (Text(validation=2), whole)):
        check_data(split, "test", task)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_an_archive_gives_what_the_folder_gives_and_its_checksum(tmp_path, ending):
    write_reviews(tmp_path)
    archive = pack(tmp_path / "aclImdb", tmp_path / f"aclImdb_v1.{ending}")
    task, kept = Text(validation=3), {}
    for name in ("train", "validation", "test"):
        split, again, folder = (task.split(name, place) for place in (archive, archive, tmp_path / "aclImdb"))
        assert reviews_of(split) == reviews_of(again) == reviews_of(folder)
        kept |= split.sources
    assert kept == {str(archive): hashlib.sha256(archive.read_bytes()).hexdigest()}
    (tmp_path / "other").mkdir()
    archive.rename(tmp_path / "other" / archive.name)
    assert reviews_of(task.split("test", tmp_path / "other")) == reviews_of(folder)  # the folder that it was put into


def test_the_checksum_of_a_folder_is_that_of_its_reviews(tmp_path):
    write_reviews(tmp_path)
    files = sorted((path.relative_to(tmp_path / "aclImdb").as_posix(), path.read_bytes())
                   for path in (tmp_path / "aclImdb").rglob("*.txt"))
    lines = sorted(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files)
    (tmp_path / "aclImdb" / "train" / "pos" / "._0_9.txt").write_bytes(b"what another system leaves")
    (tmp_path / "aclImdb" / "README").write_text("not read")
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert Text(validation=2).split("test", tmp_path).sources == {str(tmp_path / "aclImdb"): expected}


def test_the_cache_follows_a_change(tmp_path):
    write_reviews(tmp_path)
    before = Text(validation=2).split("test", tmp_path)
    path = next((tmp_path / "aclImdb" / "test" / "neg").glob("0_*.txt"))
    path.write_bytes(b"another one")
    after = Text(validation=2).split("test", tmp_path)
    assert reviews_of(after)[0] == (b"another one", 0) != reviews_of(before)[0]
    assert after.sources != before.sources


def test_fewer_reviews_than_released_are_noted(tmp_path):
    write_reviews(tmp_path)
    with pytest.warns(DataNote, match=r"holds 12 reviews in test; the release has 25,000"):
        Text(validation=2).split("test", tmp_path)


@pytest.mark.parametrize(("spoil", "error", "words"), [
    (lambda root: (root / "aclImdb").rename(root / "elsewhere"), UserError, "no aclImdb .*aclImdb_v1.tar.gz"),
    (lambda root: [path.unlink() for path in (root / "aclImdb/test/neg").iterdir()], UserError, r"no test/neg/\*\.txt"),
    (lambda root: next((root / "aclImdb/train/pos").iterdir()).write_bytes(b""), UserError,
     r"train/pos/\d_\d+\.txt is empty"),
    (lambda root: None, UserError, r"task\.validation = 99 of task text, but there are 12 training samples")])
def test_what_is_missing_is_named(tmp_path, spoil, error, words):
    write_reviews(tmp_path)
    spoil(tmp_path)
    with pytest.raises(error, match=words) as raised:
        Text(validation=99).split("train", tmp_path)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "zip"])
@pytest.mark.parametrize("part", [0., .1, .5, .9])
def test_a_cut_archive_has_exit_code_three(tmp_path, ending, part):
    write_reviews(tmp_path)
    archive = pack(tmp_path / "aclImdb", tmp_path / f"aclImdb.{ending}")
    archive.write_bytes(archive.read_bytes()[:int(part * archive.stat().st_size) // 512 * 512 + 7])
    with pytest.raises(DamagedFileError, match="aclImdb") as raised:
        Text(validation=2).split("train", archive)
    assert raised.value.exit_code == 3


def test_what_is_no_archive_is_called_so_in_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of the kind" * 99)
    with pytest.raises(UserError, match=r"notes\.txt is neither a tar nor a zip; give the folder in which") as raised:
        Text().split("train", tmp_path / "notes.txt")
    assert raised.type is UserError and "\n" not in str(raised.value)


def test_endings_in_capitals_are_read_and_two_copies_are_not_mixed(tmp_path):
    write_reviews(tmp_path)
    for path in (tmp_path / "aclImdb" / "test" / "pos").iterdir():
        path.rename(path.with_suffix(".TXT"))
    assert len(Text(validation=2).split("test", tmp_path)) == 12
    write_reviews(tmp_path / "aclImdb" / "old", seed=1)
    with pytest.raises(UserError, match=r"holds the data 2 times, in \. and old/aclImdb/; give the folder of one"):
        Text(validation=2).split("test", tmp_path)


def test_two_archives_are_a_question(tmp_path):
    write_reviews(tmp_path)
    (tmp_path / "both").mkdir()
    for ending in ("tar.gz", "zip"):
        pack(tmp_path / "aclImdb", tmp_path / "both" / f"aclImdb.{ending}")
    with pytest.raises(UserError, match=r"2 archives that would do: aclImdb\.tar\.gz, aclImdb\.zip"):
        Text(validation=2).split("train", tmp_path / "both")
