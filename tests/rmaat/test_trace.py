"""The trace: every derived tensor is there, its chain is the record's, its influences are what a change does."""

import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
import torch

from derivation.record import record as records
from foundation.errors import DamagedFileError, UserError
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import FromRecord, collect
from rmaat.model.model import RMAAT
from rmaat.trace import text
from rmaat.trace.matrix import matrix
from rmaat.trace.report import build, outside, path_of, trace, warnings, with_constant
from rmaat.trace.soundness import complaints
from rmaat.training.configs import CONFIGS, recall

SHARED = {  # two entries that share a parameter, with values that can be worked out by hand
    "retention": ("q**(t-1)*(1-q)/(1-q**T)", {"t": "segment", "T": "segments"}, {"q": .5}, {"q": .2}),
    "relative_position": ("exp(-scale*distance)", {"distance": "places"}, {"scale": .25}, {"scale": .05}),
    "calcium_response": ("drive**exponent", {"drive": "keys"}, {"exponent": 1.}, {}),
    "feedback": ("1/calcium", {"calcium": "response"}, {}, {}),
}


@pytest.fixture
def record():
    """`tau` = 2 moves q (.5, slope .2) and scale (.25, slope .05); nothing else depends on it."""
    entries = {}
    for name, (formula, arguments, constants, slopes) in SHARED.items():
        uses = (records.ParameterUse("tau", 2., "second", "a time constant", "Mia2026", "assumed", "macro", slopes),)
        entries[name] = records.Entry(
            "a meaning", "E4.2", formula, arguments,
            {key: records.Constant(value, "a constant") for key, value in constants.items()}, "derived", ("Mia2026",),
            uses if slopes else (), {"kappa": "cancels exactly"} if name == "retention" else {}, None)
    return records.make(entries, {})


def test_every_buffer_and_curve_from_the_record_is_traced():
    report = trace(recall().model, records.load())
    model = build(recall().model, records.load())
    wanted = {path_of(item) for item in collect(model) if isinstance(item.origin, FromRecord)}
    assert {tensor["path"] for tensor in report.tensors} == wanted
    assert {name for name, _ in model.named_buffers()} <= wanted
    assert {tensor["entry"] for tensor in report.tensors} == {"retention", "relative_position", "calcium_response",
                                                                 "feedback"}
    assert report.analogies and all(item["reason"] for item in report.engineering)


def test_the_chain_is_the_records(record):
    (tensor,) = trace(recall().model, record, "retention").tensors
    assert tensor["path"] == "retention.retention" and tensor["file"] == "rmaat/model/memory.py:Accumulate"
    assert tensor["formula"] == SHARED["retention"][0] and tensor["constants"]["q"]["value"] == .5
    assert tensor["cancels"] == {"kappa": "cancels exactly"}
    (use,) = tensor["parameters"]
    assert (use["name"], use["value"], use["unit"], use["source"], use["basis"]) == ("tau", 2., "second", "Mia2026",
                                                                                    "assumed")
    assert use["sensitivity"] == {"q": .2}
    assert tensor["value"]["values"] == pytest.approx([.5 ** t / (1 - .5 ** 8) for t in range(1, 9)], rel=1e-12)


def test_influence_is_the_change_of_the_tensor_as_built(record):
    """T = 1 has RF = 1 whatever q is; the kernel of places moves by distance * d scale."""
    (single,) = trace(dataclasses.replace(recall().model, num_segments=1), record, "retention").tensors
    assert single["parameters"][0]["influence"] == pytest.approx(0, abs=1e-9)
    (eight,) = trace(recall().model, record, "retention").tensors
    # RF_1 = (1-q)/(1-q^8) is the largest; d RF_1/dq = -1 + (1-q) 8 q^7/(1-q^8)^2 ... by a central difference here
    largest, step = (lambda q: (1 - q) / (1 - q ** 8)), 1e-6
    slope = (largest(.5 + step) - largest(.5 - step)) / (2 * step)
    expected = abs(slope) * .2 * 2 / largest(.5)
    # both are central differences: off by the square of steps of 1e-4 and 1e-6
    assert eight["parameters"][0]["influence"] == pytest.approx(expected, rel=1e-6)


def test_influences_through_two_constants_add_up_with_their_signs(record):
    """tau moves scale by two ways, +.05 and -.05: nothing is left of it."""
    entry = record.entry("relative_position")
    (use,) = entry.parameters
    uses = (use, *(dataclasses.replace(use, name="x", through="tau", sensitivity={"scale": slope})
                   for slope in (.05, -.05)))
    changed = dataclasses.replace(record, entries={**record.entries, "relative_position": dataclasses.replace(
        entry, parameters=uses)})
    (tensor,) = trace(dataclasses.replace(recall().model, layers=1), changed, "curve").tensors
    # the curve is looked at .5, 1, 8 and 64 places; d exp(-scale d) is largest at 8
    expected = .05 * 2 * 8 * math.exp(-.25 * 8) / math.exp(-.25 * .5)
    assert [use["influence"] for use in tensor["parameters"]] == [pytest.approx(expected, rel=1e-6), 0, 0]


