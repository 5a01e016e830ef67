"""A user's own data: every format read back against its own library, places in errors, splits, arrays, a whole run."""

import csv
import dataclasses
import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks import given as arrays_given
from rmaat.tasks import tables
from rmaat.tasks.checks import DataNote, check_data, check_dials
from rmaat.tasks.files import Files, from_arrays
from rmaat.tasks.overlap import note_what_is_odd
from rmaat.tasks.samples import Samples, divided
from rmaat.tasks.tables import read_table

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
ROWS = [(f"text {k} é\n, \"q\"; {k % 7}" + "x" * (k % 5), "ja" if k % 3 else "nein") for k in range(40)]
TEXTS, LABELS = [text for text, _ in ROWS], [label for _, label in ROWS]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))


def write_csv(path, rows=ROWS, *, header=("text", "label"), encoding="utf-8", **dialect):
    with open(path, "w", newline="", encoding=encoding) as stream:
        csv.writer(stream, **dialect).writerows([header, *rows])
    return path


def write_parquet(path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": TEXTS, "label": LABELS, "more": range(40)}), path)


WRITERS = {
    "a.csv": write_csv, "excel.csv": lambda path: write_csv(path, encoding="utf-8-sig", delimiter=";"),
    "a.tsv": lambda path: write_csv(path, delimiter="\t"),
    "unix.csv": lambda path: write_csv(path, lineterminator="\n"),
    "unicode.csv": lambda path: write_csv(path, encoding="utf-16", delimiter="\t"),
    "a.jsonl": lambda path: path.write_text("\ufeff" + "\r\n\n".join(
        json.dumps({"label": label, "text": text}) for text, label in ROWS) + "\n\n", "utf-8"),
    "a.parquet": write_parquet, "a.npz": lambda path: np.savez_compressed(path, text=TEXTS, label=LABELS),
    "a.npy": lambda path: np.save(path, np.array(ROWS, dtype=[("text", "U60"), ("label", "U9")]))}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_samples(tmp_path, name):
    WRITERS[name](tmp_path / name)
    task = Files(max_length=100).prepared(tmp_path / name)
    assert task.classes == ("ja", "nein") and task.num_classes == 2 and task.vocab_size == 257
    found = {}
    for split in ("train", "validation", "test"):
        samples = check_data(task.split(split, tmp_path / name), split, task)
        batch = samples.batch(np.arange(len(samples)))
        for row, length, label in zip(*(values.tolist() for values in batch), strict=True):
            assert not any(row[length:])
            found[bytes(token - 1 for token in row[:length]).decode("utf-8")] = task.classes[label]
        assert set(samples.sources) == {str(tmp_path / name)}
    assert found == dict(ROWS)


# a lone carriage return: csv itself writes it without the quotes that it needs to be read back
cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=8).filter(str.strip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=6), delimiter=st.sampled_from(",;\t"),
       ending=st.sampled_from(["\n", "\r\n"]), blank=st.sampled_from(["", "\n", "\r\n\r\n"]),
       quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
       mark=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_what_csv_writes_is_read_back(tmp_path, rows, delimiter, ending, blank, quoting, mark):
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows([("a", "b"), *rows])
    path = tmp_path / "t.csv"
    path.write_bytes((made.getvalue() + blank).encode(mark))
    table = read_table(path, ["b", "a"])
    assert list(zip(table.columns["a"], table.columns["b"], strict=True)) == rows


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=80), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
                         st.binary(max_size=40).map(b"text,label\n".__add__), st.just(b"[" * 9_999)),
       ending=st.sampled_from(sorted(tables.READERS)))
@example(content=b"\r\x00", ending=".csv")
@example(content=b"text,label\ra,0\rb,1\r", ending=".csv")
@example(content=b'"' + b"x" * 200_000, ending=".csv")
def test_whatever_a_file_holds_is_read_or_refused_in_own_words(tmp_path, content, ending):
    path = tmp_path / f"hostile{ending}"
    path.write_bytes(content)
    try:
        Files().prepared(path).split("train", path)
    except UserError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.parquet"])
