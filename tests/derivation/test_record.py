"""The record: what is written comes back equal; anything else is refused with its path."""

import copy
import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derivation.record import record
from foundation.errors import DamagedFileError, UserError
from foundation.files import canonical_json, sha256_bytes

Q = ("entries", "retention", "constants", "q")
SHA = "0123456789abcdef" * 4


def full():
    """A small record in which every field of the schema holds something."""
    rivals = {name: record.Rival(f"A*{name}(-k*x)", {"A": 1.0, "k": 0.5}, 0.1, 0.05, -30.0, weight)
              for name, weight in (("exp", 0.75), ("tanh", 0.25))}
    entry = record.Entry(
        "a kernel", "E4.5", "exp(-scale*distance)", {"distance": "places"},
        {"scale": record.Constant(0.5, "inverse length", "1/ell", 0.49, (0.4, 0.6))}, "derived", ("Mia2026",),
        (record.ParameterUse("ell", 2.0, "1", "length", "Mia2026", "assumed", "macro", {"scale": -0.25}),
         record.ParameterUse("m.b", 3.0, "second", "time", "Mia2026", "fitted", "m", {"scale": 0.1}, "ell")),
        {"d": "cancels"}, record.Evidence("responses", 1e-3, "1", "1 to 9", SHA, "ends", 1e-4, ("short",)),
        validity=(record.Range("distance", 0, None, "a distance"), record.Range("1/ell-scale", -1, 1, "stable")),
        scales=(record.Scale("time", "second", 11.5, "the cycle"),),
        simulations=(record.Simulation("line", SHA, SHA, SHA),),
        comparisons={"line": record.Comparison("the responses", {"x": "places"}, 9, rivals, "exp", "nothing", SHA,
                                               ("few",))},
        alternatives={"other": record.Alternative("c/(c+distance*scale)", {"c": 2.0}, "rational", "stated",
                                                  ("Mia2025",))})
    return record.make({"kernel": entry}, {"numpy": "2"})


@pytest.fixture
def body():
    return json.loads(record.DEFAULT_PATH.read_text("utf-8"))


def sealed(body):
    """Text with a right hash, so that the test reaches what lies behind the hash."""
    body = copy.deepcopy(body)
    body.pop("hash", None)
    return json.dumps(body | {"hash": sha256_bytes(canonical_json(body).encode())})


def test_written_and_read_is_equal(tmp_path):
    first = record.load()
    record.save(first, tmp_path / "record.json")
    assert record.load(tmp_path / "record.json") == first
    assert record.make(first.entries, first.versions) == first
    assert (tmp_path / "record.json").read_text() == record.DEFAULT_PATH.read_text(), "the committed file is as written"


def test_every_field_of_the_schema_survives(tmp_path):
    first = full()
    record.save(first, tmp_path / "record.json")
    assert record.load(tmp_path / "record.json") == first
    (entry,) = first.entries.values()
    empty = [item.name for item in dataclasses.fields(entry) if not getattr(entry, item.name)]
    assert empty == [], "this test is to fill every field"


def test_the_range_in_which_a_form_holds_is_machine_readable():
    entry = full().entries["kernel"]
    assert entry.outside(distance=3.0) == []
    assert [one.quantity for one in entry.outside(distance=-1.0)] == ["distance"]
    assert entry.outside() == [], "what is not given is not looked at"


@pytest.mark.parametrize("schema", [1, 3, "2", None, True, 2.5])
def test_a_record_of_another_schema_is_refused_in_one_line(schema, tmp_path):
    """Whatever else the file holds: an older one lacks fields, a newer one has others."""
    path = tmp_path / "record.json"
    path.write_text(sealed({"schema": schema, "entries": {"retention": {"meaning": "a share"}}, "new": 1}))
    with pytest.raises(DamagedFileError) as caught:
        record.load(path)
    assert str(caught.value) == (f"record {path} has schema {schema!r}; this version reads 2; "
                                 "derive it anew: python -m derivation derive")


def test_a_record_without_a_schema_is_refused(body):
    del body["schema"]
    with pytest.raises(DamagedFileError, match="record: schema: missing"):
        record.loads(sealed(body))


K = ("entries", "kernel")


@pytest.mark.parametrize(("path", "value", "message"), [
    ((*K, "validity", 0, "quantity"), "width", r"validity\[0\]\.quantity: uses width"),
    ((*K, "validity", 1, "low"), 2.0, r"validity\[1\]: \[2\.0, 1\.0\] is not"),
    ((*K, "scales", 0, "value"), None, r"scales\[0\]\.value: expected a finite number, found None"),
    ((*K, "simulations", 0, "model"), "abc", r"simulations\[0\]\.model: is not a SHA-256"),
    ((*K, "comparisons", "line", "chosen"), "gauss", "comparisons.line.chosen: 'gauss' is not one of exp, tanh"),
    ((*K, "comparisons", "line", "points"), 9.5, "points: expected a whole number, found 9.5"),
    ((*K, "comparisons", "line", "rivals", "exp", "weight"), 0.7, "rivals: the weights do not sum to 1"),
    ((*K, "comparisons", "line", "rivals", "exp", "weight"), 1.5, "weight: 1.5 is not between 0 and 1"),
    ((*K, "comparisons", "line", "rivals", "exp", "formula"), "y", "rivals.exp.formula: uses y"),
    ((*K, "alternatives", "other", "formula"), "w*distance", "alternatives.other.formula: uses w"),
    ((*K, "alternatives", "other", "basis"), "guessed", "not one of measured"),
    ((*K, "evidence", "warnings"), "short", "warnings: expected a list, found str"),
    ((*K, "constants", "scale", "interval"), [0.4], "expected 2 items, found 1"),
    ((*K, "parameters", 0, "sensitivity"), {"width": 1.0}, "sensitivity.width: is no constant of the entry"),
    ((*K, "parameters", 0, "sensitivity", "scale"), "steep", "expected a finite number, found 'steep'"),
])
def test_what_is_wrong_in_any_field_is_named(path, value, message):
    body = node = json.loads(record.dumps(full()))
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(DamagedFileError, match=message):
        record.loads(sealed(body))


