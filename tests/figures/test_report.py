"""The report: all parts, nothing from outside, pictures with words, hostile names, damaged runs, equal bytes."""

import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derivation import load_record, whatif
from derivation.record import closed_form
from derivation.record import record as records
from derivation.record.points import behind_record
from figures.report import chain, page, sliders
from figures.report.gathering import LONGEST, gather, plain
from figures.report.mathml import as_mathml
from figures.report.simulation import SHOWN
from figures.report.training import command
from foundation import trailer
from foundation.errors import ResourceError, UserError
from foundation.files import write_manifest
from rmaat.training.configs import find_experiment
from rmaat.training.experiment import hash_of, to_json
from rmaat.training.studies.summary import Summary, write_summaries

ROOT = Path(__file__).parents[2]
HOSTILE = "</script><script>alert(1)</script>\"'&{{7*7}}$x^$\x07\u202e"
VOID = {"meta", "img", "input", "link", "br", "hr", "wbr"}
ASKED_FOR = ("graupner_brunel.tau", "li_rinzel.ip3", "astrocyte_network.F_linear", "li_rinzel.O_2")


class Reader(HTMLParser):
    """What a browser would make of the page: elements with attributes, open ones in order, text by element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.unclosed, self.text = [], [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unclosed.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self, *tags):
        return " ".join(" ".join(part for tag in tags for part in self.text.get(tag, ())).split())


def run(seed=0, accuracy=0.5, *, name=None, task=None, variant="rmaat") -> Summary:
    """A run that was never trained; `name` and `task` take the place of the config's and the task's."""
    body = to_json(find_experiment(find_experiment("recall", {"train.seed": seed}), variant=variant))
    digest = hash_of(body)
    body = body | ({} if name is None else {"name": name})
    body = body | ({} if task is None else {"task": body["task"] | {"name": task}})
    rows = [] if accuracy is None else [
        {"name": "model", "accuracy": accuracy, "samples": 60, "note": ""},
        {"name": "model, memory reset", "accuracy": 0.25, "samples": 60, "note": ""},
        {"name": "majority", "accuracy": 0.125, "samples": 60, "note": ""}]
    points = [(step, 32 * step, 0.1 * step, (0.3 + 0.001 * step) * (accuracy or 0.2)) for step in (10, 20, 30)]
    validation = [{"step": step, "tokens": tokens, "cpu_seconds": cpu, "accuracy": share, "loss": 1.0}
                  for step, tokens, cpu, share in points]
    losses = [{"step": step, "loss": 2.0 - 0.01 * step - 0.001 * seed, "accuracy": 0.2} for step in (10, 20, 30)]
    costs = {"parameters": 4242, "peak_bytes": 1000 + seed, "tokens_per_second": 500.0, "tokens": 960,
             "cpu_seconds": 3.0, "seconds": 9.0}
    return Summary(body, digest, "r" * 64, {"device": "cpu", "commit": None}, {"test": (task or "t") * 3}, 30, rows,
                   costs, validation, losses)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A study with two networks, one unfinished run and one with hostile names; a folder that was altered."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [run(seed, 0.5 + 0.1 * seed) for seed in range(3)] + [run(0, 0.4, name="recall_rmt", variant="rmt"),
            run(6, None), run(0, 0.3, name=HOSTILE + "y" * 5000, task=HOSTILE)]
    write_summaries(folder / "study.json", "study", runs)
    altered = folder / f"altered <b>{'z' * 80}"
    altered.mkdir()
    for name in ("config.json", "environment.json", "record.json"):
        (altered / name).write_text("{}")
    write_manifest(altered, ["config.json", "environment.json", "record.json"])
    (altered / "config.json").write_text("{ }")
    return [folder / "study.json", altered]


@pytest.fixture(scope="module")
def record():
    return load_record()


@pytest.fixture(scope="module")
def text(places, record):
    return page.page(gather(places), page.unchanging(record, simulate=False))


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


# ---------------------------------------------------------------------------------------------- the page


@pytest.mark.slow
def test_it_is_whole_html_with_every_part(read):
    assert not read.unclosed and not read.open
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    headed = [attributes.get("id") for attributes in read.of("section")]
    assert [name for name in headed if name in dict(page.PARTS)] == [name for name, _ in page.PARTS]
    links = [attributes["href"] for attributes in read.of("a")]
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)


@pytest.mark.slow
def test_it_asks_for_nothing_from_outside(read, text):
    for _, attributes in read.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
    assert "@import" not in text and "url(" not in text and "fetch(" not in text
    policy = next(one["content"] for one in read.of("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'")


@pytest.mark.slow
def test_every_picture_says_what_it_shows_with_its_numbers(read):
    pictures = read.of("img")
    assert len(pictures) >= 5  # uncertainty, accuracies, and two of each group
    assert all(len(one["alt"]) > 40 and re.search(r"\d", one["alt"]) for one in pictures)
    loss = next(one["alt"] for one in pictures if one["alt"].startswith("Training loss, recall:"))
    # the means over the seeds that end at step 30: 0, 1, 2 and the unfinished 6
    assert "rmaat from 1.898 to 1.698" in loss, loss


@pytest.mark.slow
def test_names_that_are_code_stay_names(read, text):
    assert [one for one in read.of("script") if one.get("type") != "application/json"] == [{}] and read.of("b") == []
    assert "</script><script>alert" not in text and "49" not in read.words("h3") and "\x07" not in text
    assert "alert(1)" in read.words("h3", "td", "p"), "it is shown, as what it is"
    assert "y" * 100 not in text and "z" * 100 not in text


@pytest.mark.slow
def test_what_is_damaged_or_unfinished_is_said_to_be(read, text):
    told = read.words("p", "strong")
    assert "not readable" in told and "config.json" in told
    assert "not finished: step 30 of" in told
    assert "60.00 ± " in read.words("td"), "and the rest is there: the mean of three seeds"


@pytest.mark.slow
def test_equal_inputs_give_equal_bytes(places, record, text, tmp_path):
    out = page.report(places[::-1], tmp_path / "report.html", record=record, simulate=False)
    assert trailer.verified_page(out.read_text("utf-8"), out, what_to_do="") == (text, "report")
    assert len(text) < page.MOST_BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_is_too_large_leaves_the_old_one(tmp_path, monkeypatch):
    out = tmp_path / "report.html"
    out.write_text("old")
    monkeypatch.setattr(page, "page", lambda *given, **options: "x" * 100)
    monkeypatch.setattr(page, "MOST_BYTES", 99)
    with pytest.raises(ResourceError, match="100 bytes, 99 are allowed"):
        page.report([], out, drawn={})
    assert out.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


@given(st.recursive(st.text() | st.booleans() | st.none() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_in_the_page_is_read_back_and_closes_nothing(value):
    written = str(page.embedded(value))
    assert not set("<>&") & set(written) and json.loads(written) == value


@given(st.text())
def test_a_name_is_printable_and_short(name):
    shown = plain(name)
    assert len(shown) <= LONGEST and (shown.isprintable() or not shown)
    assert shown == name or not name.isprintable() or len(name) > LONGEST


def test_a_place_without_runs_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        gather([tmp_path])
    with pytest.raises(UserError, match="is not there"):
        gather([tmp_path / "gone"])


def test_a_run_that_is_met_twice_stands_once(tmp_path):
    early = dataclasses.replace(run(3), step=10)
    write_summaries(tmp_path / "a.json", "a", [run(3)])
    write_summaries(tmp_path / "b.json", "b", [early, run(4)])
    found = gather([tmp_path / "b.json", tmp_path / "a.json"])
    assert [(one.seed, one.step) for one in found.runs] == [(3, 30), (4, 30)] and not found.unreadable


# ---------------------------------------------------------------------------------------------- the chain


@pytest.fixture(scope="module")
def drawn(record):
    effects = chain.effects_of(find_experiment("recall").model, record)
    links = chain.links(record, effects)
    return effects, links, chain.graph(record, effects, links)


def test_the_ways_of_the_chain_lead_where_the_derivatives_say(drawn):
    effects, _, graph = drawn
    names = {node.key: node.name for node in graph.nodes}
    for node in (node for node in graph.nodes if node.link):
        reached = {node.key}
        for _ in chain.KINDS:
            reached |= {end for start, end in graph.edges if start in reached}
        ends = {names[key] for key in reached} & set(effects.columns)
        assert ends == set(node.link.moved), node.name


def test_every_place_of_the_chain_has_a_source_or_is_called_assumed(drawn):
    _, links, graph = drawn
    kinds = {node.key: node.kind for node in graph.nodes}
    assert {node.name for node in graph.nodes if node.link} == {link.name for link in links}
    for node in graph.nodes:
        before = {kinds[start] for start, end in graph.edges if end == node.key}
        assert before or node.kind == "source", f"{node.name} comes from nowhere"
        if node.link and node.link.basis == "assumed":
            assert node.assumed


def test_a_closed_form_is_set_as_mathematics():
    shown = as_mathml("-a*(b-(c+d))/exp(-tau_s**2)+sqrt(q)")
    words = re.sub("<[^>]+>", "", shown)
    assert words == "−a·(b−(c+d))e−τs2+q" and "<msqrt>" in shown and "<mfrac>" in shown
    assert "<" not in re.sub("</?m[a-z]+>", "", shown)


# ---------------------------------------------------------------------------------------------- again


def test_the_command_gives_the_config_of_the_run():
    body = to_json(find_experiment("recall", {"train.seed": 5, "train.steps": 77}, variant="rmt"))
    one = dataclasses.replace(run(), experiment=body, config_hash=hash_of(body))
    words = command(one).split()
    assert words[:7] == ["python", "-m", "rmaat", "train", "recall", "--variant", "rmt"]
    settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert sorted(settings) == ["train.seed=5", "train.steps=77"]
    assert hash_of(to_json(find_experiment("recall", settings, variant="rmt"))) == one.config_hash


def test_no_command_is_given_that_would_train_something_else():
    assert command(dataclasses.replace(run(), config_hash="0" * 64)) is None
    assert command(run(name="mine")) is None


# ---------------------------------------------------------------------------------------------- the script's numbers


def in_node(code):
    """What JavaScript prints as JSON."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here to run the page's script")
    done = subprocess.run([node, "-e", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def moved(record):
    return sliders.sliders_of(record)


@pytest.mark.slow
def test_the_sliders_come_to_the_numbers_of_whatif(record, moved):
    """At every mark; where a closed form has the parameter, between them and beyond, too."""
    about = sliders.as_json(record, moved)
    assert about["curves"].keys() == {"retention", "relative_position"}
    chosen = [one for place, one in enumerate(moved) if one.exact or one.name in ASKED_FOR or place % 5 == 0]
    assert {one.name for one in chosen} >= {*ASKED_FOR, "tau_cycle", "gamma_l", "tau_pl", "a", "ell", "gamma_s"}
    asked = [(one.name, value) for one in chosen for value in
             [*(mark.value for mark in one.marks), *((one.value * 0.7123, one.value * 1.27) if one.exact else ())]]
    found = by_the_page(record, about, [{name: value} for name, value in asked])
    for (name, value), curves in zip(asked, found, strict=True):
        use = next(use for entry in record.entries.values() for use in entry.parameters if use.name == name)
        own = {key: record.entry(key) for key in about["curves"]}
        after = whatif({name: f"{value!r} {use.unit if use.unit != '1' else ''}".strip()},
                       record=records.make(own, record.versions)).after
        for curve, (constants, points) in curves.items():
            entry, how = after.entry(curve), about["curves"][curve]
            assert constants == pytest.approx(entry.values(), rel=1e-6)
            for x, y in points:
                assert y == pytest.approx(entry.evaluate(**how["fixed"], **{how["argument"]: x}), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("li_rinzel.ip3", 1.04), ("li_rinzel.O_2", 0.87),
                                             ("graupner_brunel.tau", 1.13), ("astrocyte_network.F_linear", 0.93)])
def test_between_the_marks_a_slider_is_near_whatif(record, moved, name, share):
    use = next(use for entry in record.entries.values() for use in entry.parameters if use.name == name)
    value = use.value * share
    (found,) = by_the_page(record, sliders.as_json(record, moved), [{name: value}])
    after = whatif({name: f"{value!r} {use.unit}"}).after
    for curve, (constants, _) in found.items():  # five marks over 40 %: off by some 1e-4
        assert constants == pytest.approx(after.entry(curve).values(), rel=1e-3)


def test_a_slider_ends_where_there_is_no_value_any_more(moved):
    ended = next(one for one in moved if one.name == "li_rinzel.d5")
    assert ended.at(0.8) is None and ended.ends[0] == ended.at(0.9).value
    with pytest.raises(UserError, match="no value"):
        whatif({"li_rinzel.d5": f"{ended.value * 0.8!r} umolar"})


def by_the_page(record, about, settings):
    """Constants and points of every curve under some values of parameters each, as the page's script has them."""
    code = f"{sliders.functions(record)}\n{(ROOT / 'figures/report/numbers.js').read_text()}\n" + f"""
        const about = {json.dumps(about)}, found = {json.dumps(settings)}.map(moved => {{
            const values = parametersOf(about, moved);
            return Object.fromEntries(Object.entries(about.curves).map(([name, curve]) => {{
                const constants = constantsOf(name, values);
                return [name, [constants, pointsOf(name, curve, constants)]];
            }}));
        }});
        console.log(JSON.stringify(found));"""
    return in_node(code)


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.floats(0.01, 0.99), st.integers(0, 3))
@settings(max_examples=20)
def test_between_two_marks_a_curve_stays_between_their_values(logs, share, place):
    at, values = [0.8, 0.9, 1.0, 1.1, 1.2], [math.exp(one) for one in logs]
    x = at[place] + share * (at[place + 1] - at[place])
    found = in_node(f"const FORMS={{}};{(ROOT / 'figures/report/numbers.js').read_text()}\n"
                    f"console.log(interpolated({at}, {values}, {x!r}))")
    low, high = sorted(values[place:place + 2])
    assert low * (1 - 1e-12) <= found <= high * (1 + 1e-12)