def test_cut_and_flipped_files_are_damage_or_other_values(tmp_path, name):
    WRITERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        for content in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1:]):
            (tmp_path / name).write_bytes(content)
            try:
                Files(max_length=100).prepared(tmp_path / name)
            except UserError as error:
                assert str(tmp_path) in str(error)


class Canary:
    def __reduce__(self):
        return (open, ("canary", "w"))


def test_pickles_are_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = np.array([Canary(), Canary()], dtype=object)
    np.save(tmp_path / "a.npy", hostile, allow_pickle=True)
    np.savez(tmp_path / "a.npz", text=hostile, label=[0, 1])
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Canary()))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Canary()))
    for name in ("a.npy", "a.npz", "b.npy", "b.npz"):
        with pytest.raises(UserError):
            Files().prepared(tmp_path / name)
    assert not (tmp_path / "canary").exists()


def test_a_file_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LARGEST", 10_000)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text.npy", b"\0" * 1_000_000)
    with pytest.raises(UserError, match="unpacks to 1,000,000 bytes"):
        Files().prepared(tmp_path / "a.npz")
    (tmp_path / "a.csv").write_bytes(b"a" * 10_001)
    with pytest.raises(UserError, match="larger than 10,000 bytes"):
        Files().prepared(tmp_path / "a.csv")


@pytest.mark.parametrize(("content", "message"), [
    ("body,label\na,1\n", r"a\.csv, line 1: no column 'text'; it has 'body', 'label'\. Name them with --set task"),
    ("text,label\na,1\nb\n", r"a\.csv, line 3: 1 fields where the header has 2; put quotation marks"),
    ("text,label\n\"a\nb\",1\nc,1,2\n", r"a\.csv, line 4: 3 fields"),
    ("text,label\na,1\n\"b,2\n", r"a\.csv, line 3: unexpected end of data; is a quotation mark left open"),
    ("text,label\na,1\nb,\n", r"a\.csv, line 3, column 'label': nothing stands there \(1 such row"),
    ("text,label\n\n,1\n", r"a\.csv, line 3, column 'text': nothing stands there"),
    ("text,label,text\na,1,b\n", r"a\.csv, line 1: two columns are called 'text'"),
    ("text,label\na,1\nb,1\n", r"a\.csv: all 2 samples have the label '1'; two classes"),
    ("text,label\n", "it holds no row"), ("", "the file is empty"),
    ("text,label\n" + "".join(f"a{k},{k}.5\n" for k in range(60)), "60 different labels in 60 samples"),
    ("text,label\na,1\nb,2\n", "2 samples with 2 different documents leave none for train")])
def test_errors_name_file_line_and_column(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_text(content, "utf-8")
    with pytest.raises(UserError, match=message) as raised:
        Files().split("train", path)
    assert raised.value.exit_code == 2 and type(raised.value) is UserError


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "b"\n', r"a\.jsonl, line 2: no JSON"),
    ("a.jsonl", b'{"text": "a", "label": 1}\n\n[1]\n', r"a\.jsonl, line 3: expected an object"),
    ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "a"}\n', r"a\.jsonl, line 2: no column 'label'; it has 'text'"),
    ("a.jsonl", b'{"text": 5, "label": 1}\n' + b"".join(b'{"text": "%d", "label": 2}\n' % k for k in range(9)),
     r"line 1, column 'text': a text is"),
    ("a.csv", b"text,label\na,1\n\xe4,2\n", r"a\.csv, line 3: not utf-8 \(byte 0xe4\); save the file as UTF-8"),
    ("a.xlsx", b"PK", "its ending says nothing; give a .csv"), ("a", b"", "its ending says nothing")])
