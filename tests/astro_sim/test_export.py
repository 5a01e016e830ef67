"""Recordings in other formats, read back by others alone: numbers to the last bit, units, events, parameters."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from astro_sim.recording.recording import Recording
from astro_sim.recording.series import Events, Series
from foundation.errors import UserError

PARAMETERS = {"tau": {"value": 0.3, "unit": "second", "meaning": "time constant", "source": "assumed here",
                      "basis": "assumed"}}


@pytest.fixture
def recording():
    random, time = np.random.default_rng(5), np.arange(7) * 0.1
    return Recording(time, {
        "v": Series(random.standard_normal((7, 3)), "mvolt", "membrane potential", "neuron", ("a", "b 1", "c")),
        "h": Series(random.random((7, 1)), "1", "inactivation", "astrocyte", ("0",))},
        {"model": "by hand", "parameter_set": "one", "parameters": PARAMETERS},
        {"spikes": Events(np.array([0.1, 0.2, 0.3]), np.array([2, 0, 2]), "neuron", "spikes"),
         "releases": Events(np.array([0.5]), np.array([0]), "astrocyte", "releases")})


def test_csv_is_read_back_by_pandas_to_the_last_bit(recording, tmp_path):
    written = recording.export(tmp_path / "r.csv")
    assert [path.name for path in written] == ["r.csv", "r.spikes.csv", "r.releases.csv"]
    frame = pd.read_csv(tmp_path / "r.csv")
    assert list(frame) == ["time (second)", "v[a] (mvolt)", "v[b 1] (mvolt)", "v[c] (mvolt)", "h"]
    # pandas' quick reader may err in the last digit; numpy's does not
    np.testing.assert_allclose(frame.iloc[:, 1:4], recording["v"].values, rtol=1e-15)
    exact = np.loadtxt(tmp_path / "r.csv", delimiter=",", skiprows=1)
    assert np.array_equal(exact, np.column_stack([recording.time, recording["v"].values, recording["h"].values]))
    spikes = pd.read_csv(tmp_path / "r.spikes.csv")
    assert spikes.to_dict("list") == {"time (second)": [0.1, 0.2, 0.3], "element": [2, 0, 2], "label": ["c", "a", "c"]}


def test_a_csv_is_data_for_a_fit(tmp_path):
    """What export writes, the fit reads: heads with units."""
    from astro_sim.plan import prepare
    from astro_sim.run.fitting.observations import observations

    values = np.array([[0.1], [0.2], [0.3]])
    made = Recording(np.array([0.0, 0.5, 1.0]), {
        "C": Series(1000 * values, "nmolar", "calcium", "astrocyte", ("0",)),
        "h": Series(values, "1", "inactivation", "astrocyte", ("0",))}, {"model": "by hand"})
    made.export(tmp_path / "c.csv")
    c, h = observations(tmp_path / "c.csv", prepare("li_rinzel", duration="1 s"), bare=False)
    np.testing.assert_allclose(c.values, values[:, 0], rtol=1e-14)
    assert np.array_equal(h.values, values[:, 0])


def test_a_recording_is_read_by_plain_xarray(recording, tmp_path):
    with xr.open_dataset(recording.save(tmp_path / "r.nc")) as data:
        assert np.array_equal(data["v"].sel(neuron="b 1"), recording["v"].values[:, 1])
        assert (data["v"].attrs["units"], data["time"].attrs["units"]) == ("mvolt", "second")
        assert data["spikes_time"].values.tolist() == [0.1, 0.2, 0.3] and json.loads(data.attrs["meta"])["model"]
        frame = data["v"].to_dataframe()["v"].unstack()
    assert np.array_equal(frame[["a", "b 1", "c"]], recording["v"].values)


def test_parquet_keeps_numbers_and_units(recording, tmp_path):
    pytest.importorskip("pyarrow")
    recording.export(tmp_path / "r.parquet")
    frame = pd.read_parquet(tmp_path / "r.parquet")
    assert np.array_equal(frame[["v[a]", "v[b 1]", "v[c]"]], recording["v"].values)
    assert np.array_equal(frame.index, recording.time) and frame.attrs["units"]["v[a]"] == "mvolt"


def test_nwb_validates_and_is_read_back_by_pynwb(recording, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    path, = recording.export(tmp_path / "r.nwb")
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), "r") as file:
        read = file.read()
        module = read.processing["simulation"]
        assert np.array_equal(module["v"].data[:], recording["v"].values) and module["v"].unit == "mvolt"
        assert np.array_equal(module["h"].timestamps[:], recording.time)
        assert [times.tolist() for times in read.units["spike_times"][:]] == [[0.2], [], [0.1, 0.3]]
        assert module["releases"].to_dataframe()["time"].tolist() == [0.5]
        table = module["parameters"].to_dataframe()
        assert table[["symbol", "value", "unit"]].values.tolist() == [["tau", 0.3, "second"]]
        assert json.loads(read.notes) == recording.meta and read.identifier == recording.content_hash


@pytest.mark.parametrize(("kind", "module"), [("nwb", "pynwb"), ("parquet", "pyarrow")])
def test_an_extra_that_is_missing_is_said(recording, tmp_path, monkeypatch, kind, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(UserError, match=rf"not installed; install it with: pip install 'astro-rmaat\[{kind}\]'"):
        recording.export(tmp_path / f"r.{kind}")
    assert not list(tmp_path.iterdir())


def test_the_verb(recording, tmp_path, astro_sim):
    recording.save(tmp_path / "r.nc")
    assert astro_sim("export", "r.nc", "--to", "csv")[:2] == (0, "r.csv\nr.spikes.csv\nr.releases.csv\n")
    assert astro_sim("export", "r.nc", "--to", "csv")[0] == 2, "it is there"
    assert astro_sim("export", "r.nc", "--out", "other.csv", "--json")[0] == 0
    for words, says in (((), "--to is missing"), (("--to", "xlsx"), "choose one of: csv, nwb, parquet")):
        code, _, said = astro_sim("export", "r.nc", *words)
        assert code == 2 and says in said
