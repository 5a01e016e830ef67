"""Next byte: splits, training from end to end, bits per byte against a count of their own, refusals."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from foundation.errors import UserError
from rmaat.tasks.checks import check_data
from rmaat.tasks.next_byte import NextByte, TextSplit
from rmaat.tasks.recall import Recall
from rmaat.tasks.task import NOT_ASKED, Batch
from rmaat.training.answers import answers, mean_answers
from rmaat.training.configs import next_byte_small
from rmaat.training.evaluation import evaluate
from rmaat.training.settings import change
from rmaat.training.trainer import train
from rmaat.training.variants import VARIANTS


@pytest.fixture
def text(tmp_path):
    """2,000 bytes of counted words: each follows from those before."""
    path = tmp_path / "words.txt"
    path.write_bytes("".join(f"{n % 40} and {n % 7}; " for n in range(400)).encode()[:2_000])
    return path


def test_the_parts_share_no_byte_and_each_byte_is_asked_for_once(text):
    task = NextByte(length=32)
    parts = {name: task.split(name, text) for name in ("train", "validation", "test")}
    assert b"".join(parts[name].text.tobytes() for name in parts) == text.read_bytes()
    for name, split in parts.items():
        check_data(split, name, task)
        tokens, lengths, labels = split.batch(np.arange(len(split)))
        asked = labels[labels != NOT_ASKED]
        assert torch.equal(asked, torch.from_numpy(split.all_labels())) and len(asked) == len(split.text) - 1
        assert torch.equal(tokens[:, 1:][labels[:, 1:] != NOT_ASKED], labels[:, :-1][labels[:, 1:] != NOT_ASKED])
        assert lengths.sum() == len(asked)


def test_a_folder_is_its_files_by_name(text, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "b.txt").write_bytes(b"b" * 300)
    (folder / "a.txt").write_bytes(b"a" * 300)
    assert NextByte().split("train", folder).text.tobytes() == b"a" * 300 + b"b" * 240


@pytest.mark.slow
def test_trained_from_end_to_end_it_reports_bits_per_byte(text, tmp_path):
    experiment = change(next_byte_small(), ["train.steps=2", "model.layers=1", "task.length=40", "train.batch_size=4"])
    result = train(experiment, tmp_path / "run", data=text, quiet=True)
    model, split = result.model().double(), experiment.task.split("test", text)
    nats, asked = 0., 0
    for index in range(len(split)):
        tokens, _, labels = split.batch(np.array([index]))
        logits = model(tokens)[0].log_softmax(-1)
        for place, label in enumerate(labels[0].tolist()):
            nats, asked = nats - logits[place, label].item(), asked + 1
    bits = nats / asked / math.log(2)
    said = result.evaluation.rows[0].note
    assert float(said.split(", ")[1].removesuffix(" bits per byte")) == pytest.approx(bits, abs=2e-4)
    assert result.metrics[-1]["validation_bits"] == pytest.approx(result.metrics[-1]["validation_loss"] / math.log(2))
    assert "bits per byte" in evaluate(tmp_path / "run", controls=False).rows[1].note
    known = np.bincount(experiment.task.split("train", text).text[1:], minlength=256) + 1
    entropy = -np.log2(known[split.text[1:]] / known.sum()).mean()
    assert f"{entropy:.4f} bits per token by the frequencies" in result.evaluation.rows[-1].note
    resumed = train(replace(experiment), tmp_path / "run", data=text, resume=True, quiet=True)
    assert resumed.evaluation.rows == result.evaluation.rows


def test_a_loss_is_that_of_the_labels_asked_for():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 5).double(), torch.tensor([[1, 4, NOT_ASKED], [2, NOT_ASKED, NOT_ASKED]])
    nats = -logits.log_softmax(-1)
    first = (nats[0, 0, 1] + nats[0, 1, 4]).item()
    found, (mean, share) = answers(logits, labels), mean_answers(logits, labels)
    assert found.asked == 3 and found.loss.item() == pytest.approx(first + nats[1, 0, 2].item())
    assert mean.item() == pytest.approx((first / 2 + nats[1, 0, 2].item()) / 2)
    best = logits.argmax(-1)
    correct = [int(best[0, 0] == 1), int(best[0, 1] == 4), int(best[1, 0] == 2)]
    assert found.correct == sum(correct) and share == pytest.approx((correct[0] / 2 + correct[1] / 2 + correct[2]) / 2)
    whole = torch.tensor([3, 0])
    assert answers(logits[:, 0], whole).loss.item() == pytest.approx((nats[0, 0, 3] + nats[1, 0, 0]).item())


def test_variants_of_it_stay_causal():
    base = next_byte_small()
    assert base.model.causal and base.model.output == "tokens"
    for name in ("rmt", "rlt", "rmt_amrb", "at", "transformer"):
        model = VARIANTS[name](base.model)
        assert model.causal and model.attention_class.causal, name


@dataclass(frozen=True)
class Tagged(NextByte):
    """Labels beyond a sample's end are not to be."""

    def split(self, name, data=None):
        split = TextSplit(np.arange(70, dtype=np.uint8), 32)

        class Wrong(TextSplit):
            def batch(self, indices):
                return Batch(*split.batch(indices)[:2], split.batch(indices).labels.clamp(min=0))

        return Wrong(split.text, 32)


def test_what_does_not_fit_is_refused(text):
    with pytest.raises(UserError, match=r"model.causal = False: the labels of task next_byte stand in the tokens"):
        change(next_byte_small(), ["model.causal=false"])
    with pytest.raises(UserError, match=r"model.output = classes: task next_byte has one label a token"):
        change(next_byte_small(), ["model.output=classes"])
    with pytest.raises(UserError, match=r"a task has one label a sample"):
        change(next_byte_small(), ["task=recall"])
    with pytest.raises(UserError, match="give --data FILE"):
        NextByte().split("train")
    with pytest.raises(UserError, match="are too few for three splits"):
        (text.parent / "short").write_bytes(b"ab")
        NextByte().split("train", text.parent / "short")
    with pytest.raises(UserError, match=r"task.test = 0.5 of task next_byte"):
        NextByte(test=.5)
    with pytest.raises(UserError, match=r"label 0 is not in 0..255"):
        check_data(Tagged().split("train"), "train", Tagged())
    assert not Recall.per_token and not Recall.causal
