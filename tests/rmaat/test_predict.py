"""`rmaat predict`: labels and probabilities of a run's splits and of new data, against the network asked one by one."""

import csv
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import rmaat
from foundation.errors import UserError
from rmaat.__main__ import app
from rmaat.tasks.files import from_arrays
from rmaat.training.configs import find_experiment

WORDS = {"spam": ("win", "cash", "now"), "ham": ("team", "plan", "week")}
QUICK = {"train.steps": 25, "train.batch_size": 16, "model.width": 16, "model.segment_length": 16}


def rows(count, seed=0):
    """Texts of four words of one class, with that class."""
    rng = np.random.default_rng(seed)
    return [(" ".join(rng.choice(WORDS[kind], 4)), kind) for kind in rng.choice(sorted(WORDS), count)]


def write(path, header, lines):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return path


def trained(folder, data, **dials):
    dials = {f"task.{name}": value for name, value in {"text": "body", "label": "kind", **dials}.items()}
    base = rmaat.change(find_experiment("files_small"), {**QUICK, "task.max_length": 48, **dials})
    return rmaat.train(base, folder, data=data, device="cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    return trained(folder / "run", write(folder / "mails.csv", ("body", "kind"), rows(160)))


def alone(result, texts):
    """The network's probabilities, each text by itself, its bytes numbered from 1."""
    model, found = result.model(), []
    with torch.no_grad():
        for text in texts:
            tokens = torch.tensor([[byte + 1 for byte in text.encode()][:48]])
            found.append(model(tokens)[0].double().softmax(0).numpy())
    return np.array(found)


def test_a_split_is_answered_in_its_order(run):
    found = rmaat.predict(run)
    split = run.run.experiment.task.split("test", run.run.data)
    assert found.known == tuple(("ham", "spam")[label] for label in split.all_labels())
    right = np.mean([said == known for said, known in zip(found.labels, found.known, strict=True)])
    assert right == rmaat.evaluate(run, controls=False).accuracy > .9
    assert found.places[3] == "test 3" and len(found) == len(split)
    model = run.model()
    with torch.no_grad():
        for index in range(len(split)):
            tokens, lengths, _ = split.batch(np.array([index]))
            expected = model(tokens, lengths)[0].double().softmax(0).numpy()
            np.testing.assert_allclose(found.probabilities[index], expected, atol=1e-5)
    assert rmaat.predict(run, split="train").places[-1] == f"train {len(rmaat.predict(run, split='train')) - 1}"


@pytest.mark.parametrize("labelled", [False, True])
def test_new_data_need_no_labels(run, tmp_path, labelled):
    texts = [text for text, _ in rows(150, seed=1)] + ["größer\nals", "x" * 99]  # more than a batch; one is cut
    new = write(tmp_path / "new.csv", ("body", "kind") if labelled else ("body",),
                [(text, "of no class") if labelled else (text,) for text in texts])
    with pytest.warns(UserWarning, match="1 of 152 documents of what is to be predicted are longer than"):
        found = rmaat.predict(run, new)
    assert found.known == () and found.places[0] == f"{new}, line 2" and found.classes == ("ham", "spam")
    np.testing.assert_allclose(found.probabilities, alone(run, texts), atol=1e-5)
    with pytest.warns(UserWarning, match="are cut"):
        listed = rmaat.predict(run, texts)
    np.testing.assert_array_equal(listed.probabilities, found.probabilities)
    assert listed.places[:2] == ("sample 0", "sample 1") and "152 samples" in str(listed)


def test_columns_of_other_names_and_rows_without_a_text(run, tmp_path):
    new = tmp_path / "new.jsonl"
    new.write_text('{"mail": "win cash", "n": 1}\n\n{"mail": "team plan", "n": 2}\n', "utf-8")
    found = rmaat.predict(run, new, settings=["task.text=mail"])
    assert found.places == (f"{new}, line 1", f"{new}, line 3")
    np.testing.assert_allclose(found.probabilities, alone(run, ["win cash", "team plan"]), atol=1e-5)
    new.write_text('{"body": "win"}\n{"body": ""}\n{"body": "team"}\n', "utf-8")
    with pytest.raises(UserError, match=r"new\.jsonl, line 2, column 'body': nothing stands there"):
        rmaat.predict(run, new)


def test_rows_left_out_leave_the_others_in_their_place(tmp_path):
    result = trained(tmp_path / "run", write(tmp_path / "mails.csv", ("body", "kind"), rows(60)), missing="skip",
                     unit="characters")
    new = write(tmp_path / "new.csv", ("n", "body"), [(1, "win ß"), (2, ""), (3, "plan")])
    with pytest.warns(UserWarning, match="without text left out, the first: "):
        found = rmaat.predict(result, new)
    assert found.places == (f"{new}, line 2", f"{new}, line 4")
    known = result.run.experiment.task.characters
    model = result.model()
    for text, shares in zip(("win ß", "plan"), found.probabilities, strict=True):
        tokens = torch.tensor([[known.index(c) + 2 if c in known else 1 for c in text]])
        np.testing.assert_allclose(shares, model(tokens)[0].detach().double().softmax(0).numpy(), atol=1e-5)


def test_pairs_and_given_tokens(tmp_path):
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, 9, (2, 80, 6))
    task = from_arrays(one, np.where(one[:, 0] > other[:, 0], "more", "less"), second=other)
    base = rmaat.change(find_experiment("files_small"), {"task": task, **QUICK, "train.steps": 3})
    result = rmaat.train(base, tmp_path / "run", device="cpu")
    found = rmaat.predict(result, np.stack([one, other], 1)[:5])
    assert found.labels == rmaat.predict(result, list(zip(one[:5], other[:5], strict=True))).labels
    model = result.model()
    with torch.no_grad():
        for shares, left, right in zip(found.probabilities, one, other, strict=False):
            expected = model(torch.from_numpy(np.stack([left, right])))[0].double().softmax(0).numpy()
            np.testing.assert_allclose(shares, expected, atol=1e-5)
    for documents, message in (([one[0]], r"sample 0: two documents are compared; give a pair for each"),
                               ([(one[0], other[0]), 7], r"sample 1: two documents are compared"),
                               ([([1, 2], [1, 9])], r"sample 0: token 9 is not in 0\.\.8")):
        with pytest.raises(UserError, match=message):
            rmaat.predict(result, documents)


