"""train.bucket_batches: batches of samples of like length, from the same samples, in an order that a resume finds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import UserError
from rmaat.tasks.documents import PairSplit
from rmaat.tasks.splits import ArraySplit, RaggedSplit, all_lengths, training_indices
from rmaat.training import opening
from rmaat.training.configs import listops_small
from rmaat.training.distributed import World
from rmaat.training.loop import fit
from rmaat.training.settings import change

TINY = ["task.train=50", "task.validation=4", "task.test=4", "task.min_length=5", "task.max_length=60",
        "task.max_depth=4", "model.segment_length=10", "model.width=8", "model.layers=1",
        "model.num_memory_tokens=2", "model.dropout=.2",
        "train.batch_size=4", "train.evaluate_every=50", "train.checkpoint_every=3", "train.steps=7", "train.warmup=0"]


def epoch(lengths, batch_size, together, *, seed=3, number=0):
    count = -(-len(lengths) // batch_size)
    return [training_indices(len(lengths), batch_size, seed, step=number * count + step, lengths=lengths,
                             together=together) for step in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=70), st.integers(1, 8), st.integers(1, 6), st.integers(0, 2))
def test_each_group_of_batches_shares_its_own_samples_out_by_length(lengths, batch_size, together, number):
    lengths = np.array(lengths)
    plain, found = (epoch(lengths, batch_size, each, number=number) for each in (1, together))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))  # every sample once an epoch
    for start in range(0, len(plain), together):
        before, after = plain[start:start + together], found[start:start + together]
        assert sorted(np.concatenate(before).tolist()) == sorted(np.concatenate(after).tolist())
        assert sorted(map(len, before)) == sorted(map(len, after))
        spans = sorted((lengths[batch].min(), lengths[batch].max()) for batch in after)
        assert all(upper <= lower for (_, upper), (lower, _) in itertools.pairwise(spans))


def test_batches_keep_a_random_order():
    """Else every group would begin with its short samples, and so would an epoch, unasked."""
    lengths = np.random.default_rng(0).integers(1, 1000, 4000)
    firsts = [int(np.argsort([lengths[batch].mean() for batch in epoch(lengths, 10, 8)[start:start + 8]])[0])
              for start in range(0, 400, 8)]
    assert len(set(firsts)) == 8
    one, other = (np.concatenate(epoch(lengths, 10, 8, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one, other)
    assert not np.array_equal(np.concatenate(epoch(lengths, 10, 8, seed=1, number=1)), one)
    within = [batch for batch in epoch(lengths, 10, 8) if np.any(np.diff(lengths[batch]) < 0)]
    assert len(within) > 390  # in a batch, too: so processes that share it have a like amount of work


def test_short_samples_run_fewer_empty_segments():
    lengths = np.random.default_rng(0).integers(500, 2000, 3000)

    def places(together):
        return sum(len(batch) * lengths[batch].max() for batch in epoch(lengths, 32, together)) / lengths.sum()

    assert places(1) > 1.5 and places(16) < 1.1


def test_who_does_not_say_lengths_is_asked_for_them():
    class Own:
        def __len__(self):
            return 3

        def batch(self, indices):
            raise NotImplementedError

        def all_labels(self):
            return np.zeros(3, np.int64)

    with pytest.raises(UserError, match=r"train\.bucket_batches: a Own does not say how long its samples are"):
        all_lengths(Own())
    Own.all_lengths = lambda self: [1, 2]
    with pytest.raises(UserError, match=r"all_lengths gives int64 of shape \(2,\); give int64 of shape \(3,\)"):
        all_lengths(Own())
    ragged = RaggedSplit.join([b"abc", b"d", b"efgh"], [0, 1, 0])
    assert all_lengths(ragged).tolist() == [3, 1, 4] and all_lengths(ragged.part(1, 3)).tolist() == [1, 4]
    assert all_lengths(ArraySplit(np.zeros((2, 5), np.uint8), np.zeros(2, np.int64))).tolist() == [5, 5]
    offsets, pairs = np.array([0, 3, 4, 9]), np.array([[0, 1], [1, 1], [2, 0]])
    two = PairSplit(np.zeros(9, np.uint8), offsets, pairs, np.array([0, 1, 0]))
    assert all_lengths(two).tolist() == [3, 1, 5] and all_lengths(two.part(1, 3)).tolist() == [1, 5]
    assert [two.batch(np.array([k])).tokens.shape[1] for k in range(3)] == [3, 1, 5]
    with pytest.raises(UserError, match=r"train\.bucket_batches = 0: must be at least 1"):
        change(listops_small(), ["train.bucket_batches=0"])


@pytest.mark.slow
def test_a_resumed_run_meets_the_batches_of_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole = change(listops_small(), [*TINY, "train.bucket_batches=3"])
    trainer = opening.begin(whole, tmp_path / "whole")
    fit(trainer, quiet=True)
    stopped = opening.begin(whole, tmp_path / "stopped")
    for _ in range(4):
        stopped.advance()
    stopped.save()
    resumed = opening.begin(whole, tmp_path / "stopped", resume=True)
    fit(resumed, quiet=True)
    assert resumed.step == trainer.step == 7
    for name, value in trainer.model.state_dict().items():
        assert (resumed.model.state_dict()[name] == value).all(), name
    lengths = trainer.lengths["train"]
    indices = training_indices(50, 4, 0, step=5, lengths=lengths, together=3)
    assert np.concatenate([World(rank, 3).share(indices)[0] for rank in range(3)]).tolist() == indices.tolist()
