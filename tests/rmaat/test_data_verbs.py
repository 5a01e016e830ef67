"""`rmaat data list|fetch|show`: where data are, how they come, what they look like; docs/tasks.md names every task."""

import json
import re
from pathlib import Path

import pytest
from twins import pack, write_images, write_pairs, write_reviews
from typer.testing import CliRunner

from foundation.errors import UserError
from rmaat.__main__ import app
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
    assert about["samples"] == 18 and about["classes"] == {"0": 9, "1": 9} and about["duplicates"] == 1
    assert about["lengths"]["shortest"] == min(lengths) and about["lengths"]["longest"] == max(lengths)
    assert about["lengths"]["mean"] == round(sum(lengths) / 18, 1)
    assert len(about["drawn"]) == 12 and len({drawn["sample"] for drawn in about["drawn"]}) == 12
    texts = [text for kind in ("neg", "pos") for text in made["test", kind].values()]
    for drawn in about["drawn"]:
        assert any(text[:20] == drawn["begins"][0].encode()[:20] for text in texts)
    said = data("show", "text", "--data", tmp_path, "--split", "test", "--samples", 2, "--set", "task.max_length=30")
    assert "text, test: 18 samples" in said and "0: 9, 1: 9; majority 50.0%" in said and "licence" in said
    assert str(tmp_path / "aclImdb") in said and re.search(r"tokens +\d+ to 30,", said)
    assert said == data("show", "text", "--data", tmp_path, "--split", "test", "--samples", 2, "--set", "max_length=30")


def test_show_of_pairs_and_of_what_is_made(data, tmp_path):
    write_pairs(tmp_path)
    said = data("show", "retrieval", "--data", tmp_path)
    assert "in each of 2 documents" in said and said.count("trainword") > 20
    said = data("show", "recall", "--samples", 3)
    assert "recall, train: 65,536 samples (50,000 looked at)" in said and "not looked for" in said
    assert "128 to 128" in said


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