def test_one_constant_alone_is_moved(record):
    moved = with_constant(record, "retention", "q", value=.6)
    assert moved.entry("retention").constants["q"].value == .6
    assert {name for name in record.entries if moved.entry(name) != record.entry(name)} == {"retention"}


def test_tracing_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trace(recall().model, records.load(), "retention")
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_tensor_lists_the_right_ones(record):
    with pytest.raises(UserError, match=r"unknown tensor 'retension'.*retention\.retention"):
        trace(recall().model, record, "retension")
    with pytest.raises(UserError, match="did you mean 'retention'"):  # the short name that --help shows
        trace(recall().model, record, "retentio")


def test_a_line_ends_between_the_terms_of_a_formula():
    """Lines are cut at 100 columns, and never within a name or a number such as 1e-06."""
    formula = records.load().entry("relative_position").constants["scale"].formula
    shown = text._wrapped(f"     scale = {text._breakable(formula)}")
    assert "".join(shown.split()) == f"scale={formula}" and max(map(len, shown.splitlines())) <= 100
    assert "\n" in shown and {*re.findall(r"[a-z]\w+", shown)} == {*re.findall(r"[a-z]\w+", formula), "scale"}
    assert text._breakable("a*x"*30 + "-1e-06") == "a*x"*30 + " - 1e-06"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, make in CONFIGS.items() if make().model.retention == "accumulate"])
def test_the_text_names_value_source_equation_and_file(name):
    entry = records.load().entry("retention")
    told = str(trace(CONFIGS[name]().model, records.load()))
    for part in ("retention.retention", "rmaat/model/memory.py", "(E4.2)", "engineering", "analogies",
                 "attention.feedback"):
        assert part in told
    assert len(entry.parameters) >= 3  # gamma_l, tau_cycle, tau_pl
    for use in entry.parameters:
        assert re.search(rf"<- {use.name} {use.value:g} [^<]*{use.basis} {use.source} ", " ".join(told.split()))
    assert told.count(entry.meaning) == 1
    assert max(map(len, told.splitlines())) <= 100 and told.index("retention.retention") < told.index("engineering")


def test_layers_with_equal_chains_are_told_once(record):
    told = str(trace(dataclasses.replace(recall().model, layers=3), record))
    assert told.count("blocks.0.attention.feedback   ") == 1 and "also blocks.1.attention.feedback, blocks.2" in told


@pytest.mark.parametrize("retention", ["none", "multiply", "leaky", "geometric", "reset"])
def test_only_what_the_network_uses_is_reported(retention, record):
    config = dataclasses.replace(recall().model, retention=retention)
    entries = {tensor["entry"] for tensor in trace(config, record).tensors}
    assert ("retention" in entries) == (retention not in ("none", "reset"))
    assert isinstance(RMAAT(config, Biology.of(record)), RMAAT)


# ---------------------------------------------------------------------------------------------- what to know


def ranged(record, entry, *ranges):
    changed = dataclasses.replace(record.entry(entry), validity=ranges)
    return dataclasses.replace(record, entries={**record.entries, entry: changed})


def test_what_has_no_influence_is_named(record):
    entries = {**record.entries, "relative_position_diffusive": dataclasses.replace(
        record.entry("relative_position"), parameters=(dataclasses.replace(
            record.entry("relative_position").parameters[0], name="D"),))}
    record = dataclasses.replace(record, entries=entries)
    found = trace(recall().model, record).without_influence
    assert [(item["name"], item["entry"]) for item in found] == [("kappa", "retention"),
                                                                 ("D", "relative_position_diffusive")]
    assert [item["name"] for item in trace(recall().model, record, "retention").without_influence] == ["kappa"]
    single = dataclasses.replace(recall().model, num_segments=1)  # its only factor is 1, whatever q
    (_, tau) = trace(single, record, "retention").without_influence
    assert (tau["name"], tau["why"]) == ("tau", "moves no tensor of this network")


def test_what_is_assumed_is_counted_and_listed(record):
    report = trace(recall().model, record)
    assert report.not_known["counts"] == {"assumed": 1}
    assert [item["name"] for item in report.not_known["parameters"]] == ["tau"]
    assert set(report.not_known["entries"]) == {"calcium_response", "feedback"}
    assert "assumed: tau = 2 second   a time constant" in str(report)


@pytest.mark.parametrize(("segments", "length", "left"), [(6, 8, []), (7, 8, ["T"]), (6, 40, ["distance"]),
                                                          (9, 33, ["T", "distance"])])
def test_a_config_outside_the_range_of_validity_is_warned_about(segments, length, left, record):
    record = ranged(record, "retention", records.Range("T", 1., 6., "cycles of the recording"))
    record = ranged(record, "relative_position", records.Range("distance", None, 31., "places of the recording"))
    config = dataclasses.replace(recall().model, num_segments=segments, segment_length=length)
    assert sorted(one["quantity"] for one in outside(config, record)) == left
    told = " ".join(str(trace(config, record)).split())
    assert told.count("WARNING") == len(warnings(config, record)) == len(left)
    assert all(f"{name} = {value}" in told for name, value in (("T", segments), ("distance", length - 1))
               if name in left)


