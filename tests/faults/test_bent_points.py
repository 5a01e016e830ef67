"""Points behind a record that nobody observed, in a file with the right hash: the page refuses them, and says which."""

import dataclasses

import pytest

BENT = {  # what differs in points that were fitted
    "a comparison that the record does not have": {"comparison": "x"},
    "numbers that no axis takes": {"observed": 1e300},
    "one point": {"observed": (1.0,), "places": (1.0,)},
    "places all alike": {"places": 1.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("how", BENT)
def test_points_that_nobody_observed(within, how):
    import matplotlib.pyplot as plt

    from derivation.record import points, record
    from figures.report.derivation import derivation
    from foundation.errors import DamagedFileError

    source = record.load()
    known = next(one for one in points.behind_record(source).points if one.formula and one.entry == "retention")
    changes = {name: (value,) * len(known.places) if isinstance(value, float) else value
               for name, value in BENT[how].items()}
    behind = points.Behind("x", (dataclasses.replace(known, **changes),), ())
    try:
        with within(20):
            derivation(source, behind)
    except DamagedFileError as error:
        assert "derivation derive" in str(error) and len(str(error)) < 1_000
    finally:
        plt.close("all")