def test_errors_of_other_formats(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        for split in ("train", "validation", "test"):
            Files().split(split, tmp_path / name)


def test_missing_rows_can_be_left_out_and_are_counted(tmp_path):
    write_csv(tmp_path / "a.csv", [*ROWS, ("", "ja"), ("x", " ")])
    with pytest.warns(DataNote, match=r"2 row\(s\) without text or label left out, the first: .*a\.csv, line 82"):
        task = Files(missing="skip").prepared(tmp_path / "a.csv")
    assert sum(len(task.split(name, tmp_path / "a.csv")) for name in ("train", "validation", "test")) == 40


def test_no_data_and_bad_dials_are_named(tmp_path):
    with pytest.raises(UserError, match=r"give them with --data; give a \.csv"):
        Files().split("train")
    with pytest.raises(UserError, match=r"cannot read the data file .*nowhere"):
        Files().split("train", tmp_path / "nowhere.csv")
    for fields, message in (({"unit": "words"}, "unknown task.unit 'words'"), ({"test": 0.}, r"task\.test = 0\.0"),
                            ({"validation": .5, "test": .5}, "leave nothing to train"), ({"text": ""}, "name columns"),
                            ({"max_length": 0}, r"task\.max_length = 0"), ({"size": -1}, r"task\.size = -1"),
                            ({"classes": ("a",)}, "name two classes or more"), ({"classes": "b,a, b"}, "each once")):
        with pytest.raises(UserError, match=message):
            Files(**fields)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.csv", b"\x1f\x8b\x08", r"a\.csv: it is packed, whatever its ending says"),
    ("a.csv.gz", b"", r"a\.csv\.gz: it is packed; unpack it first; give a"),
    ("a.csv", "text,label\na,1\n".encode("utf-32"), r"a\.csv, line 1: it has bytes of value 0"),
    ("a.tsv", "text\tlabel\n".encode("utf-16-le"), r"a\.tsv, line 1: it has bytes of value 0")])
def test_what_is_no_plain_text_is_called_so(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        Files().prepared(tmp_path / name)


def test_a_column_that_is_there_twice_is_refused_in_every_format(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table([["a"], ["b"], [1]], names=["text", "text", "label"]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: two columns are called 'text'"):
        Files().prepared(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"'body' is named twice; give each a column of its own"):
        Files(text="body", second="body")
    np.save(tmp_path / "a.npy", np.zeros((9, 3), int))
    with pytest.raises(UserError, match=r"a\.npy: no structured array, whose fields would be the columns"):
        Files().prepared(tmp_path / "a.npy")


def test_vertical_bars_stand_between_columns(tmp_path):
    assert Files().prepared(write_csv(tmp_path / "a.csv", delimiter="|")).classes == ("ja", "nein")


def test_dials_of_another_type_are_named():
    for field, value, message in (("test", "some", "give a number"), ("label", 5, "give a text"),
                                  ("max_length", 8., "give a whole number"), ("size", True, "give a whole number")):
        task = Files()
        object.__setattr__(task, field, value)  # as from a program whose types nobody checks
        with pytest.raises(UserError, match=rf"task\.{field} = {value!r} of task files: {message}"):
            check_dials(task)


# ---------------------------------------------------------------------------------------------- units, labels, splits


def test_a_label_is_the_same_from_whatever_file(tmp_path):
    """As programs write truth values and whole numbers, which is not the same in all formats."""
    for name, labels, classes in (("flags", ("True", "FALSE"), ("false", "true")),
                                  ("points", ("1.0", "0.00"), ("0", "1"))):
        folder = tmp_path / name
        folder.mkdir()
        write_csv(folder / "train.csv", [(f"a{k}", labels[k % 2]) for k in range(20)])
        plain = (True, False) if name == "flags" else (1, 0)
        (folder / "test.jsonl").write_text("".join(json.dumps({"text": f"b{k}", "label": plain[k % 2]}) + "\n"
                                                   for k in range(4)))
        task = Files(classes=labels).prepared(folder)
        assert sorted(task.classes) == sorted(classes) == sorted(Files().prepared(folder).classes)
        assert task.split("test", folder).labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("label", ["[1]", '{"a": 1}', "Infinity", "-Infinity"])
def test_what_is_no_label_is_refused_with_its_place(tmp_path, label):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "a{k}", "label": {label if k == 6 else k % 2}}}\n'
                                              for k in range(9)))
    with pytest.raises(UserError, match=r"a\.jsonl, line 7, column 'label': a label is one text or number, found"):
        Files().prepared(tmp_path / "a.jsonl")
    np.savez(tmp_path / "a.npz", text=[f"a{k}" for k in range(9)], label=np.eye(9)[[k % 2 for k in range(9)]])
    with pytest.raises(UserError, match=r"a\.npz, row 1, column 'label': a label is one text or number, found ndarray"):
        Files().prepared(tmp_path / "a.npz")


