"""`rmaat data list|fetch|show`: where data are, how they come, what they look like; docs/tasks.md names every task."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from twins import pack, write_images, write_pairs, write_reviews
from typer.testing import CliRunner

from foundation.errors import UserError
from rmaat.__main__ import app
from rmaat.tasks.checks import check_task
from rmaat.tasks.look import picture, text
from rmaat.tasks.recall import Recall
from rmaat.tasks.registry import TASKS

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """`data(words...)` runs the verb; a cache of the test's own."""
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))

    def run(*words):
        done = CliRunner().invoke(app, ["data", *map(str, words)], catch_exceptions=True)
        if isinstance(done.exception, UserError):
            raise done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    return run


def test_list_says_of_every_task_what_there_is(data, tmp_path):
    found = json.loads(data("list", "--json"))
    assert found["folder"] == str(tmp_path / "cache" / "data") and found["tasks"].keys() == TASKS.keys()
    states = {name: about["state"] for name, about in found["tasks"].items()}
    assert states["recall"] == states["listops"] == "made"
    assert states["text"] == states["image"] == states["retrieval"] == states["manpages"] == "missing"
    assert "rmaat data fetch manpages" in found["tasks"]["manpages"]["where"]
    write_reviews(tmp_path / "cache" / "data")
    write_pairs(tmp_path / "cache" / "data" / "retrieval")
    pack(write_images(tmp_path), (tmp_path / "cache" / "data" / "cifar10.tar"))
    found = json.loads(data("list", "--json"))["tasks"]
    assert {found[name]["state"] for name in ("text", "image", "retrieval")} == {"there"}
    assert found["image"]["where"] == str(tmp_path / "cache" / "data" / "cifar10.tar")
    assert "text" in data("list") and str(tmp_path / "cache" / "data" / "aclImdb") in data("list")


def test_show_counts_what_is_there(data, tmp_path):
    made = write_reviews(tmp_path, 9)
    twice = next((tmp_path / "aclImdb/test/pos").glob("3_*"))
    twice.write_bytes(next((tmp_path / "aclImdb/test/pos").glob("4_*")).read_bytes())
    about = json.loads(data("show", "text", "--data", tmp_path, "--split", "test", "--json"))
    lengths = sorted(len(text) for kind in ("neg", "pos") for number, text in made["test", kind].items()
                     if (kind, number) != ("pos", 3)) + [len(made["test", "pos"][4])]
    assert about["samples"] == 18 and about["classes"] == {"neg": 9, "pos": 9} and about["duplicates"] == 1
    assert about["lengths"]["shortest"] == min(lengths) and about["lengths"]["longest"] == max(lengths)
    assert about["lengths"]["mean"] == round(sum(lengths) / 18, 1)
    assert len(about["drawn"]) == 12 and len({drawn["sample"] for drawn in about["drawn"]}) == 12
    texts = [text for kind in ("neg", "pos") for text in made["test", kind].values()]
    for drawn in about["drawn"]:
        assert drawn["called"] == ("neg", "pos")[drawn["label"]]
        assert any(text[:20] == drawn["begins"][0].encode()[:20] for text in texts)
    said = data("show", "text", "--data", tmp_path, "--split", "test", "--samples", 2, "--set", "task.max_length=30")
    assert "text, test: 18 samples" in said and "neg: 9, pos: 9; majority 50.0%" in said and "licence" in said
    assert str(tmp_path / "aclImdb") in said and re.search(r"tokens +\d+ to 30,", said)
    assert said == data("show", "text", "--data", tmp_path, "--split", "test", "--samples", 2, "--set", "max_length=30")


def test_show_of_pairs_and_of_what_is_made(data, tmp_path):
    write_pairs(tmp_path)
    said = data("show", "retrieval", "--data", tmp_path)
    assert "in each of 2 documents" in said and said.count("trainword") > 20
    said = data("show", "recall", "--samples", 3)
    assert "recall, train: 65,536 samples (50,000 looked at)" in said and "not looked for" in said
    assert "128 to 128" in said


