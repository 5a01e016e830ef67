"""Recall and what all tasks share: batches as pure functions, ragged padding, checks that name the value."""

import numpy as np
import pytest
import torch

from foundation.errors import UserError
from rmaat.tasks.controls import majority
from rmaat.tasks.recall import NOISE, SYMBOLS, Recall
from rmaat.tasks.registry import TASKS
from rmaat.tasks.splits import ArraySplit, RaggedSplit, evaluation_batches, first, training_indices


def test_the_symbol_stands_once_in_the_first_segment_and_nowhere_else():
    task = Recall(num_segments=4, segment=16)
    batch = task.split("train").batch(np.arange(500))
    is_symbol = batch.tokens < SYMBOLS
    assert (is_symbol.sum(1) == 1).all()
    rows, places = is_symbol.nonzero(as_tuple=True)
    assert (batch.tokens[rows, places] == batch.labels).all()
    assert places.max() < task.segment
    assert set(places.tolist()) == set(range(16))  # every place occurs in 500 draws of 16 (chance of a miss 1e-13)
    noise = batch.tokens[~is_symbol]
    assert noise.min() == NOISE[0] and noise.max() == NOISE[1] - 1
    assert batch.tokens.shape == (500, 64) and (batch.lengths == 64).all()


def test_labels_and_noise_are_even():
    split = Recall(train=20_000).split("train")
    counts = np.bincount(split.all_labels(), minlength=10)
    assert abs(counts - 2_000).max() < 5 * np.sqrt(20_000 * .1 * .9)  # five standard deviations of a fair count
    noise = split.batch(np.arange(1_000)).tokens[:, 16:].numpy().ravel()
    shares = np.bincount(noise, minlength=256)[64:] / noise.size
    assert abs(shares * 192 - 1).max() < 5 * np.sqrt(192 / noise.size)


def test_a_sample_does_not_depend_on_its_batch():
    split = Recall(seed=3).split("validation")
    whole = split.batch(np.arange(50))
    some = split.batch(np.array([7, 40, 3]))
    assert torch.equal(some.tokens, whole.tokens[[7, 40, 3]]) and torch.equal(some.labels, whole.labels[[7, 40, 3]])
    assert (split.all_labels()[:50] == whole.labels.numpy()).all()


def test_splits_and_seeds_differ():
    tokens = [Recall(seed=seed).split(name).batch(np.arange(4)).tokens
              for seed in (0, 1) for name in ("train", "validation", "test")]
    assert len({tuple(sample.ravel().tolist()) for sample in tokens}) == 6


def test_known_values_are_stable():
    """The generator is a counter and a hash of ours: the same numbers on every machine and numpy version."""
    batch = Recall(num_segments=1, segment=4).split("train").batch(np.arange(4))
    assert batch.labels.tolist() == [3, 2, 9, 2]
    assert batch.tokens[0].tolist() == [239, 100, 180, 3]


@pytest.mark.parametrize("field", ["num_segments", "segment", "train", "seed"])
def test_bad_dials_are_named(field):
    with pytest.raises(UserError, match=rf"task\.{field} = -1"):
        Recall(**{field: -1})


def test_unknown_split_lists_the_right_ones():
    for task in (Recall(), TASKS["listops"](), TASKS["fashion"]()):
        with pytest.raises(UserError, match="unknown split 'dev'; choose one of: test, train, validation"):
            task.split("dev")


def test_an_epoch_visits_every_sample_once_and_its_last_batch_is_smaller():
    epoch = [training_indices(10, 4, seed=5, step=step) for step in range(3)]
    assert [len(batch) for batch in epoch] == [4, 4, 2]
    assert sorted(np.concatenate(epoch).tolist()) == list(range(10))
    following = np.concatenate([training_indices(10, 4, seed=5, step=step) for step in range(3, 6)])
    assert sorted(following.tolist()) == list(range(10)) and following.tolist() != np.concatenate(epoch).tolist()
    assert training_indices(10, 4, seed=5, step=1).tolist() == epoch[1].tolist()
    assert training_indices(10, 4, seed=6, step=1).tolist() != epoch[1].tolist()


def test_evaluation_sees_all_samples_once_in_order():
    split = ArraySplit(np.arange(7, dtype=np.uint8)[:, None], np.arange(7) % 2)
    batches = list(evaluation_batches(split, 3))
    assert [len(batch.labels) for batch in batches] == [3, 3, 1]
    assert torch.cat([batch.tokens[:, 0] for batch in batches]).tolist() == list(range(7))
    assert sum(len(batch.labels) for batch in evaluation_batches(split, 3, first(split, 5))) == 5


def test_evaluation_sees_ragged_samples_once_with_those_of_like_length():
    lengths = [5, 1, 3, 5, 2, 4, 1]
    split = RaggedSplit.join([bytes([k + 1] * n) for k, n in enumerate(lengths)], [0, 1] * 3 + [0])
    batches = list(evaluation_batches(split, 3))
    assert [batch.tokens[:, 0].tolist() for batch in batches] == [[2, 5, 7], [1, 3, 6], [4]]
    assert [batch.tokens.shape[1] for batch in batches] == [2, 5, 5]
    limited = list(evaluation_batches(split, 2, first(split, 3)))  # the first three, whatever their lengths
    assert sorted(int(x) for batch in limited for x in batch.tokens[:, 0]) == [1, 2, 3]


def test_ragged_samples_are_padded_to_the_longest_of_the_batch():
    split = RaggedSplit.join([b"\1\2\3", b"\4", b"\5\6"], [0, 1, 2])
    batch = split.batch(np.array([1, 2]))
    assert batch.tokens.tolist() == [[4, 0], [5, 6]]
    assert batch.lengths.tolist() == [1, 2] and batch.labels.tolist() == [1, 2]


def test_a_data_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="task recall makes its own data; leave out --data"):
        Recall().split("train", tmp_path)


def test_majority():
    assert majority(np.array([2, 1, 2, 0])) == (2, .5)
