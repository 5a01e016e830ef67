"""Records, right in form and hash, whose numbers would mislead."""

import dataclasses

import pytest

from derivation.record import bounds
from derivation.record import ensemble as ensembles
from derivation.record import record as records
from foundation.errors import DamagedFileError

COMMITTED = records.load()


def with_constant(entry, name, value):
    """The committed record with another constant, and the right hash."""
    made = COMMITTED.entries[entry]
    constants = {**made.constants, name: dataclasses.replace(made.constants[name], value=value)}
    return records.make({**COMMITTED.entries, entry: dataclasses.replace(made, constants=constants)},
                        COMMITTED.versions)


@pytest.mark.fault("E1")
@pytest.mark.parametrize(("entry", "constant", "value", "says"), [
    ("relative_position", "scale", -.5, "grows with distance, from 1 at 0"),
    ("relative_position_diffusive", "scale", -1e-3, "grows with distance"),
    ("relative_position_sheet_diffusive", "scale", -.5, ""),
    ("calcium_response", "exponent", -1.0, "falls with drive"),
    ("calcium_response_fitted", "exponent", -.2, "falls with drive"),
    ("feedback_bound", "K", -.05, ""), ("retention", "q", 1.5, "grows with t of T = 2"), ("retention", "q", -.5, ""),
])
def test_a_record_that_means_nothing(entry, constant, value, says):
    """A record with a right hash has a constant that no biology gives: a coupling that grows with distance.

    Bounds for every entry that a network takes, over the range that it is used in: exit 3, with the values.
    """
    with pytest.raises(DamagedFileError, match=says):
        bounds.check(with_constant(entry, constant, value))


def test_every_record_that_biology_allows_passes():
    """The committed one, every published parameter set, every draw of the ensemble."""
    ensemble = ensembles.load(ensembles.path_beside(None))
    for which in (*map(str, range(len(ensemble.draws))), *ensemble.published):
        bounds.check(ensemble.sample(COMMITTED, which))
    bounds.check(COMMITTED)


def test_every_entry_has_bounds():
    assert bounds.BOUNDS.keys() == COMMITTED.entries.keys()


def test_a_network_is_not_built_from_such_a_record():
    from rmaat.biology.biology import Biology

    with pytest.raises(DamagedFileError, match=r"relative_position = .* grows with distance"):
        Biology.of(with_constant("relative_position", "scale", -.5))