def leaves(node, path=()):
    """Paths of everything in a JSON value, containers included."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


BODY = json.loads(record.dumps(full()))
PATHS = [path for path in leaves(BODY) if path and path[0] != "hash"]
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5)


@given(st.sampled_from(PATHS), JSON)
def test_any_value_in_any_place_is_read_as_it_is_or_refused(path, value):
    """Sealed with a right hash, so that only the types and meanings stand between the value and the network."""
    body = node = copy.deepcopy(BODY)
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    try:
        read = record.loads(sealed(body))
    except DamagedFileError as error:
        assert str(error).startswith("record: ")
        return
    again = json.loads(record.dumps(read))
    assert {**again, "hash": ""} == {**body, "hash": ""}
    assert record.loads(record.dumps(read)) == read


def test_the_default_entries_evaluate():
    entries = record.load().entries
    shares = [entries["retention"].evaluate(t=t, T=8) for t in range(1, 9)]
    assert math.fsum(shares) == pytest.approx(1, abs=1e-14)
    assert entries["relative_position"].evaluate(distance=0) == 1
    assert 0 < entries["relative_position"].evaluate(distance=5) < entries["relative_position"].evaluate(distance=4) < 1


def test_every_constant_follows_from_its_parameters():
    """The stored value is its stored formula at the stored parameters: the file proves itself."""
    from derivation.record.closed_form import evaluate

    checked = 0
    for name, entry in record.load().entries.items():
        values = {parameter.name: parameter.value for parameter in entry.parameters}
        for key, constant in entry.constants.items():
            if constant.formula:
                assert evaluate(constant.formula, values) == pytest.approx(constant.value, rel=1e-12), f"{name}.{key}"
                checked += 1
    assert checked >= 2


@pytest.mark.parametrize(("path", "value", "message"), [
    ((*Q, "value"), "1", r"entries\.retention\.constants\.q\.value: expected a finite"),
    ((*Q, "value"), True, "expected a finite number"),
    ((*Q, "interval"), [2, 1], r"is not \[low, high\]"),
    (("entries", "retention", "formula"), "q**t+w", "uses w"),
    (("entries", "retention", "formula"), "open('x')", r"entries\.retention\.formula"),
    (("entries", "retention", "basis"), "guessed", "not one of measured"),
    (("entries", "retention", "parameters", 0, "through"), "nothing", "'nothing' is no parameter of the entry"),
    (("entries", "retention", "surprise"), 1, r"entries\.retention\.surprise: unknown key"),
    (("entries", "retention", "parameters"), {}, "expected a list"),
    (("entries",), [], "expected an object"),
    (("versions", "numpy"), 2, "expected text"),
])
def test_what_is_wrong_is_named_by_its_path(body, path, value, message):
    node = body
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(DamagedFileError, match=message):
        record.loads(sealed(body))


def test_missing_keys_are_named(body):
    del body["entries"]["retention"]["meaning"]
    with pytest.raises(DamagedFileError, match=r"entries\.retention\.meaning: missing"):
        record.loads(sealed(body))


def test_one_altered_digit_is_noticed(body):
    body["entries"]["retention"]["constants"]["q"]["value"] *= 1.0001
    with pytest.raises(DamagedFileError, match="altered or damaged"):
        record.loads(json.dumps(body))


@pytest.mark.parametrize("text", [
    "", "[", "null", "3", '{"schema": 1}', '{"schema": NaN}', '{"a": 1, "a": 2}', "[" * 100_000, '{"schema": 1e999}',
])
def test_what_is_not_a_record_is_refused(text):
    with pytest.raises(DamagedFileError):
        record.loads(text)


def test_files_that_cannot_be_records(tmp_path):
    with pytest.raises(UserError, match="python -m derivation derive"):
        record.load(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedFileError, match="not a text file"):
        record.load(tmp_path / "binary")
    (tmp_path / "huge").write_bytes(b" " * (record.MAX_BYTES + 1))
    with pytest.raises(DamagedFileError, match="larger than"):
        record.load(tmp_path / "huge")


@given(st.data())
def test_a_truncated_or_bent_file_never_passes(data):
    text = record.DEFAULT_PATH.read_text("utf-8")
    where = data.draw(st.integers(0, len(text) - 3))
    bent = text[:where] if data.draw(st.booleans()) else text[:where] + "7" + text[where + 1:]
    try:
        same = record.loads(bent)
    except DamagedFileError:
        return
    assert same == record.load(), "only a change that changes nothing may pass"


def test_unknown_entries_list_the_right_ones():
    with pytest.raises(UserError, match=r"choose one of: .*retention"):
        record.load().entry("retension")


def test_a_form_takes_its_arguments_and_no_others():
    """The caller's slip is bad input (exit code 2), not a damaged file (3), and nothing given is left unread."""
    entry = record.load().entry("retention")
    for arguments, says in (({"t": 1}, "T missing; it takes T .number of segments., t "),
                            ({"t": 1, "T": 8, "depth": 2}, "depth unknown; it takes T "),
                            ({"t": 1, "segments": 8}, "T missing and segments unknown"),
                            ({"t": 1, "T": 8, "q": 0.5}, "q unknown")):
        with pytest.raises(UserError, match=says) as caught:
            entry.evaluate(**arguments)
        assert caught.value.exit_code == 2
