"""Network and attention are plain modules: pickled, copied, built empty and filled, cast, fed what others feed."""

import copy
import io
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from foundation.errors import UserError
from rmaat.attention import Astromorphic
from rmaat.gradient.backprop import GRADIENT
from rmaat.model.config import ModelConfig
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT

CONFIG = ModelConfig(vocab_size=20, num_classes=3, segment_length=7, num_segments=4, width=12, heads=3,
                     num_memory_tokens=2)
# The same operations in the same order, sums over segments in another: some ten roundings of 1e-16 on the norm.
RELATIVE = 1e-12


def network(**fields):
    torch.manual_seed(0)
    return RMAAT(replace(CONFIG, **fields)).eval()


def attention(**options):
    torch.manual_seed(0)
    return Astromorphic(width=12, heads=3, places=9, **options)


def tokens_of(length, batch=3):
    return torch.randint(20, (batch, length), generator=torch.Generator().manual_seed(length))


BUILT = {
    "network": (network, lambda: tokens_of(25)), "budget": (lambda: network(budget_bytes=10**8), lambda: tokens_of(25)),
    "content": (lambda: network(rel_pos="content", retention="leaky", calcium_exponent="fitted"), lambda: tokens_of(9)),
    "attention": (attention, lambda: torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(1)))}


def pickled(module):
    return pickle.loads(pickle.dumps(module))