def test_a_list_without_tokens_is_a_missing_document(tmp_path):
    path = write_csv(tmp_path / "a.csv", [*((f"{k} 1", k % 2) for k in range(30)), ("[]", 1)])
    with pytest.raises(UserError, match=r"a\.csv, line 32, column 'text': nothing stands there \(1 such row"):
        Files(unit="tokens").prepared(path)
    with pytest.warns(DataNote, match=r"1 row\(s\) without text or label left out"):
        assert Files(unit="tokens", missing="skip").prepared(path).size == 30


def test_equal_tokens_written_otherwise_share_a_split_and_pairs_are_told_by_what_they_hold(tmp_path, recwarn):
    rows = [(f"{k} 7", f"{k}", k % 2) for k in range(30)] + [(f"[{k},  7]", f"[{k}]", k % 2) for k in range(30)]
    path = write_csv(tmp_path / "a.csv", rows, header=("text", "other", "label"))
    for second in ("", "other"):
        task = Files(unit="tokens", second=second).prepared(path)
        note_what_is_odd({name: task.split(name, path) for name in ("train", "validation", "test")}, task)
    assert not [note for note in recwarn if "in train, too" in str(note.message)]
    keys = {name: {task.split(name, path).key(k) for k in range(2)} for name in ("train", "test")}
    assert not keys["train"] & keys["test"]


def test_labels_that_train_lacks_are_said(tmp_path):
    write_csv(tmp_path / "train.csv", [(f"a{k}", "xy"[k % 2]) for k in range(20)])
    write_csv(tmp_path / "test.csv", [(f"b{k}", "xyz"[k % 3]) for k in range(7)])
    task = Files().prepared(tmp_path)
    with pytest.warns(DataNote, match=r"2 of the 7 samples of test have a label that none of train has, the first 2"):
        note_what_is_odd({name: task.split(name, tmp_path) for name in ("train", "validation", "test")}, task)


def test_numbers_as_labels_are_sorted_as_numbers(tmp_path):
    rows = [(f"t{k}", (10, 9, 2)[k % 3]) for k in range(30)]
    assert Files().prepared(write_csv(tmp_path / "a.csv", rows)).classes == ("2", "9", "10")
    np.savez(tmp_path / "a.npz", text=[text for text, _ in rows], label=np.array([label for _, label in rows], float))
    assert Files().prepared(tmp_path / "a.npz").classes == ("2", "9", "10")
    assert Files(classes="10, 9,2").prepared(tmp_path / "a.csv").classes == ("10", "9", "2")
    with pytest.raises(UserError, match=r"a\.csv, line \d+, column 'label': '2' is none of the classes 10, 9"):
        Files(classes=("10", "9")).split("train", tmp_path / "a.csv")


def test_characters_are_those_of_the_training_data(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(f"äb{'ω' if k == 7 else 'c'}{k}", k % 2) for k in range(30)])
    task = Files(unit="characters").prepared(path)
    seen = {}
    for name in ("train", "validation", "test"):
        split = task.split(name, path)
        seen[name] = [split.sample(k).tolist() for k in range(len(split))]
    told = {name: {"".join(task.characters[c - 2] if c > 1 else "?" for c in row) for row in rows}
            for name, rows in seen.items()}
    assert set(task.characters) == set("".join(told["train"])) and task.vocab_size == len(task.characters) + 2
    assert all(len(text) in (4, 5) and text.startswith("äb") for texts in told.values() for text in texts)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.npz"])