def test_the_verb_writes_every_answer(run, tmp_path):
    new = write(tmp_path / "new.csv", ("body",), [(text,) for text, _ in rows(30, seed=2)])

    def said(*words):
        done = CliRunner().invoke(app, ["predict", str(run.run.folder), *map(str, words)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    text = said("--data", new, "--out", tmp_path / "answers.csv")
    assert "30 samples" in text and "the first 20" in text and f"all of them in {tmp_path / 'answers.csv'}" in text
    with open(tmp_path / "answers.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    found = rmaat.predict(run, new)
    assert [row["label"] for row in table] == list(found.labels) and list(table[0]) == [
        "sample", "label", "p(ham)", "p(spam)"]
    shares = np.array([[float(row["p(ham)"]), float(row["p(spam)"])] for row in table])
    np.testing.assert_allclose(shares, found.probabilities, atol=5e-7)
    said("--out", tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    own = rmaat.predict(run)
    assert [line["label"] for line in lines] == list(own.labels)
    assert [line["known"] for line in lines] == list(own.known)
    body = json.loads(said("--data", new, "--json"))
    assert body["samples"] == found.rows() and sum(body["counts"].values()) == 30


@pytest.mark.parametrize(("options", "message"), [
    ({"data": ["win"], "split": "test"}, "a list of documents is new data, and has no splits"),
    ({"data": []}, "no document is given"), ({"data": [3]}, "documents, sample 0: a text is expected, found int"),
    ({"data": ["win", ""]}, "documents, sample 1: nothing stands there"), ({"data": "nowhere.csv"}, "nowhere.csv"),
    ({"data": ".", }, "is a folder; give one file"), ({"split": "dev"}, "unknown split 'dev'"),
    ({"settings": ["task.text=x"]}, "columns are named of new data"),
    ({"data": ["win"], "settings": ["task.max_length=5"]}, "what may be named anew is task.text, task.second"),
    ({"data": ["win"], "device": "tpu"}, "unknown device 'tpu'")])
def test_what_cannot_be_answered_is_refused(run, options, message):
    with pytest.raises(UserError, match=message):
        rmaat.predict(run, **options)


def test_other_tasks_answer_their_splits(tmp_path):
    tiny = {"train.steps": 2, "train.batch_size": 4, "train.evaluate_samples": 8, "train.test_samples": 8}
    base = rmaat.change(find_experiment("recall"), {**tiny, "task.num_segments": 2, "segment_length": 16})
    result = rmaat.train(base, tmp_path / "run", device="cpu")
    found = rmaat.predict(result, split="validation")
    assert len(found) == 1_000 and set(found.known) <= set("0123456789") == set(found.classes)
    with pytest.raises(UserError, match="task recall reads no samples without labels; give one of its splits"):
        rmaat.predict(result, "new.csv")
    with pytest.raises(UserError, match=r"the ending says the format; give a file that ends in \.csv or \.jsonl"):
        found.write(tmp_path / "answers.txt")


def test_a_label_for_each_token_and_answers_that_are_no_numbers(run, tmp_path, monkeypatch):
    (tmp_path / "tale.txt").write_text("Once upon a time. " * 40, "utf-8")
    base = rmaat.change(find_experiment("next_byte"), {"train.steps": 1, "train.batch_size": 2, "task.length": 32,
                                                       "train.evaluate_samples": 2, "model.segment_length": 16})
    result = rmaat.train(base, tmp_path / "run", data=tmp_path / "tale.txt", device="cpu")
    with pytest.raises(UserError, match="task next_byte has a label for each token"):
        rmaat.predict(result)
    from rmaat.training import prediction

    load = prediction.load_model

    def diverged(*arguments):
        model, step = load(*arguments)
        with torch.no_grad():
            model.head.weight.fill_(float("nan"))
        return model, step

    monkeypatch.setattr(prediction, "load_model", diverged)
    with pytest.raises(UserError, match="answers are no numbers; its training has diverged"):
        rmaat.predict(run)
