"""torch.export and torch.compile of the whole network: another program, the same numbers."""

import dataclasses

import pytest
import torch
from torch.export import Dim, export

from rmaat import RMAAT, Biology, ModelConfig

SMALL = ModelConfig(20, 3, 5, 4, width=8, heads=2, num_memory_tokens=2)


def build(**fields):
    torch.manual_seed(0)
    return RMAAT(dataclasses.replace(SMALL, **fields), Biology.load()).eval()


def tokens_of(batch, length=17):
    return torch.randint(20, (batch, length), generator=torch.Generator().manual_seed(batch))


def exported(model, length=17):
    """The inference pass for any batch of sequences of up to `length` tokens."""
    batch = Dim("batch", min=1, max=64)
    with torch.no_grad():
        return export(model, (tokens_of(3, length), torch.tensor([length, 11, 4])),
                      dynamic_shapes=({0: batch}, {0: batch}), strict=False)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [
    {}, {"mixing": "ngrams", "head": "features", "readout": "pooled"}, {"mixing": "field", "readout": "largest"},
    {"mixing": "none", "readout": "ends"},
    {"attention": "softmax", "rel_pos": "none", "retention": "leaky", "gradient": "bptt"},
    {"rel_pos": "content", "feedback": "bound", "head": "memory"}, {"output": "tokens", "causal": True}],
    ids=lambda fields: "-".join(map(str, fields.values())) or "default")
def test_an_exported_program_is_the_network_for_other_batches(fields, shapes_unchecked):
    model = build(**fields)
    program = exported(model).module()
    for batch, lengths in ((5, [1, 17, 9, 6, 5]), (1, [17]), (2, [10, 10])):
        tokens, lengths = tokens_of(batch), torch.tensor(lengths)
        with torch.no_grad():  # float32: the exported program sums some rows in another order
            torch.testing.assert_close(program(tokens, lengths), model(tokens, lengths), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_an_exported_program_is_saved_and_still_refuses(tmp_path, shapes_unchecked):
    model, path = build(), tmp_path / "network.pt2"
    torch.export.save(exported(model), path)
    program = torch.export.load(path).module()
    tokens, lengths = tokens_of(4), torch.tensor([17, 3, 8, 5])
    with torch.no_grad():
        torch.testing.assert_close(program(tokens, lengths), model(tokens, lengths), rtol=1e-5, atol=1e-6)
        for bad_tokens, bad_lengths, message in (
                (tokens.clone().fill_(20), lengths, "a token is out of vocabulary"),
                (tokens, torch.tensor([18, 1, 1, 1]), "lengths are not in 1 to the width of tokens"),
                (tokens, torch.tensor([0, 1, 1, 1]), "lengths are not in 1 to the width of tokens")):
            with pytest.raises(RuntimeError, match=message):
                program(bad_tokens, bad_lengths)
        beyond = tokens.clone()
        beyond[1, 3:] = 99  # padding is not looked at
        torch.testing.assert_close(program(beyond, lengths), model(tokens, lengths), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # what dynamo cannot trace and leaves to Python
def test_a_compiled_network_gives_the_same_numbers_and_gradients(shapes_unchecked):
    model, tokens, lengths = build().train(), tokens_of(3), torch.tensor([17, 11, 4])
    compiled, results = torch.compile(model, backend="eager"), []
    for network in (model, compiled):
        model.zero_grad()
        logits = network(tokens, lengths)
        logits.square().sum().backward()
        results.append([logits.detach(), *(parameter.grad.clone() for parameter in model.parameters())])
    for plain, other in zip(*results, strict=True):
        assert torch.equal(plain, other)