def test_tokens_can_be_given(tmp_path, name):
    tokens = [[k, 3, 0, (5 * k) % 31] for k in range(30)]
    labels = [k % 3 for k in range(30)]
    if name == "a.csv":
        write_csv(tmp_path / name, zip((" ".join(map(str, row)) for row in tokens), labels, strict=True))
    elif name == "a.jsonl":
        (tmp_path / name).write_text("\n".join(json.dumps({"text": row, "label": label})
                                               for row, label in zip(tokens, labels, strict=True)))
    else:
        np.savez(tmp_path / name, text=np.array(tokens, np.uint16), label=labels)
    task = Files(unit="tokens").prepared(tmp_path / name)
    assert task.vocab_size == 31 and task.classes == ("0", "1", "2")
    train = task.split("train", tmp_path / name)
    assert all(train.sample(k).tolist() in tokens for k in range(len(train)))


@pytest.mark.parametrize(("text", "message"), [("[1, -2]", "token -2 is not in"), ("[1.5]", "a list of whole numbers"),
                                               ('"a b"', "whole numbers with blanks"), ("[[1], [2, 3]]", "a list of"),
                                               ("[99999999999999999999]", "a list of"), ('{"a": 1}', "a list of")])
def test_what_is_no_token_is_refused_with_its_place(tmp_path, text, message):
    lines = [f'{{"text": [1, {k}], "label": {k % 2}}}' for k in range(20)]
    lines[12] = f'{{"text": {text}, "label": 1}}'
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=message):
        Files(unit="tokens").prepared(tmp_path / "a.jsonl")


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.sampled_from([f"t{k}" for k in range(40)]), min_size=20, max_size=60), seed=st.integers(0, 9),
       order=st.randoms())
def test_equal_documents_share_a_split_whatever_the_order(texts, seed, order):
    def assigned(documents):
        samples = Samples((documents,), ["x"] * len(documents), [None] * len(documents), [])
        found = divided(samples, validation=.2, test=.2, seed=seed)
        assert all(len({name for text, name in zip(documents, found, strict=True) if text == one}) == 1
                   for one in set(documents))
        return dict(zip(documents, found, strict=True)), found

    if len(set(texts)) < 6:
        return
    once, found = assigned(texts)
    shuffled = texts[:]
    order.shuffle(shuffled)
    assert {found.count(name) > 0 for name in ("train", "validation", "test")} == {True}
    most = max(texts.count(text) for text in texts)
    assert .2 * len(texts) - 1 <= found.count("test") <= .2 * len(texts) + most
    assert set(once) == set(assigned(shuffled)[0])


def test_own_files_and_an_own_column_say_the_split(tmp_path):
    for name, rows in (("train.csv", ROWS[:30]), ("dev.csv", ROWS[30:34]), ("test.csv", ROWS[34:])):
        write_csv(tmp_path / name, rows)
    sizes = {name: len(Files().split(name, tmp_path)) for name in ("train", "validation", "test")}
    assert sizes == {"train": 30, "validation": 4, "test": 6}
    (tmp_path / "dev.csv").unlink()
    assert [len(Files().split(name, tmp_path)) for name in ("train", "validation", "test")] == [27, 3, 6]
    write_csv(tmp_path / "test.tsv", ROWS, delimiter="\t")
    with pytest.raises(UserError, match=r"test\.csv and test\.tsv are both of the test split"):
        Files().split("train", tmp_path)
    path = write_csv(tmp_path / "all.csv", [(*row, ("train", "VAL", "test")[k % 3]) for k, row in enumerate(ROWS)],
                     header=("text", "label", "part"))
    task = Files(split_column="part")
    assert [len(task.split(name, path)) for name in ("train", "validation", "test")] == [14, 13, 13]
    write_csv(path, [(*row, "held-out") for row in ROWS], header=("text", "label", "part"))
    with pytest.raises(UserError, match=r"all\.csv, line 2, column 'part': 'held-out' is no split"):
        task.split("train", path)


