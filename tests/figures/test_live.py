"""A page that follows its runs: from an empty folder to the last result, or to the signal that stops it."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from figures.report import live
from foundation.errors import UserError
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import hash_of, to_json
from rmaat.training.studies.summary import Summary, write_summaries

ROOT = Path(__file__).parents[2]
BODY = to_json(find_experiment("recall"))
RUN = Summary(BODY, hash_of(BODY), "r" * 64, {}, {"test": "t"}, 10, [], {}, [], [])
DONE = dataclasses.replace(RUN, step=500, rows=[{"name": "model", "accuracy": 0.5, "samples": 9, "note": ""}])


@pytest.fixture
def said(monkeypatch):
    """A page is what it knows of its runs, and whether it loads itself anew."""
    def page(found, drawn, *, against, every=None, inside=True):
        return json.dumps([[run.step for run in found.runs], [one.why for one in found.unreadable], every])

    def write(text, out):
        Path(out).write_text(text)
        return out

    monkeypatch.setattr(live, "page", page)
    monkeypatch.setattr(live, "write", write)


def test_it_follows_from_an_empty_folder_to_the_last_result(said, tmp_path):
    place, out, seen, paused = tmp_path / "study.json", tmp_path / "page.html", [], []
    later = iter([[RUN], [RUN], [DONE]])

    def pause(seconds):
        paused.append(seconds)
        if (runs := next(later, None)) is not None:
            write_summaries(place, "study", runs)

    live.follow([place], out, {}, every=2.0, pause=pause, told=lambda page: seen.append(json.loads(page.read_text())))
    waiting = [[], ["no run has begun here yet"], 2.0]
    assert seen == [waiting, [[10], [], 2.0], [[10], [], 2.0], [[500], [], 2.0], [[500], [], 2.0]]
    assert json.loads(out.read_text()) == [[500], [], None], "the last page stays as it is"
    assert paused == [2.0] * 5


def test_a_study_between_two_runs_is_not_at_its_end(said, tmp_path):
    place, steps = tmp_path / "study.json", []
    second = to_json(find_experiment("recall", {"train.seed": 1}))
    more = [dataclasses.replace(one, experiment=second, config_hash=hash_of(second)) for one in (RUN, DONE)]
    later = iter([[DONE, more[0]], [DONE, more[1]]])
    write_summaries(place, "study", [DONE])

    def pause(seconds):
        if (runs := next(later, None)) is not None:
            write_summaries(place, "study", runs)

    live.follow([place], tmp_path / "page.html", {}, pause=pause,
                told=lambda page: steps.append(json.loads(page.read_text())[0]))
    assert steps == [[500], [500, 10], [500, 500], [500, 500]]


def test_where_it_is_stopped_the_last_page_no_longer_loads_itself(said, tmp_path):
    write_summaries(tmp_path / "study.json", "study", [RUN])

    def pause(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live.follow([tmp_path / "study.json"], tmp_path / "page.html", {}, pause=pause)
    assert json.loads((tmp_path / "page.html").read_text()) == [[10], [], None]


@pytest.mark.slow
def test_a_signal_ends_it_with_its_own_code(tmp_path):
    out = tmp_path / "page.html"
    line = [*live.FOLLOWER, str(tmp_path / "runs"), "--follow", "--every", "1", "--no-simulation", "--out", str(out)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, cwd=ROOT) as one:
        assert any("follows its runs" in line for line in one.stderr)
        while not out.exists() and one.poll() is None:
            time.sleep(0.05)
        one.send_signal(signal.SIGTERM)
        one.wait()
    assert one.returncode == 128 + signal.SIGTERM
    text = out.read_text("utf-8")
    assert "no run has begun here yet" in text and 'http-equiv="refresh"' not in text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_training_is_watched_from_beside_and_the_page_is_whole_at_the_end(tmp_path, monkeypatch):
    """The other process is one that writes as `figures report --follow` does: at last when it is asked to stop."""
    other = ("import pathlib, signal, sys\n"
             "out = pathlib.Path(sys.argv[-1])\n"
             "signal.signal(signal.SIGTERM, lambda *_: (out.write_text('last'), sys.exit(143)))\n"
             "out.write_text('first')\n"
             "signal.pause()")
    monkeypatch.setattr(live, "FOLLOWER", [sys.executable, "-c", other])
    with live.watched(tmp_path / "run") as page:
        assert page == tmp_path / "run.html"
    assert page.read_text() == "last"


@pytest.mark.parametrize(("words", "message"), [
    (["--follow"], "--follow: there is nothing to follow"), (["x", "--follow", "--every", "0"], "--every: 0 is not"),
    (["x", "--every", "nan"], "--every: nan is not")])
def test_what_cannot_be_followed_is_refused(words, message, tmp_path, monkeypatch):
    from figures.report import verb

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        verb.called(words, "rmaat report")
    assert list(tmp_path.iterdir()) == []
