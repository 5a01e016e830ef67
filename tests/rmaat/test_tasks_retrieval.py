"""Retrieval: official pairs, two documents through one network; AMRB's gradient is BPTT's; a stream answers alike."""

import dataclasses
import hashlib
import warnings

import numpy as np
import pytest
import torch
from twins import pack, write_pairs

from foundation.errors import DamagedFileError, UserError
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.tasks.checks import DataNote, check_data
from rmaat.tasks.documents import PairSplit, lines_of
from rmaat.tasks.retrieval import NAMES, Retrieval
from rmaat.training.configs import find_experiment
from rmaat.training.trainer import train


@pytest.fixture(autouse=True)
def few_pairs(tmp_path, monkeypatch):
    """A cache of the test's own; that the twins hold fewer pairs than the release is known here."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        yield


def pairs_of(split):
    """(label, first, second) of all samples, through `batch`."""
    tokens, lengths, labels = split.batch(np.arange(len(split)))
    assert (tokens[np.arange(tokens.shape[1]) >= lengths[:, None].numpy()] == 0).all()
    texts = [bytes((row[:length] - 1).tolist()).decode() for row, length in zip(tokens.numpy(), lengths, strict=True)]
    return list(zip(labels.tolist(), texts[:len(labels)], texts[len(labels):], strict=True))


@pytest.mark.parametrize("place", ["", "tsv_data", "lra_release/lra_release/tsv_data"])
def test_pairs_are_read_as_released(tmp_path, place):
    made, task = write_pairs(tmp_path / place), Retrieval()
    for name, file in NAMES.items():
        split = task.split(name, tmp_path)
        assert pairs_of(split) == made[file]
        check_data(split, name, task)
    assert len(split.offsets) - 1 < 3 * 24, "a document that comes again is kept once"
    files = sorted((tmp_path / place).glob("*.tsv"))
    lines = "".join(sorted(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files))
    assert split.sources == {str(tmp_path / place): hashlib.sha256(lines.encode()).hexdigest()}


@pytest.mark.parametrize("end", [b"\n", b"\r\n\r\n", b"   \n"])
def test_a_mark_windows_line_ends_and_blank_lines_at_the_end_are_forgiven(tmp_path, end):
    made = write_pairs(tmp_path)
    for path in tmp_path.glob("*.tsv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + end)
    for name, file in NAMES.items():
        assert pairs_of(Retrieval().split(name, tmp_path)) == made[file]


@pytest.mark.parametrize("archive", ["lra_release.tar.gz", "new_aan_pairs.zip"])
def test_pairs_from_an_archive_and_cut_to_max_length(tmp_path, archive):
    made = write_pairs(tmp_path / "tsv_data")
    path = pack(tmp_path / "tsv_data", tmp_path / archive)
    split = Retrieval(max_length=9).split("validation", path)
    assert pairs_of(split) == [(label, one[:9], other[:9]) for label, one, other in made["eval"]]
    assert split.sources == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_lines_do_not_depend_on_the_portions(size):
    content = b"\xef\xbb\xbfone\r\n\ntwo\r\nthree" * 2 + b"\r\n"
    view = memoryview(content)

    def read(at_most):
        nonlocal view
        part, view = view[:min(size, at_most)], view[min(size, at_most):]
        return bytes(part)

    assert list(lines_of(read, "a file")) == content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").encode(
        ).split(b"\n")


@pytest.mark.parametrize(("line", "error", "words"), [
    ("1.0\ta\tb\tone", DamagedFileError, "line 5: 4 fields between tabs; expected 5"),
    ("0.5\ta\tb\tone\ttwo", DamagedFileError, "line 5: the label '0.5' is neither 0 nor 1"),
    ("nan\ta\tb\tone\ttwo", DamagedFileError, "line 5: the label 'nan'"),
    ("1.0\ta\tb\tone\t", UserError, "line 5, column 5: the document is empty")])
def test_a_wrong_line_is_named(tmp_path, line, error, words):
    write_pairs(tmp_path)
    path = tmp_path / "new_aan_pairs.eval.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], line, *lines[4:]]))
    with pytest.raises(error, match=rf"new_aan_pairs\.eval\.tsv, {words}"):
        Retrieval().split("train", tmp_path)


def test_what_is_missing_is_named(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "new_aan_pairs.test.tsv").unlink()
    with pytest.raises(UserError, match=r"no new_aan_pairs\.test\.tsv in .*lra_release\.gz"):
        Retrieval().split("train", tmp_path)
    with pytest.raises(UserError, match=r"no new_aan_pairs\.\{train,eval,test\}\.tsv \(lra_release"):
        Retrieval().split("train", tmp_path / "nowhere")
    (tmp_path / "new_aan_pairs.test.tsv").touch()
    with pytest.raises(DamagedFileError, match=r"no line in it"):
        Retrieval().split("train", tmp_path)


# ---------------------------------------------------------------------------------------------- the network


SMALL = ModelConfig(vocab_size=30, num_classes=3, segment_length=5, num_segments=4, width=6, heads=2, layers=2,
                    num_memory_tokens=3, documents=2)


def batch(samples=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 18, (2 * samples,), generator=generator)
    return torch.randint(30, (2 * samples, 17), generator=generator).clamp_max(29), lengths.clamp_max(17)


def network(**changes):
    torch.manual_seed(3)
    return RMAAT(dataclasses.replace(SMALL, **changes)).double()


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["last", "pooled"])
def test_logits_are_those_of_each_pair_alone_and_of_the_formula(readout):
    tokens, lengths = batch()
    model, one = network(readout=readout), network(readout=readout, documents=1)
    with torch.no_grad():
        logits = model(tokens, lengths)
        assert logits.shape == (5, 3)
        one.load_state_dict({name: value for name, value in model.state_dict().items() if "head" not in name},
                            strict=False)
        one.head = torch.nn.Identity()  # what the classifier of one document would read
        read = one(tokens, lengths)
        x, y = read[:5], read[5:]
        (W, b), (V, c) = ((layer.weight, layer.bias) for layer in (model.head.mix, model.head.out))
        z = torch.cat([x, y, x * y, x - y], 1) @ W.T + b
        expected = (z * .5 * (1 + torch.erf(z / 2**.5))) @ V.T + c
        # two ways of one computation in float64; logits are of size 1
        assert torch.allclose(logits, expected, rtol=0, atol=1e-12)
        for sample in range(5):
            rows = [sample, sample + 5]
            alone = model(tokens[rows, :int(lengths[rows].max())], lengths[rows])
            assert torch.allclose(alone, logits[sample:sample + 1], rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("keep_last", [1, 3])
def test_the_gradient_of_amrb_is_that_of_bptt(keep_last):
    tokens, lengths = batch()
    labels, gradients = torch.tensor([0, 1, 2, 1, 0]), []
    for changes in ({"gradient": "bptt"}, {"gradient": "amrb", "keep_last": keep_last}):
        model = network(**changes)
        torch.nn.functional.cross_entropy(model(tokens, lengths), labels).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert all(gradients[0][name].abs().max() > 0 for name in ("head.mix.weight", "embedding.weight", "initial_memory"))
    for name, expected in gradients[0].items():
        # float64 to rounding: sums in another order
        assert torch.allclose(gradients[1][name], expected, rtol=1e-9, atol=1e-12), name


def test_a_stream_of_pairs_answers_as_the_network_does():
    tokens, _ = batch(2)
    model = network().eval()
    stream = model.stream(4, num_segments=4)
    for start in range(0, 17, 3):
        stream.feed(tokens[:, start:start + 3])
    with torch.no_grad():
        # a batch of whole segments beside one of portions: the same sums, to rounding of float64
        assert torch.allclose(stream.answer(), model(tokens), rtol=0, atol=1e-12)
    with pytest.raises(UserError, match="3 sequences with documents = 2"):
        model.stream(3, num_segments=4)
    with pytest.raises(UserError, match="9 sequences with documents = 2"):
        model(tokens.new_zeros(9, 4))


def test_documents_are_one_or_two_and_follow_from_the_task():
    for changes in ({"documents": 3}, {"output": "tokens"}):
        with pytest.raises(UserError, match=r"documents = \d with output"):
            dataclasses.replace(SMALL, **changes)
    assert find_experiment("retrieval").model.documents == 2
    assert find_experiment("recall", ["task=retrieval"]).model.documents == 2
    with pytest.raises(UserError, match=r"model\.documents cannot be set: it follows from the task"):
        find_experiment("retrieval", ["model.documents=1"])


def test_a_split_whose_batch_is_of_single_documents_is_refused():
    task = Retrieval()
    split = PairSplit(np.arange(8, dtype=np.uint8), np.array([0, 3, 8]), np.array([[0, 1], [1, 0]]), np.array([0, 1]))
    check_data(split, "test", task)

    class Single(PairSplit):
        def batch(self, indices):
            tokens, lengths, labels = super().batch(indices)
            return type(super().batch(indices))(tokens[:len(labels)], lengths[:len(labels)], labels)

    with pytest.raises(UserError, match=r"give \[2 \* batch, length\], \[2 \* batch\] and \[batch\]"):
        check_data(Single(split.tokens, split.offsets, split.pairs, split.labels), "test", task)


@pytest.mark.slow
def test_retrieval_trains_resumes_and_evaluates_from_official_files(tmp_path):
    write_pairs(tmp_path / "data", 40)
    changes = ["train.steps=4", "train.evaluate_every=2", "train.checkpoint_every=2", "task.max_length=96",
               "model.segment_length=32", "model.width=8"]
    result = train("retrieval_small", tmp_path / "run", changes=changes, data=tmp_path / "data", quiet=True)
    assert {row.samples for row in result.evaluation.rows} == {40}
    again = train("retrieval_small", tmp_path / "run", changes=changes, data=tmp_path / "data", quiet=True, resume=True)
    assert again.accuracy == result.accuracy
    assert list(result.run.environment["read"]) == [str(tmp_path / "data")]