def test_two_documents_a_sample(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(f"q{k}", f"answer {k}", k % 2) for k in range(20)],
                     header=("question", "answer", "label"))
    task = Files(text="question", second="answer").prepared(path)
    split = check_data(task.split("train", path), "train", task)
    batch = split.batch(np.array([2, 0]))
    texts = [bytes(t - 1 for t in row[:length]).decode() for row, length in zip(
        batch.tokens.tolist(), batch.lengths.tolist(), strict=True)]
    assert task.documents == 2 and len(texts) == 4
    assert [text[1:] for text in texts[:2]] == [text.removeprefix("answer ") for text in texts[2:]]


def test_long_documents_are_cut_and_said(tmp_path):
    path = write_csv(tmp_path / "a.csv")
    with pytest.warns(DataNote, match=r"\d+ of 32 documents of train are longer than task.max_length = 9 and are cut"):
        split = Files(max_length=9).split("train", path)
    assert max(len(split.sample(k)) for k in range(32)) == 9


# ---------------------------------------------------------------------------------------------- arrays


def test_arrays_are_a_task_that_another_session_finds_again(monkeypatch):
    tokens, labels = np.arange(120).reshape(40, 3) % 50, np.array(["a", "b"] * 20)
    task = from_arrays(tokens, labels, seed=3)
    assert (task.unit, task.vocab_size, task.classes, task.seed) == ("tokens", 50, ("a", "b"), 3)
    train = check_data(task.split("train"), "train", task)
    monkeypatch.setattr(arrays_given, "_GIVEN", {})
    again = task.split("train")
    assert np.array_equal(again.tokens, train.tokens) and np.array_equal(again.labels, train.labels)
    assert sorted(train.sample(k).tolist() for k in range(len(train)))[0] in tokens.tolist()
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", "nowhere")
    monkeypatch.setattr(arrays_given, "_GIVEN", {})
    with pytest.raises(UserError, match="neither of this session nor in the cache; call"):
        task.split("train")


def test_texts_bytes_pairs_and_own_splits_as_lists(monkeypatch):
    splits = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    for documents in ([f"té{k}" for k in range(10)], [f"té{k}".encode() for k in range(10)]):
        task = from_arrays(documents, [k % 2 for k in range(10)], splits=splits, second=documents[::-1])
        monkeypatch.setattr(arrays_given, "_GIVEN", {})
        batch = task.split("test").batch(np.array([0]))
        assert [bytes(t - 1 for t in row).decode() for row in batch.tokens.tolist()] == ["té8", "té1"]
        assert [len(task.split(name)) for name in ("train", "validation", "test")] == [6, 2, 2]


def test_texts_amid_bytes_are_found_again(monkeypatch):
    documents = [f"té{k}" if k % 3 else b"\xff%d" % k for k in range(30)]
    task = from_arrays(documents, [k % 2 for k in range(30)])
    once = task.split("train")
    monkeypatch.setattr(arrays_given, "_GIVEN", {})
    again = task.split("train")
    assert np.array_equal(once.tokens, again.tokens) and np.array_equal(once.labels, again.labels)


def test_arrays_of_other_libraries_are_arrays():
    import torch

    tokens, labels = torch.arange(120).reshape(40, 3) % 50, torch.arange(40) % 2
    for column in (labels, labels.numpy(), labels > 0, (float(label) for label in labels)):
        assert from_arrays(tokens, column).classes in (("0", "1"), ("false", "true"))


@pytest.mark.parametrize(("fields", "message"), [
    ({"documents": "abcdef"}, "documents are a str; give a list"), ({"labels": {}}, "labels are a dict"),
    ({"documents": [*"abcde", None]}, "sample 5 has no text"), ({"documents": [*"abcde", 6]}, "sample 5: a text is"),
    ({"second": [None] * 6}, "sample 0 has no text"), ({"labels": np.eye(6)}, "labels, sample 0: a label is one text"),
    ({"splits": ["test"] * 6, "unit": "characters"}, "none of the 6 samples is said to be of train"),
    ({"unit": "words"}, "unknown unit 'words'"),
    ({"length": 5}, "unknown dial of from_arrays 'length'"), ({"arrays": "x"}, "unknown dial of from_arrays 'arrays'")])