def saved(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def weights_alone(module):
    """The learned tensors through a file into a module that was built without memory."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    with torch.device("meta"):
        empty = RMAAT(module.config) if isinstance(module, RMAAT) else attention()
    assert all(x.is_meta for x in (*empty.parameters(), *empty.buffers()))
    empty.to_empty(device="cpu").load_state_dict(torch.load(file, weights_only=True))
    return empty.eval()


@pytest.mark.slow
def weights_assigned(module):
    """The same, with the tensors of the file taking the places of those without memory."""
    with torch.device("meta"):
        empty = RMAAT(module.config) if isinstance(module, RMAAT) else attention()
    nn.Sequential(empty).load_state_dict(nn.Sequential(module).state_dict(), assign=True)
    assert not any(x.is_meta for x in (*empty.parameters(), *empty.buffers()))
    return empty.eval()


@pytest.mark.parametrize("way", [pickled, saved, copy.deepcopy, weights_alone, weights_assigned])
@pytest.mark.parametrize("kind", BUILT)
def test_what_comes_back_gives_the_same(kind, way):
    build, given = BUILT[kind]
    module, x = build(), given()
    module(x).sum().backward()  # a budget has made its plan by then
    assert torch.equal(way(module)(x), module(x))


@pytest.mark.parametrize("retention", RETENTION)
def test_record_tensors_are_filled_again_in_any_module_around(retention):
    outer = nn.Sequential(network(retention=retention))
    with torch.device("meta"):
        empty = nn.Sequential(RMAAT(outer[0].config)).eval()
    empty.to_empty(device="cpu").load_state_dict(outer.state_dict())
    assert torch.equal(empty(tokens_of(25)), outer(tokens_of(25)))
    names = {name for name, _ in outer.named_buffers()}
    assert names and not names & outer.state_dict().keys()


def test_a_cast_rounds_the_records_numbers_to_float32_at_most():
    module = network().half().bfloat16().double()
    for (name, found), (_, exact) in zip(module.named_buffers(), network().named_buffers(), strict=True):
        assert found.dtype == torch.float64 and torch.equal(found, exact), name
    assert {b.dtype for b in network().half().buffers()} == {torch.float32}
    assert {p.dtype for p in network().half().parameters()} == {torch.float16}


def test_in_float64_it_is_float32s_result_to_rounding():
    exact, single = network().double()(tokens_of(25)), network()(tokens_of(25))
    assert exact.dtype == torch.float64
    assert (exact - single).norm() < 1e-5 * exact.norm()  # float32: 6e-8 an operation, some tens in a row


# ------------------------------------------------------------------------------------------------ what goes in


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("lengths", [None, [25, 25, 25], [25, 11, 1]], ids=str)
def test_tokens_of_any_whole_number_type_and_lengths_left_out(dtype, lengths):
    tokens = tokens_of(25)
    given = torch.tensor(lengths or [25, 25, 25])
    found = network()(tokens.to(dtype)) if lengths is None else network()(tokens.to(dtype), given.int())
    assert torch.equal(found, network()(tokens, given))


@pytest.mark.parametrize("lengths", [None, [25, 11, 1]], ids=str)
@pytest.mark.parametrize("output", ["classes", "tokens", "features"])
def test_vectors_in_the_place_of_tokens_give_what_their_tokens_give(output, lengths):
    model = network(output=output, num_classes=0 if output == "features" else 3)
    tokens, lengths = tokens_of(25), lengths and torch.tensor(lengths)
    vectors = model.embedding(tokens)
    if lengths is not None:  # what stands in the padding is nothing, even if it is no number
        vectors = vectors.masked_fill(torch.arange(25)[None, :, None] >= lengths[:, None, None], float("nan"))
    assert torch.equal(model(inputs_embeds=vectors, lengths=lengths), model(tokens, lengths))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["classes", "tokens", "features"])
@pytest.mark.parametrize("fields", [{}, {"keep_last": 1}, {"keep_last": 0, "replay": "layer"},
                                    {"gradient": "checkpointed"}, {"readout": "pooled", "keep_last": 1},
                                    {"budget_bytes": 10**8}], ids=str)
def test_gradients_of_every_output_are_those_of_bptt(fields, output):
    if output != "classes" and "readout" in fields:
        pytest.skip("a readout belongs to output = classes")
    found = {}
    for name, more in (("bptt", {"gradient": "bptt"} | {key: fields[key] for key in fields if key == "readout"}),
                       ("other", fields)):
        torch.manual_seed(0)
        classes = 0 if output == "features" else 3
        model = RMAAT(replace(CONFIG, output=output, num_classes=classes, dropout=.2, **more)).double()
        vectors = torch.randn(3, 25, 12, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
        torch.manual_seed(2)
        result = model(inputs_embeds=vectors, lengths=torch.tensor([25, 13, 2]))
        weights = torch.linspace(-1, 1, result.numel(), dtype=torch.float64).view_as(result)
        (result.square() * weights).sum().backward()
        found[name] = {"vectors": vectors.grad} | {key: p.grad for key, p in model.named_parameters()}
    assert found["bptt"]["vectors"].any() and not found["bptt"]["vectors"][1, 13:].any()
    for name, grad in found["bptt"].items():
        if grad is None:
            assert found["other"][name] is None, name
        else:
            assert (found["other"][name] - grad).norm() <= RELATIVE * grad.norm(), name


@pytest.mark.parametrize(("given", "message"), [
    ({}, "neither of tokens and inputs_embeds given; give one of them"),
    ({"tokens": tokens_of(5), "inputs_embeds": torch.zeros(3, 5, 12)}, "both of tokens and inputs_embeds given"),
    ({"inputs_embeds": torch.zeros(3, 5, 11)}, r"inputs_embeds has the shape \(3, 5, 11\) .* \[batch, length, 12"),
    ({"inputs_embeds": torch.zeros(3, 5, 12).long()}, "type torch.int64; give floating point numbers"),
    ({"inputs_embeds": torch.zeros(3, 29, 12)}, "a sequence of 29 tokens does not fit num_segments = 4"),
    ({"tokens": torch.full((3, 5), 20)}, "sample 0 of the batch, place 0: token 20 is out of vocabulary"),
    ({"tokens": torch.zeros(3, 5).bool()}, r"type torch.bool; give int64 \(or int32, uint8\)")])
def test_what_cannot_go_in_is_refused(given, message, shapes_unchecked):
    with pytest.raises(UserError, match=message):
        network()(**given)


def test_a_network_of_vectors_alone():
    model = network(vocab_size=0)
    assert model(inputs_embeds=torch.zeros(3, 5, 12)).shape == (3, 3)
    with pytest.raises(UserError, match="vocab_size = 0 allows none; give inputs_embeds"):
        model(tokens_of(5))


# ------------------------------------------------------------------------------------------------ what comes out


def test_the_outputs_are_one_network_seen_at_three_places():
    """Logits a token are the head's of the features; the mean of the last segment's features is what `last` reads."""
    tokens, lengths = tokens_of(25), torch.tensor([25, 25, 9])
    features, labels, classes = (network(output=output, num_classes=0 if output == "features" else 3)
                                 for output in ("features", "tokens", "classes"))
    shared = {name: value for name, value in classes.state_dict().items() if not name.startswith("head.")}
    features.load_state_dict(shared)
    labels.load_state_dict(shared | {f"head.{name}": value for name, value in labels.head.state_dict().items()})
    found = features(tokens, lengths)
    assert found.shape == (3, 25, 12) and labels(tokens, lengths).shape == (3, 25, 3)
    assert not found[2, 9:].any() and not labels(tokens, lengths)[2, 9:].any()
    torch.testing.assert_close(labels(tokens, lengths)[0], labels.head(found[0]), rtol=1e-5, atol=1e-6)
    read = []
    classes.head.register_forward_hook(lambda module, given, out: read.append(given[0][:, :12]))
    classes(tokens, lengths)
    expected = torch.stack([found[0, 21:].mean(0), found[1, 21:].mean(0), found[2, 7:9].mean(0)])
    torch.testing.assert_close(read[0], expected, rtol=1e-5, atol=1e-6)


def test_tokens_beyond_the_longest_sequence_have_a_place_too():
    assert network(output="tokens")(tokens_of(25), torch.tensor([9, 4, 8])).shape == (3, 25, 3)


def test_the_names_of_a_classifiers_tensors_are_as_they_were():
    names = [name for name in network().state_dict() if not name.startswith("blocks.")]
    assert names == ["position", "initial_memory", "embedding.weight", "norm.weight", "norm.bias", "head.weight",
                     "head.bias"]


def test_a_stream_needs_the_logits_of_a_sample():
    with pytest.raises(UserError, match="output = tokens: a stream answers with the logits of a sample"):
        network(output="tokens", retention="leaky").stream()


# ------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(("fields", "message"), [
    ({"attention": "softmax", "rel_pos": "content"},
     "rel_pos = content: attention = softmax reads no rel_pos; leave it out or choose one of: astromorphic"),
    ({"attention": "softmax", "feature_map": "softmax"}, "feature_map .*; .* one of: astromorphic, linear"),
    ({"attention": "linear", "feedback": "bound"}, "feedback = bound: attention = linear reads no feedback"),
    ({"attention": "linear", "calcium_exponent": "1"}, "calcium_exponent = 1: attention = linear"),
    ({"rel_pos": "none", "kernel": "diffusive"}, "rel_pos = none reads no kernel; .*: content, positional"),
    ({"gradient": "checkpointed", "memory_store": "host"}, "gradient = checkpointed reads no memory_store"),
    ({"gradient": "bptt", "budget_bytes": 9}, "budget_bytes = 9: gradient = bptt reads no budget_bytes"),
    ({"output": "tokens", "readout": "pooled"}, "readout = pooled: output = tokens reads no readout; .*: classes"),
    ({"output": "tokens", "unread": "full"}, "unread = full: output = tokens reads no unread"),
    ({"output": "features"}, "num_classes = 3: output = features has no classes; give num_classes = 0"),
    ({"num_classes": 0}, "num_classes = 0: output = classes needs at least one class"),
    ({"num_memory_tokens": 0, "retention": "leaky"}, "num_memory_tokens = 0 leaves nothing to retain"),
    ({"output": "token"}, "unknown output 'token' .did you mean 'tokens'")])
def test_an_option_without_effect_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        replace(CONFIG, **fields)


@pytest.mark.parametrize("fields", [
    {"attention": "softmax", "rel_pos": "none"}, {"num_memory_tokens": 0}, {"readout": "pooled", "unread": "full"},
    {"num_memory_tokens": 0, "retention": "reset"}, {"attention": "linear", "feature_map": "softmax"}], ids=str)
def test_an_option_that_says_what_is_so_anyway_is_not(fields):
    made = replace(CONFIG, **fields)
    assert {name: getattr(made, name) for name in fields} == fields


@pytest.mark.parametrize("rel_pos", ["positional", "content", "none"])
def test_more_rows_than_places_are_refused(rel_pos):
    module = attention(rel_pos=rel_pos)
    assert module(torch.zeros(1, 11, 12), 2).shape == (1, 11, 12)
    with pytest.raises(UserError, match="12 rows, 2 of them memory tokens, do not fit places = 9; build the attention"):
        module(torch.zeros(1, 12, 12), 2)
    with pytest.raises(UserError, match="1 rows, 2 of them memory tokens, do not fit"):
        module(torch.zeros(1, 1, 12), 2)


def test_every_gradient_algorithm_takes_the_network():
    found = []
    for gradient in GRADIENT:
        torch.manual_seed(0)
        model = network(gradient=gradient)
        model(tokens_of(25)).sum().backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: network()(tokens_of(25).numpy()), r"tokens is of type ndarray; give a tensor: torch.as_tensor\(tokens\)"),
    (lambda: network()(tokens_of(25).tolist()), "tokens is of type list"),
    (lambda: network()(tokens_of(25), [25, 25]), "lengths is of type list"),
    (lambda: attention()(torch.zeros(2, 8, 13)), r"shape \(2, 8, 13\) .* shape \[batch, rows, 12\]"),
    (lambda: attention()(torch.zeros(2, 8, 12), -1), "num_memory_tokens = -1: must be at least 0"),
    (lambda: Astromorphic(12, 3, "8"), "places = '8': must be a whole number"),
    (lambda: Astromorphic(12., 3, 8), "width = 12.0: must be a whole number"),
    (lambda: network(dropout="0.1"), "dropout = '0.1'")])
def test_a_newcomers_slip_says_what_to_give(call, message, shapes_unchecked):
    with pytest.raises(UserError, match=message):
        call()
