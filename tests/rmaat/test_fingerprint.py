"""How data is recognised: every element counts, and how the arrays lie in memory does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmaat.tasks.documents import PairSplit
from rmaat.tasks.fingerprint import contents, fingerprint
from rmaat.tasks.next_byte import TextSplit
from rmaat.tasks.pathfinder_files import ChosenImages
from rmaat.tasks.recall import Recall
from rmaat.tasks.splits import ArraySplit, RaggedSplit

LABELS, OFFSETS = np.arange(300) % 7, np.arange(301) * 3


def tokens():
    return np.random.default_rng(0).integers(0, 200, (300, 3)).astype(np.uint8)


SPLITS = {
    "one length": (lambda x: ArraySplit(x, LABELS), range(900)),
    "many lengths": (lambda x: RaggedSplit(x.reshape(-1), OFFSETS, LABELS), range(900)),
    "pairs": (lambda x: PairSplit(x.reshape(-1), OFFSETS, np.stack([np.arange(299), np.arange(1, 300)], 1), LABELS[1:]),
              range(900)),
    "a text": (lambda x: TextSplit(x.reshape(-1), 5), range(900)),
    "images on the disk": (lambda x: ChosenImages(x, np.arange(10, 290), LABELS[10:290], {}), range(30, 870))}


@pytest.mark.parametrize("kind", SPLITS)
@given(st.data())
def test_one_token_of_one_sample_counts(kind, data):
    make, places = SPLITS[kind]
    x = tokens()
    before = contents(make(x))
    assert before == contents(make(np.asfortranarray(x).copy(order="C"))) == contents(make(tokens()))
    x.reshape(-1)[data.draw(st.sampled_from(places))] ^= 1
    assert contents(make(x)) != before


def test_images_of_other_splits_and_the_files_that_were_read_do_not_count():
    x = tokens()
    make, _ = SPLITS["images on the disk"]
    before = contents(make(x))
    x[:10], x[290:] = 0, 0
    assert contents(make(x)) == before
    assert contents(ArraySplit(x, LABELS)) == contents(ArraySplit(x, LABELS, {"moved.csv": "0"}))
    assert contents(ArraySplit(x, LABELS)) != contents(ArraySplit(x.reshape(100, 9), LABELS[:100]))


def test_samples_that_follow_from_dials_have_a_fingerprint_alone():
    one, other = (Recall(num_segments=2, segment=4, seed=seed).split("train") for seed in (0, 1))
    assert contents(one) is None and fingerprint(one) != fingerprint(other)