def test_mistakes_in_calls_are_named(fields, message):
    with pytest.raises(UserError, match=message):
        from_arrays(**{"documents": [*"abcdef"], "labels": [0, 1] * 3} | fields)


@pytest.mark.parametrize(("arguments", "message"), [
    ((["a", "b"], [1]), "2 documents and 1 labels"), (([], []), "no document"),
    ((["a", ""], [1, 2]), "sample 1 has no"),
    ((np.ones((4, 3)), [0, 1, 0, 1]), "sample 0: a list of whole numbers"),
    (([[1], [-1]], [0, 1]), "sample 1: token -1"),
    ((["a"] * 9, [1] * 9), "two classes are needed")])
def test_arrays_that_are_none_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        from_arrays(*arguments)


@pytest.mark.slow
def test_a_whole_run_keeps_its_classes_and_goes_on_without_being_told_of_them(tmp_path):
    from rmaat import change, evaluate, load_run, train
    from rmaat.training.configs import find_experiment

    path = write_csv(tmp_path / "mails.csv", [(("win cash " if k % 3 else "team plan ") * 3 + str(k),
                                               "spam" if k % 3 else "ham") for k in range(60)], header=("body", "kind"))
    changes = {"task.text": "body", "task.label": "kind", "task.max_length": 30, "model.segment_length": 15,
               "train.steps": 4, "train.evaluate_every": 2, "train.checkpoint_every": 2, "model.width": 8,
               "model.heads": 1}
    result = train("files", tmp_path / "run", changes=changes, data=path, quiet=True)
    assert load_run(tmp_path / "run").run.experiment.task.classes == ("ham", "spam")
    again = train("files", tmp_path / "run", changes=changes, resume=True, quiet=True)
    assert again.accuracy == result.accuracy == evaluate(tmp_path / "run").accuracy
    path.write_text(path.read_text().replace("win", "won"))
    with pytest.raises(UserError, match="is not what the run was trained with"):
        evaluate(tmp_path / "run")
    task = from_arrays(np.arange(120).reshape(40, 3) % 7, np.arange(40) % 3)
    base = change(find_experiment("files_small"), {"task": task, "model.segment_length": 3, "train.steps": 2})
    assert train(base, tmp_path / "arrays", quiet=True).run.experiment.model.num_classes == 3


def test_damage_is_damage(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError, match="no whole Parquet file"):
        Files().prepared(tmp_path / "a.parquet")


# ---------------------------------------------------------------------------------------------- the page


@pytest.mark.slow
def test_the_page_on_own_data_is_true(tmp_path, monkeypatch):
    """Its programs and commands, in order and in one folder."""
    from typer.testing import CliRunner

    from rmaat.__main__ import app

    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(python|bash)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "bash", "python"]
    shown = {}
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), {"__name__": "__main__"})
        for line in text.splitlines() if kind == "bash" else ():
            words = line.removeprefix("python -m rmaat ").split()
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, (line, done.output, done.exception)
            shown[words[0]] = done.stdout
    assert "files, train: 96 samples" in shown["data"] and "majority 5" in shown["data"]
    assert (tmp_path / "runs" / "mails" / "result.json").is_file() and (tmp_path / "runs" / "arrays").is_dir()


def test_the_page_names_every_format_and_every_dial():
    page = PAGE.read_text("utf-8")
    assert [ending for ending in tables.READERS if f"`{ending}`" not in page] == []
    found = {"arrays", "characters", "size"}  # what the data decide, no dials
    assert [field.name for field in dataclasses.fields(Files) if f"`task.{field.name}`" not in page
            and field.name not in found] == []