@pytest.mark.parametrize("form", ["-2**2", "2**-1", "2**3**2", "(-a)**2", "a-(b-1)", "a/(b/3)", "+a--b", "1/3",
                                  "exp(-a)*log(b)/tanh(a)", "sqrt(a*a+b)-1e-3"])
def test_a_form_means_the_same_in_javascript(form):
    values = {"a": 0.7, "b": 2.3}
    found = in_node(f"const v={json.dumps(values)}; console.log(JSON.stringify({sliders.javascript(form)}))")
    assert found == pytest.approx(closed_form.evaluate(form, values), rel=1e-12)


# ---------------------------------------------------------------------------------------------- the command


@pytest.mark.slow
def test_help_loads_nothing_heavy():
    code = ("import runpy, sys; sys.argv = ['figures', 'report', '--help']\n"
            "try: runpy.run_module('figures', run_name='__main__')\n"
            "except SystemExit as end: print(end.code, [m for m in ('torch', 'numpy', 'jinja2') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "0 []" and "--no-simulation" in done.stdout


@pytest.mark.slow
def test_the_commands_of_the_documentation_make_the_page(tmp_path):
    lines = [line for block in re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs/report.md").read_text("utf-8"),
                                          re.MULTILINE | re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        done = subprocess.run(["bash", "-ec", re.sub("^python", sys.executable, line)], capture_output=True, text=True,
                              cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
    read = Reader((tmp_path / "report.html").read_text("utf-8"))
    # of the record: simulations, fits, the uncertainty; of the run: accuracies, curves, loss, its inside, costs, data
    fits = len(behind_record(load_record()).points)
    assert len(read.of("img")) == len(SHOWN) + fits + 1 + 3 + 2 + 2 + 1
    assert "not drawn" not in read.words("strong")
    assert "--set train.steps=20" in read.words("code"), "it says how to get the run again"
    for name in ("runs/watched.html", "live.html"):
        followed = Reader((tmp_path / name).read_text("utf-8"))
        assert "Test accuracy" in followed.words("p") and not followed.of("noscript"), "the last page, of the whole run"