def test_show_reads_tokens_as_a_person_does(data, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("text,label\n" + "".join(f"größer {k},{'ja' if k % 3 else 'nein'}\n" for k in range(40)), "utf-8")
    for unit in ("bytes", "characters"):
        said = data("show", "files", "--data", own, "--set", f"task.unit={unit}", "--samples", 3)
        assert re.search(r"classes +ja: \d+, nein: \d+; majority", said), said
        drawn = re.findall(r"label (ja|nein)  'größer (\d+)'", said)
        assert len(drawn) == 3 and all(label == ("ja" if int(k) % 3 else "nein") for label, k in drawn)
    (tmp_path / "new.csv").write_text("text,label,part\n" + "".join(
        f"abc,{k % 2},train\nabc,{k % 2},validation\nabß,{k % 2},test\n" for k in range(4)), "utf-8")
    said = data("show", "files", "--data", tmp_path / "new.csv", "--set", "task.unit=characters", "--set",
                "task.split_column=part", "--split", "test", "--samples", 1)
    assert "'ab\N{REPLACEMENT CHARACTER}'" in said, "a character that the training data lack"
    own.write_text("text,label\n" + "".join(f"{k} 7 1,{k % 2}\n" for k in range(40)), "utf-8")
    said = data("show", "files", "--data", own, "--set", "task.unit=tokens", "--samples", 2)
    assert len(re.findall(r"label [01]  '\d+ 7 1'", said)) == 2
    (tmp_path / "tale.txt").write_text("Once upon a time. " * 100, "utf-8")
    said = data("show", "next_byte", "--data", tmp_path / "tale.txt", "--samples", 1)
    assert "Once upon a time. Once upon a time. " in said and "classes     32: " in said and "; majority" in said
    assert re.search(r"label -  '.*\.\.\.'\n$", said) and said.endswith("...'\n")
    few = [word for name in ("train", "validation", "test") for word in ("--set", f"task.{name}=5")]
    about = json.loads(data("show", "listops", *few, "--set", "min_length=5", "--set", "max_length=20", "--json"))
    assert len(about["drawn"]) == 5
    for each in about["drawn"]:
        words = each["begins"][0].split()
        assert len(words) == each["length"] and words[0] in ("[MIN", "[MAX", "[MED", "[SM") and words[-1] == "]"


def test_show_draws_images(data):
    few = [word for name in ("train", "validation", "test") for word in ("--set", f"task.{name}=5")]
    said = data("show", "pathfinder", *few, "--samples", 4)
    assert all(len(line) <= 102 and line == line.rstrip() for line in said.splitlines()[7:])
    about = json.loads(data("show", "pathfinder", *few, "--samples", 4, "--json"))
    pictures = [drawn["picture"] for drawn in about["drawn"]]
    assert [len(lines) for lines in pictures] == [16] * 4
    for lines in pictures:  # they stand side by side; what ends in blanks is cut
        assert all(line.rstrip() in said for line in lines)
    assert [line.count("label") for line in said.splitlines() if "  label " in line] == [3, 1]


@pytest.mark.parametrize("side", [1, 2, 5, 28, 32, 33, 128])
def test_a_picture_is_the_mean_of_patches_twice_as_high_as_wide(side):
    image = np.random.default_rng(side).integers(3, 200, (side, side))
    wide = math.ceil(side / 32)
    rows = []
    for top in range(0, side, 2 * wide):
        rows.append("")
        for left in range(0, side, wide):
            patch = [image[r, c] for r in range(top, min(side, top + 2 * wide))
                     for c in range(left, min(side, left + wide))]
            share = (sum(patch) / len(patch) - image.min()) / max(1, image.max() - image.min())
            rows[-1] += " ░▒▓█"[min(4, int(5 * share + 1e-12))]
    assert picture(image.reshape(-1)) == rows


def test_images_of_several_sizes_stand_side_by_side():
    drawn = [{"sample": k, "called": "0", "picture": picture(np.arange(side * side))} for k, side in enumerate((8, 4))]
    about = {"samples": 2, "looked_at": 2, "documents": 1, "classes": {}, "duplicates": None, "sources": {},
             "licence": "", "source": "", "drawn": drawn,
             "lengths": {"shortest": 16, "median": 40., "mean": 40., "longest": 64}}
    lines = text("own", "train", about).splitlines()[-5:]
    assert lines[0].count("label 0") == 2
    assert [line[2:].split() and line[2:34].rstrip() for line in lines[1:]] == [row.rstrip() for row in
                                                                               drawn[0]["picture"]]


def test_labels_have_as_many_names_as_there_are(tmp_path):
    @dataclass(frozen=True)
    class Three(Recall):
        label_names = ("a", "b", "c")

    with pytest.raises(UserError, match=r"label_names are 3, and num_classes is 10; give a name for each label"):
        check_task(Three())


@pytest.mark.parametrize(("words", "message"), [
    (("show", "text"), "no aclImdb"), (("show", "recal"), "did you mean 'recall'"),
    (("show", "recall", "--set", "task.lenght=3"), r"unknown field 'task\.lenght'"),
    (("show", "recall", "--split", "dev"), "unknown split 'dev'"),
    (("fetch", "text"), "no package holds the data of text.*aclImdb_v1"),
    (("fetch", "fashion", "--from", "nowhere"), r"no dataset-fashion-mnist_\*\.deb in nowhere")])
def test_what_cannot_be_is_said(data, words, message):
    with pytest.raises(UserError, match=message):
        data(*words)


def test_fetch_of_what_is_made_has_nothing_to_do(data):
    assert data("fetch", "recall") == "recall: nothing to fetch; generated when it is needed\n"


def test_fetch_without_apt_names_the_packages(data, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="apt-get is not there; get dataset-fashion-mnist from packages"):
        data("fetch", "fashion")


def test_the_page_has_a_row_or_a_heading_for_every_task():
    page = PAGE.read_text("utf-8")
    assert [name for name in TASKS if f"`{name}`" not in page] == []


@pytest.mark.slow
def test_commands_of_the_page_that_need_no_data_run(data):
    lines = re.findall(r"^python -m rmaat data (list|show recall.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 2
    assert all(data(*line.split()) for line in lines)
