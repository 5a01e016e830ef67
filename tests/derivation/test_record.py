"""The record: what is written comes back equal; anything else is refused with its path."""

import copy
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derivation import record
from foundation.errors import DamagedFileError, UserError
from foundation.files import canonical_json, sha256_bytes

Q = ("entries", "retention", "constants", "q")


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


def test_the_default_entries_evaluate():
    entries = record.load().entries
    shares = [entries["retention"].evaluate(t=t, T=8) for t in range(1, 9)]
    assert math.fsum(shares) == pytest.approx(1, abs=1e-14)
    assert entries["relative_position"].evaluate(distance=0) == 1
    assert 0 < entries["relative_position"].evaluate(distance=5) < entries["relative_position"].evaluate(distance=4) < 1


def test_every_constant_follows_from_its_parameters():
    """The stored value is its stored formula at the stored parameters: the file proves itself."""
    from derivation.closed_form import evaluate

    checked = 0
    for name, entry in record.load().entries.items():
        values = {parameter.name: parameter.value for parameter in entry.parameters}
        for key, constant in entry.constants.items():
            if constant.formula:
                assert evaluate(constant.formula, values) == pytest.approx(constant.value, rel=1e-12), f"{name}.{key}"
                checked += 1
    assert checked >= 2


@pytest.mark.parametrize(("path", "value", "message"), [
    (("schema",), 99, "schema: 99 is not the version"),
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
