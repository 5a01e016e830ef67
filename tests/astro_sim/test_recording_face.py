"""What a recording is to a person: values with units at a time, tables in a notebook, frames of pandas and xarray."""

import numpy as np
import pytest

from astro_sim import Recording, simulate
from astro_sim.recording.series import Events, Series
from foundation.errors import UserError


@pytest.fixture(scope="module")
def recording():
    return simulate("gchi", options={"n": 2}, duration="1 s", dt="20 ms", record_every="100 ms")


def small(values, labels=("0",)):
    """A recording of one variable at 0, 1, 3 seconds."""
    series = Series(np.array(values, "f8"), "umolar", "calcium", "cell", labels)
    spikes = Events(np.array([0.5]), np.array([0]), "cell", "spikes of the cell")
    return Recording(np.array([0.0, 1.0, 3.0]), {"C": series}, {"model": "m", "parameter_set": "one"},
                     {"spikes": spikes})


@pytest.mark.parametrize(("when", "value"), [
    ("0 s", 1.0), (0, 1.0), ("1000 ms", 2.0), (3.0, 6.0), ("0.25 s", 1.25), ("2.5 s", 5.0)])
def test_between_two_records_a_value_lies_on_the_line(when, value):
    reading = small([[1], [2], [6]])["C"].at(when)
    assert float(reading) == pytest.approx(value, rel=1e-15)
    assert (reading.unit, reading.long_name) == ("umolar", "calcium")


@pytest.mark.slow
def test_at_a_record_the_value_is_that_of_the_record(recording):
    for row in range(len(recording.time)):
        reading = recording["C"].at(float(recording.time[row]))
        assert np.array_equal(reading.values, recording["C"].values[row])
    assert np.array_equal(np.asarray(reading), recording["C"].values[-1])


@pytest.mark.parametrize("when", ["-1 ms", "3.001 s", 4])
def test_outside_the_recording_there_is_no_value(when):
    with pytest.raises(UserError, match="outside the recording, which goes from 0 to 3 s"):
        small([[1], [2], [6]])["C"].at(when)


def test_a_time_needs_its_unit_as_text_and_a_series_its_recording():
    with pytest.raises(UserError, match="at: '1' has no unit; give a value in second"):
        small([[1], [2], [6]])["C"].at("1")
    alone = Series(np.ones((3, 1)), "umolar", "calcium", "cell", ("0",))
    for use in (lambda: alone.at(0), alone.plot, alone.to_pandas, alone.to_xarray):
        with pytest.raises(UserError, match="belongs to no recording"):
            use()


def test_a_reading_says_its_number_and_unit():
    two = small([[1, 5], [2, 6], [6, 10]], ("a", "b"))["C"].at("0.5 s")
    assert repr(small([[1], [2], [6]])["C"].at("0.5 s")) == "1.5 µM at 0.5 s"
    assert repr(two) == "1.5, 5.5 µM at 0.5 s"
    assert "calcium (µM)" in two._repr_html_() and "<td style=\"text-align:right\">5.5</td>" in two._repr_html_()
    with pytest.raises(UserError, match="2 elements are not one number"):
        float(two)


def test_a_notebook_shows_tables_and_a_terminal_a_line(recording):
    page = recording._repr_html_()
    for part in ("gchi:AM, 1 s, 11 records", "calcium concentration in the cytosol", "µM", "2 x astrocyte",
                 recording.hash[:12]):
        assert part in page, part
    assert "1 events" in small([[1], [2], [6]])._repr_html_()
    for shown in (repr(recording), repr(recording["C"])):
        assert "\n" not in shown and len(shown) < 200
    assert repr(small([[1], [2], [6]])["C"]) == "<Series C: calcium, 3 records of 1 element, 1 to 6 µM>"
    many = small(np.arange(90.0).reshape(3, 30), tuple(map(str, range(30))))["C"]
    assert "and 10 more" in many._repr_html_() and "<td style=\"text-align:right\">79</td>" in many._repr_html_()


def test_it_is_asked_like_a_dictionary(recording):
    assert list(recording) == ["C", "h", "I"]
    assert "C" in recording and "Ca" not in recording
    assert recording["C"].name == "C" and recording["C"].time is recording.time


def test_pandas_has_a_column_an_element_and_the_units(recording):
    frame = recording.to_pandas()
    assert list(frame.columns) == ["C[0]", "C[1]", "h[0]", "h[1]", "I[0]", "I[1]"]
    assert frame.attrs["units"]["C[1]"] == "umolar" and frame.attrs["units"]["time"] == "second"
    assert np.array_equal(frame["h[1]"].to_numpy(), recording["h"].values[:, 1])
    assert (frame.index.name, frame.index[-1]) == ("time", 1.0)
    assert list(small([[1], [2], [6]]).to_pandas().columns) == ["C"]
    assert recording["h"].to_pandas().equals(frame[["h[0]", "h[1]"]])


def test_xarray_has_named_dimensions_labels_and_units(recording):
    data = recording.to_xarray()
    assert data["C"].dims == ("time", "astrocyte")
    assert data["C"].attrs == {"units": "umolar", "long_name": "calcium concentration in the cytosol"}
    assert data["astrocyte"].values.tolist() == ["0", "1"]
    assert float(data["C"].sel(time=1.0, astrocyte="1")) == recording["C"].values[-1, 1]
    assert recording["C"].to_xarray().identical(data["C"])
