"""The table behind a picture is what the picture draws, with its units; as CSV it is read back to the digit."""

import csv
import io

import numpy as np
import pytest

from figures import style
from figures.report.columns import Column, as_csv, columns
from figures.report.pictures import picture


@pytest.fixture
def figure():
    drawn, (left, right) = style.subplots(1, 2)
    x = np.arange(5) / 7
    left.plot(x, x**2, label="calcium")
    left.plot(x, np.sqrt(x), label="IP3")
    left.plot([0, 3], [1, 1])  # a line without a name that marks a place
    left.axvline(0.2, label="now")
    left.set(xlabel="time (s)", ylabel="concentration (µM)", title="one cell")
    image = right.imshow(np.arange(6.0).reshape(2, 3), origin="lower", extent=(0, 30, -0.5, 1.5), aspect="auto")
    right.set(xlabel="time (s)", ylabel="astrocyte")
    drawn.colorbar(image, ax=right, label="calcium (µM)")
    yield drawn
    style.plt.close(drawn)


def test_columns_are_the_curves_and_the_pixels(figure):
    found = columns(figure)
    assert [(one.name, one.unit) for one in found] == [
        ("time", "s"), ("one cell, calcium: concentration", "µM"), ("one cell, IP3: concentration", "µM"),
        ("time", "s"), ("astrocyte", ""), ("calcium", "µM")]
    x, square, root, time, cell, value = (np.asarray(one.values) for one in found)
    np.testing.assert_array_equal(square, x**2)
    np.testing.assert_array_equal(root, np.sqrt(x))
    assert [(a, b) for a, b in zip(time, cell, strict=True)] == [(5, 0), (15, 0), (25, 0), (5, 1), (15, 1), (25, 1)]
    np.testing.assert_array_equal(value, np.arange(6))


def test_an_image_with_its_first_row_above_keeps_its_rows():
    drawn, axis = style.subplots()
    axis.imshow([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    axis.set(xlabel="presynaptic neuron", ylabel="postsynaptic neuron")
    pre, post, value = (list(one.values) for one in columns(drawn))
    assert (pre, post, value) == ([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, 6])
    style.plt.close(drawn)


def test_bars_and_points_are_columns_too():
    drawn, axis = style.subplots()
    axis.bar([1, 2, 3], [4, 0, 6])
    axis.scatter([0.5, 2.5], [7, 8], label="measured")
    axis.set(xlabel="length (tokens)", ylabel="samples")
    found = {(one.name, one.unit): list(one.values) for one in columns(drawn)}
    assert found[("samples", "")] == [4, 0, 6] and found[("measured: samples", "")] == [7, 8]
    style.plt.close(drawn)


def test_csv_is_read_back():
    values = np.array([np.pi, -1e-30, 1e9, np.nan])
    table = [Column("with, comma", "µM", values), Column("words", "", ["=1+1", 'a "b"'])]
    head, *rows = csv.reader(io.StringIO(as_csv(table)))
    assert head == ["with, comma (µM)", "words"]
    np.testing.assert_allclose([float(row[0]) for row in rows[:3]], values[:3], rtol=1e-8)  # nine digits are written
    assert rows[3][0] == "" and [row[1] for row in rows] == [" =1+1", 'a "b"', "", ""]


def test_a_picture_has_title_words_command_and_table(figure):
    one = picture(figure, "Title", caption="What to see.", command="python -m x")
    assert one.alt.startswith("Title: one cell, concentration (µM) against time (s): calcium from 0 to 0.3265")
    assert (one.title, one.caption, one.command) == ("Title", "What to see.", "python -m x")
    assert one.csv.splitlines()[0].startswith("time (s),\"one cell, calcium: concentration (µM)\"")