def test_a_range_of_an_entry_that_is_not_read_does_not_matter(record):
    record = ranged(record, "retention", records.Range("T", 1., 6., "cycles of the recording"))
    assert warnings(dataclasses.replace(recall().model, retention="reset"), record) == []


def test_every_chain_of_the_record_ends_at_a_source():
    """What is derived has something behind it, all else names papers that the bibliography has, or says: assumed."""
    bibliography = (Path(__file__).parents[2] / "astro_sim" / "models" / "references.bib").read_text("utf-8")
    papers = set(re.findall(r"@\w+\{(\w+),", bibliography))
    for tensor in trace(recall().model, records.load()).tensors:
        behind = {use["through"] for use in tensor["parameters"]}
        assert set(tensor["sources"]) <= papers
        for use in tensor["parameters"]:
            if use["basis"] == "derived":
                assert use["name"] in behind, f"{use['name']} has nothing behind it"
            elif use["basis"] in ("assumed", "convention"):
                assert use["source"] == "assumed here"
            else:
                assert set(use["source"].split(", ")) <= papers


# ---------------------------------------------------------------------------------------------- matrix


def test_the_matrix_is_what_the_derivatives_say(record):
    found = matrix(recall().model, record)
    row = found.effects["tau"]
    assert row["retention.q"] == pytest.approx(.2 * 2 / .5) and row["relative_position.scale"] == pytest.approx(.4)
    (tensor,) = trace(recall().model, record, "retention").tensors
    assert row["retention.retention"] == pytest.approx(tensor["parameters"][0]["influence"])
    assert "calcium_response.exponent" not in row
    assert found.columns[:found.num_constants] == ("retention.q", "relative_position.scale",
                                                   "calcium_response.exponent")
    assert not any(name.startswith("blocks") for name in found.columns), "equal layers are told once"
    blocks = {str(table).split(";")[0]: str(table) for table in found.tables()}
    assert re.search(r"^tau +0\.8 +", blocks["retention"], re.MULTILINE) and "tau" not in blocks["calcium_response"]


def test_the_matrix_is_readable_on_a_page():
    """Every column of every entry with a chain stands in one table, and none is wider than a page."""
    found = matrix(recall().model, records.load())
    told = str(found).splitlines()
    assert max(map(len, told)) <= 100
    cells = sum(len(row) - 2 - row.count(".") for table in found.tables() for row in table.rows)
    assert cells == sum(len(row) for row in found.effects.values())
    assert found._repr_html_().count("<table>") == len(set(found.entries.values())) == len(records.load().entries)
    assert [table.title.split(";")[1].split()[0] for table in found.tables()] == ["read"] * 4 + ["not"] * 6


@pytest.mark.parametrize("name", ["recall", "recall_rmt", "fashion_small"])
def test_the_committed_trace_is_sound(name):
    assert complaints(CONFIGS[name]().model, records.load()) == []


@pytest.mark.parametrize(("alter", "says"), [
    (lambda entry: {"parameters": tuple(dataclasses.replace(use, sensitivity={"q": 1.001 * use.sensitivity["q"]})
                                        if use.name == "tau_pl" else use for use in entry.parameters)},
     "d q/d tau_pl is"),
    (lambda entry: {"constants": {"q": dataclasses.replace(entry.constants["q"], value=.67)}}, "its formula gives"),
    (lambda entry: {"parameters": tuple(use for use in entry.parameters if use.through != "tau_cycle")},
     "tau_cycle is derived, and nothing stands behind it"),
    (lambda entry: {"formula": "1/T + 0*q*t"}, "tau_pl has a chain to retention.retention and does not move it"),
])
def test_what_is_not_sound_is_said(alter, says):
    source = records.load()
    entry = source.entry("retention")
    changed = dataclasses.replace(source, entries={**source.entries, "retention": dataclasses.replace(
        entry, **alter(entry))})
    assert any(says in complaint for complaint in complaints(recall().model, changed))


def test_an_orphan_is_a_complaint(monkeypatch):
    class Planted(RMAAT):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.temperature = .7

    monkeypatch.setattr("rmaat.trace.report.RMAAT", Planted)
    assert "temperature has no origin" in complaints(recall().model, records.load())


@pytest.mark.slow
def test_check_prints_the_matrix_and_refuses_what_is_not_sound(tmp_path):
    from typer.testing import CliRunner

    from rmaat.__main__ import app

    done = CliRunner().invoke(app, ["trace", "--check", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["wrong"] == []
    told = CliRunner().invoke(app, ["trace", "--check"]).stdout
    assert "retention; read as retention.retention" in told and "no number of this network is without origin" in told
    entry = records.load().entry("retention")
    wrong = {"retention": dataclasses.replace(entry, constants={"q": dataclasses.replace(entry.constants["q"],
                                                                                         value=.67)})}
    records.save(records.make({**records.load().entries, **wrong}, {}), tmp_path / "record.json")
    done = CliRunner().invoke(app, ["trace", "--check", "--record", str(tmp_path / "record.json")])
    assert isinstance(done.exception, DamagedFileError) and "q is 0.67, its formula gives" in str(done.exception)
