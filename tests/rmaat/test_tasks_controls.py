"""Control rows: what each can and cannot tell, on data made so that it is known."""

import math
import zlib
from typing import ClassVar

import numpy as np
import pytest
import torch

from rmaat.tasks import controls
from rmaat.tasks.cache import CacheNote
from rmaat.tasks.checks import DataNote
from rmaat.tasks.controls import control_rows
from rmaat.tasks.documents import PairSplit
from rmaat.tasks.files import Files
from rmaat.tasks.linear import accuracy_of, histograms
from rmaat.tasks.listops import ListOps
from rmaat.tasks.overlap import keys_of, note_what_is_odd
from rmaat.tasks.recall import Recall
from rmaat.tasks.retrieval import Retrieval
from rmaat.tasks.splits import ArraySplit, RaggedSplit, spread
from rmaat.tasks.task import Task
from rmaat.tasks.words import TfIdf, area


class Words(Task):
    """Labels that the share of token 3 tells; in the last segment there is nothing of it."""

    vocab_size, num_classes, max_length = 9, 2, 23

    def split(self, name, data=None):
        generator = np.random.default_rng(len(name))
        labels = generator.integers(0, 2, 300)
        sequences = []
        for label in labels:
            length = int(generator.integers(13, 24))
            tokens = generator.integers(4, 9, length)
            begin = (length - 1) // 6 * 6  # of the last segment
            tokens[generator.permutation(begin)[:3 + 4 * label]] = 3
            sequences.append(bytes(tokens.tolist()))
        return RaggedSplit.join(sequences, labels.tolist())


