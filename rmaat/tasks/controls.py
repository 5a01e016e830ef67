"""Control rows that need no network: the majority, and linear classifiers. Printed beside every model."""

import json
from dataclasses import astuple, fields
from functools import cache
from pathlib import Path

import numpy as np
import torch

from foundation.files import sha256_file
from rmaat.tasks import linear, words
from rmaat.tasks.cache import kept
from rmaat.tasks.documents import PairSplit
from rmaat.tasks.fingerprint import contents, fingerprint
from rmaat.tasks.linear import TRAINED_ON, Row, accuracy_of, first_tokens, histograms, majority, pixels
from rmaat.tasks.registry import TASKS
from rmaat.tasks.splits import spread
from rmaat.tasks.task import Split, Task
from rmaat.tasks.words import TfIdf, area

GREY_FLOOR = 25.  # of 255: near-constant places are not blown up
VALUES_TRAINED_ON = 1 << 26  # grey values: 65,536 images of 32 x 32
KEPT_FROM = 1 << 22  # tokens: fewer are gone through in a second


def control_rows(task: Task, split: str, segment: int, *, data: Path | None = None) -> list[Row]:
    """The rows of `split` that need no network.

    The majority; where the first token tells much, the commonest label after each; logistic regression on the histogram
    of tokens, of the last segment and of all; where tokens are pixels, on these, likewise; of two documents, on the
    cosine of their words' tf-idf vectors. Where labels are of tokens, their frequencies alone. What takes long for a
    task of ours is kept: all runs of a study have the same rows.
    """
    test, train = task.split(split, data), task.split("train", data)
    if not _is_ours(task) or (len(train) + len(test)) * task.max_length < KEPT_FROM:
        return _rows(task, train, test, segment)

    def made() -> dict[str, np.ndarray]:
        rows = _rows(task, train, test, segment)
        return {"rows": np.frombuffer(json.dumps([astuple(row) for row in rows]).encode(), np.uint8)}

    decides = [type(task).__name__, {field.name: repr(getattr(task, field.name)) for field in fields(task)},
               [[fingerprint(part), contents(part)] for part in (train, test)], segment, torch.__version__,
               torch.get_num_threads(), _program()]
    return [Row(*row) for row in json.loads(kept("controls", decides, made)["rows"].tobytes())]


def _is_ours(task: Task) -> bool:
    """Whether its samples follow from its dials and its files alone: of a user's class nobody knows."""
    return type(task) in TASKS.values()


@cache
def _program() -> list[str]:
    """What computes the rows, as it is now."""
    return [sha256_file(Path(path)) for path in (__file__, linear.__file__, words.__file__)]


def _rows(task: Task, train: Split, test: Split, segment: int) -> list[Row]:
    label, share = majority(test.all_labels())
    rows = [Row("majority", share, len(test), f"always label {label}")]
    if task.per_token:
        bits = frequency_bits(train.all_labels(), test.all_labels(), task.num_classes)
        return [Row("frequencies", share, len(test), f"always label {label}; {bits:.4f} bits per token by the "
                                                     "frequencies of the training labels")]
    if task.opening:
        rows.append(_opening_row(task, train, test))
    rows += _histogram_rows(task, train, test, segment)
    if task.pixels:
        rows += _pixel_rows(task, train, test, segment)
    if isinstance(train, PairSplit) and isinstance(test, PairSplit):
        rows.append(_word_row(train, test))
    return rows


def frequency_bits(train: np.ndarray, test: np.ndarray, classes: int) -> float:
    """Bits for each label of `test`, told by how often each is among those of `train` (and once more)."""
    counts = np.bincount(train, minlength=classes) + 1.
    return float(-np.log2(counts[test] / counts.sum()).mean())


def _opening_row(task: Task, train: Split, test: Split) -> Row:
    learned, all_of_test = spread(train, TRAINED_ON), np.arange(len(test))
    first, asked = first_tokens(train, learned), first_tokens(test, all_of_test)
    counts = np.zeros((task.vocab_size, task.num_classes), np.int64)
    np.add.at(counts, (first, train.all_labels()[learned]), 1)
    return Row("first token", float((counts.argmax(1)[asked] == test.all_labels()).mean()), len(test),
               f"{task.opening}: the commonest label after it in {len(learned)} samples")


def _histogram_rows(task: Task, train: Split, test: Split, segment: int) -> list[Row]:
    learned, all_of_test = spread(train, TRAINED_ON), np.arange(len(test))
    rows = []
    for what, size in (("last segment", segment), ("all tokens", 0)):
        share = accuracy_of(histograms(train, learned, task, segment=size), train.all_labels()[learned],
                            [histograms(test, all_of_test, task, segment=size)], test.all_labels(),
                            classes=task.num_classes)
        rows.append(Row(f"histogram, {what}", share, len(test),
                        f"logistic regression on shares of tokens, {len(learned)} samples"))
    return rows


def _pixel_rows(task: Task, train: Split, test: Split, segment: int) -> list[Row]:
    learned, all_of_test = spread(train, max(1, VALUES_TRAINED_ON // task.max_length)), np.arange(len(test))
    last = task.max_length - (task.max_length - 1) // segment * segment  # the last segment need not be full
    rows = []
    for what, places in ((f"last segment ({last} places)", slice(-last, None)),
                         (f"all {task.max_length} places", slice(None))):
        share = accuracy_of(torch.cat(list(pixels(train, learned, places))), train.all_labels()[learned],
                            pixels(test, all_of_test, places), test.all_labels(), classes=task.num_classes,
                            floor=GREY_FLOOR)
        rows.append(Row(f"linear, {what}", share, len(test), "logistic regression on grey values"))
    return rows


def _word_row(train: PairSplit, test: PairSplit) -> Row:
    learned, all_of_test = spread(train, TRAINED_ON), np.arange(len(test))
    vectors = TfIdf(train, learned)
    known, values = vectors.cosines(train, learned), vectors.cosines(test, all_of_test)
    share = accuracy_of(torch.from_numpy(known[:, None]).float(), train.all_labels()[learned],
                        [torch.from_numpy(values[:, None]).float()], test.all_labels(), classes=2)
    return Row("tf-idf of words", share, len(test), f"cosine of both documents; area under the ROC curve "
                                                    f"{area(values, test.all_labels()):.3f}")
