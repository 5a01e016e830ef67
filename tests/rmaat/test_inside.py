"""Saliency against finite differences and a gradient taken by hand; similarity of memories against numpy."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from foundation.errors import UserError
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.trace.inside import inside
from rmaat.trace.inspection import inspect

CONFIG = ModelConfig(vocab_size=11, num_classes=3, segment_length=5, num_segments=3, width=6, layers=2, heads=1,
                     num_memory_tokens=2)
LENGTHS, LABELS = torch.tensor([13, 9, 4]), torch.tensor([2, 0, 1])


@pytest.fixture(scope="module")
def tokens():
    return torch.from_numpy(np.random.default_rng(1).integers(0, 11, (3, 13)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(4)
    made = RMAAT(CONFIG).eval()
    with torch.no_grad():  # small at the start: the memory would hardly matter
        made.embedding.weight.mul_(40)
    return made


@pytest.fixture(scope="module")
def exact(model):
    return copy.deepcopy(model).double()


def loss_of(model, vectors):
    logits = model(inputs_embeds=vectors, lengths=LENGTHS)
    return torch.nn.functional.cross_entropy(logits, LABELS)


def test_saliency_is_the_gradient_taken_by_hand(model, exact, tokens):
    found = inside(model, tokens, LENGTHS, labels=LABELS)
    vectors = exact.embedding(tokens).detach().requires_grad_()
    gradient, = torch.autograd.grad(loss_of(exact, vectors), vectors)
    there = torch.arange(13) < LENGTHS[:, None]
    expected = gradient.norm(dim=2) * there
    torch.testing.assert_close(found.saliency * there, expected, rtol=1e-9, atol=1e-15)  # float64, another path
    assert (found.saliency[~there] == 0).all() and (found.saliency[there] > 0).all()
    assert found.loss == pytest.approx(loss_of(exact, vectors).item(), rel=1e-12)


@pytest.mark.parametrize(("row", "place"), [(0, 1), (0, 12), (1, 6), (2, 3)])
def test_saliency_is_what_finite_differences_give(model, exact, tokens, row, place):
    found = inside(model, tokens, LENGTHS, labels=LABELS)
    vectors, step, slopes = exact.embedding(tokens).detach(), 1e-6, []
    for number in range(CONFIG.width):
        ends = []
        for sign in (1, -1):
            moved = vectors.clone()
            moved[row, place, number] += sign * step
            ends.append(loss_of(exact, moved).item())
        slopes.append((ends[0] - ends[1]) / (2 * step))
    # central differences of a loss near 1: rounding 1e-16/1e-6, second order 1e-12
    assert float(found.saliency[row, place]) == pytest.approx(np.linalg.norm(slopes), rel=1e-5, abs=1e-9)


def test_the_gradient_of_a_segment_is_that_of_its_tokens(model, tokens):
    sizes = inside(model, tokens, LENGTHS, labels=LABELS).saliency
    for row in inspect(model, tokens, LENGTHS, labels=LABELS).rows:
        part = sizes[:, 5 * (row["segment"] - 1):5 * row["segment"]]
        assert row["gradient_input"] == pytest.approx(float(part.norm()), rel=1e-10)


def test_similarity_is_numpys_cosine_and_memories_are_the_models(model, exact, tokens):
    found = inside(model, tokens, LENGTHS, labels=LABELS)
    memory, memories = exact.start(3), []
    with torch.no_grad():
        for segment in exact.cut(tokens, LENGTHS):
            _, memory = exact.step(segment, memory, exact.prepare())
            memories.append(memory.flatten(1).numpy())
    np.testing.assert_allclose(found.memories.numpy(), memories, rtol=1e-12)
    cosine = [[np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(first, second, strict=True)])
               for second in memories] for first in memories]
    np.testing.assert_allclose(found.similarity().numpy(), cosine, rtol=1e-12)
    # the third sample ends in the first segment: its memory stays
    np.testing.assert_array_equal(found.memories[0, 2], found.memories[2, 2])


def test_a_network_with_an_answer_for_each_token_has_no_one_loss(tokens):
    model = RMAAT(dataclasses.replace(CONFIG, output="tokens"))
    with pytest.raises(UserError, match="one answer a token"):
        inside(model, tokens, LENGTHS, labels=LABELS)