def test_histograms_are_counted_one_by_one():
    split, task = Words().split("test"), Words()
    indices = np.array([5, 0, 299])
    for segment in (0, 6):
        found = histograms(split, indices, task, segment=segment)
        for row, index in enumerate(indices.tolist()):
            tokens = split.sample(index).tolist()
            if segment:
                tokens = tokens[(len(tokens) - 1) // segment * segment:]
            expected = [tokens.count(token) / len(tokens) for token in range(9)]
            assert torch.allclose(found[row], torch.tensor(expected), atol=1e-7)  # float32


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """How often a classifier is trained, beside an empty cache that keeps whatever the size."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(controls, "KEPT_FROM", 0)
    trained = []

    def counting(*given, **options):
        trained.append(1)
        return accuracy_of(*given, **options)

    monkeypatch.setattr(controls, "accuracy_of", counting)
    return trained


def test_rows_are_computed_once_for_all_runs_of_a_study(counted, tmp_path):
    sizes = {"num_segments": 2, "segment": 5, "train": 41, "validation": 3, "test": 17}
    rows = control_rows(Recall(**sizes), "test", 5)
    assert len(counted) == 2 and rows == control_rows(Recall(**sizes), "test", 5) and len(counted) == 2
    for number, others in enumerate([{"seed": 1}, {"test": 18}, {"train": 42}], start=2):
        control_rows(Recall(**sizes | others), "test", 5)
        assert len(counted) == 2 * number
    control_rows(Recall(**sizes), "test", 4)
    control_rows(Recall(**sizes), "validation", 5)
    assert len(counted) == 12
    for path in (tmp_path / "cache").glob("controls-*"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(CacheNote, match="made anew"):
        assert control_rows(Recall(**sizes), "test", 5) == rows and len(counted) == 14


def test_rows_are_computed_anew_for_other_data_and_for_what_nobody_knows(counted, tmp_path):
    lines = [f"{'a b' if k % 3 else 'c d'} {k % 7},{k % 3 > 0:d}" for k in range(90)]
    path, task = tmp_path / "mails.csv", Files(text="body", label="kind", max_length=9, classes=("0", "1"))
    for number in (1, 2):
        lines[40:60] = [f"d {k} {number},0" for k in range(40, 60)]  # equal ones come into one split
        path.write_text("\n".join(["body,kind", *lines]))
        for _ in range(2):
            control_rows(task, "test", 5, data=path)
        assert len(counted) == 2 * number, "a few tokens are other ones"
    for number in (3, 4):
        control_rows(Words(), "test", 6)
        assert len(counted) == 2 * number, "a class of the user's own may read what it likes"


def test_a_histogram_tells_what_tokens_tell_and_the_last_segment_what_is_in_it():
    rows = {row.name: row for row in control_rows(Words(), "test", 6)}
    assert rows["histogram, all tokens"].accuracy > .95
    assert rows["histogram, last segment"].accuracy < .62, "300 samples: chance is .5, its standard error .03"
    assert {row.samples for row in rows.values()} == {300} and len(rows) == 3


def test_recall_is_told_by_counting_but_not_from_the_last_segment():
    """Recall asks for memory, not for thought: who counts all tokens knows the symbol."""
    rows = {row.name: row.accuracy for row in control_rows(Recall(num_segments=3, segment=8, train=2_000, test=500),
                                                           "test", 8)}
    assert rows["histogram, all tokens"] > .99 and rows["histogram, last segment"] < .2


def test_the_root_of_a_tree_tells_much_of_its_value():
    """MAX is mostly 9 and MIN mostly 0: a row that says what carrying one token to the end is worth."""
    task = ListOps(train=400, validation=10, test=150, min_length=40, max_length=200, max_depth=6, max_arguments=8)
    train, test = task.split("train"), task.split("test")
    labels = {}
    for k in range(400):
        labels.setdefault(int(train.sample(k)[0]), []).append(int(train.labels[k]))
    commonest = {token: min(set(seen), key=lambda x, seen=seen: (-seen.count(x), x)) for token, seen in labels.items()}
    expected = np.mean([commonest[int(test.sample(k)[0])] == test.labels[k] for k in range(150)])
    row = next(row for row in control_rows(task, "test", 20) if row.name == "first token")
    assert row.accuracy == pytest.approx(expected) and row.accuracy > .25  # chance is .17
    assert row.note == "the root's operator: the commonest label after it in 400 samples"
    assert "first token" not in {row.name for row in control_rows(Words(), "test", 6)}


class Pairs(Task):
    """Two documents; label 1 where they share a rare word."""

    documents: ClassVar[int] = 2
    vocab_size, num_classes, max_length = 257, 2, 400

    def split(self, name, data=None):
        generator = np.random.default_rng(len(name))
        texts, pairs, labels = [], [], generator.integers(0, 2, 200)
        for label in labels:
            rare = [f"rare{generator.integers(10**6)}" for _ in range(2)]
            both = [" ".join([*(f"common{generator.integers(20)}" for _ in range(20)), rare[0 if label else side]])
                    for side in range(2)]
            pairs.append((len(texts), len(texts) + 1))
            texts += [text.encode() for text in both]
        store = RaggedSplit.join(texts, [0] * len(texts))
        return PairSplit(store.tokens, store.offsets, np.array(pairs), labels)


def test_words_in_common_are_weighed_by_how_rare_they_are():
    rows = {row.name: row for row in control_rows(Pairs(), "test", 40)}
    assert rows["tf-idf of words"].accuracy > .9
    assert float(rows["tf-idf of words"].note.rpartition(" ")[2]) > .9, "the area stands in the note"
    assert rows["histogram, all tokens"].accuracy < .75, "letters do not tell it"


def test_the_cosine_is_that_of_the_formula():
    split = Pairs().split("train")
    learned = np.arange(0, 200, 3)
    found = TfIdf(split, learned).cosines(split, np.array([1, 7]))
    documents = [split.document(number).tobytes().split() for number in np.unique(split.pairs[learned]).tolist()]

    def weights(words):
        return {word: (1 + math.log(words.count(word))) * (math.log((1 + len(documents)) / (1 + sum(
            word in other for other in documents))) + 1) for word in set(words)}

    for value, index in zip(found, (1, 7), strict=True):
        one, other = (weights(split.document(number).tobytes().split()) for number in split.pairs[index].tolist())
        expected = sum(one[word] * other.get(word, 0) for word in one) / math.dist([0] * len(one), one.values()) \
            / math.dist([0] * len(other), other.values())
        assert value == pytest.approx(expected, rel=1e-9)
        assert len({zlib.crc32(word) for word in {*one, *other}}) == len({*one, *other}), "no two words of one hash"


def test_the_area_is_the_share_of_ordered_pairs():
    generator = np.random.default_rng(4)
    values, labels = generator.integers(0, 6, 40).astype(float), generator.integers(0, 2, 40)
    wins = [(a > b) + .5 * (a == b) for a in values[labels == 1] for b in values[labels == 0]]
    assert area(values, labels) == pytest.approx(np.mean(wins))
    assert math.isnan(area(values, np.ones(40)))


def test_features_that_never_vary_leave_the_majority():
    ones = torch.ones(10, 3)
    assert accuracy_of(ones, np.array([1] * 7 + [0] * 3), [ones[:4]], np.array([1, 1, 0, 0]), classes=2) == .5


def test_samples_are_spread_over_all_of_a_split():
    split = ArraySplit(np.zeros((11, 2), np.uint8), np.zeros(11, np.int64))
    assert spread(split, 3).tolist() == [0, 5, 10] and spread(split, 99).tolist() == list(range(11))


# ---------------------------------------------------------------------------------------------- what is odd


def ragged(texts, labels):
    return RaggedSplit.join([text.encode() for text in texts], labels)


def test_samples_in_two_splits_are_counted():
    splits = {"train": ragged(["a", "b", "ab", "c"], [0, 1, 0, 1]), "validation": ragged(["b", "d", "b"], [0, 1, 0]),
              "test": ragged(["e", "f"], [0, 1])}
    with pytest.warns(DataNote, match="2 of the 3 samples of validation are in train, too") as seen:
        note_what_is_odd(splits, Words())
    assert len(seen) == 1


def test_one_class_alone_is_said():
    splits = {"train": ragged(["a", "b"], [1, 1]), "test": ragged(["e", "f"], [0, 1])}
    with pytest.warns(DataNote, match="all 2 samples of train have the label 1, of 2 classes"):
        note_what_is_odd(splits, Words())


def test_pairs_are_known_by_both_documents_and_their_order():
    split = Pairs().split("test")
    keys = keys_of(split)
    assert len(set(keys.tolist())) == 200
    turned = PairSplit(split.tokens, split.offsets, split.pairs[:, ::-1], split.labels)
    assert not np.isin(keys, keys_of(turned)).any() and (keys == keys_of(split, np.arange(200))).all()
    assert keys_of(Recall().split("test")) is None


def test_every_kind_of_split_knows_its_samples():
    array = ArraySplit(np.array([[1, 2], [3, 4], [1, 2]], np.uint8), np.array([0, 1, 0]))
    assert len(set(keys_of(array).tolist())) == 2
    assert Retrieval.documents == 2
