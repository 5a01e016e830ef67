"""Recordings: what is written is what is read; what was cut, altered or is not ours is refused; the hash's causes."""

import numpy as np
import pytest

from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from foundation.errors import DamagedFileError, UserError

PROTOCOL = "square:input=ip3,high=0.6 umolar,low=0.2 umolar,start=1s,stop=2s"


@pytest.fixture(scope="module")
def recording():
    return simulate("li_rinzel", PROTOCOL, duration="3 s", dt="20 ms", seed=7)


@pytest.fixture(scope="module")
def whole(recording, tmp_path_factory):
    return recording.save(tmp_path_factory.mktemp("recordings") / "whole.nc")


@pytest.mark.slow
def test_comes_back_bit_by_bit(recording, whole):
    back = Recording.load(whole)
    assert (back.hash, back.content_hash, back.meta) == (recording.hash, recording.content_hash, recording.meta)
    assert back.time.dtype == np.float64
    assert np.array_equal(back.time, recording.time)
    for name, series in recording.variables.items():
        assert np.array_equal(back[name].values, series.values)
        for part in ("unit", "long_name", "labels", "population"):
            assert getattr(back[name], part) == getattr(series, part)


@pytest.mark.slow
def test_places_come_back_too(tmp_path):
    recording = simulate("macro", duration="0.1 s", dt="10 ms", record_every="50 ms")
    back = Recording.load(recording.save(tmp_path / "a" / "macro.nc"))  # the folder is made
    assert back["p_s"].positions.tolist()[5] == [1.0, 2.0]
    assert back["x"].positions is None
    assert back.time.tolist() == [0.0, 0.05, 0.1]


def test_others_can_read_it(whole):
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(whole, engine="h5netcdf") as data:
        assert data["C"].attrs == {"units": "umolar", "long_name": "calcium concentration in the cytosol"}
        assert data["C"].dims == ("time", "astrocyte")
        assert data.attrs["model"] == "li_rinzel"


TRIPARTITE = {"options": {"n_synapses": 3, "n_astrocytes": 2}, "duration": "0.3 s", "dt": "10 ms"}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "given", "events"), [
    ("macro", {"duration": "0.1 s", "dt": "10 ms"}, {}),  # places, several populations
    ("tripartite", TRIPARTITE, {"releases": 0}),          # a map, and events of which there is none
    ("tripartite", {**TRIPARTITE, "initial": {"C": "0.6 umolar"}}, {"releases": 2})])
def test_the_file_is_what_h5netcdf_writes(tmp_path, model, given, events):
    """`netcdf.write` is quicker, nothing else: every dataset, dimension and attribute, down to the kinds of HDF5."""
    import xarray

    recording = simulate(model, **given)
    assert {name: len(seen.times) for name, seen in recording.events.items()} == events
    ours, theirs = recording.save(tmp_path / "ours.nc"), tmp_path / "theirs.nc"
    recording.to_xarray().to_netcdf(theirs, engine="h5netcdf")
    xarray.testing.assert_identical(xarray.load_dataset(ours), xarray.load_dataset(theirs))
    assert _in_hdf5(ours) == _in_hdf5(theirs)


def _in_hdf5(path):
    """Datasets and attributes by name, but not the writer's name, nor what h5netcdf repeats at variables: the number of
    their first dimension."""
    import h5py

    with h5py.File(path) as file:
        def told(one):
            return {key: (one.attrs.get_id(key).dtype, _plain(file, key, value)) for key, value in one.attrs.items()
                    if key != "_NCProperties" and (key != "_Netcdf4Dimid" or "CLASS" in one.attrs)}

        return {"/": told(file), **{name: (data.dtype, data.shape, data.maxshape, data.chunks, repr(data.fillvalue),
                                           told(data)) for name, data in file.items()}}


def _plain(file, key, value):
    """An attribute, references as the names that they point to."""
    if key == "REFERENCE_LIST":
        return sorted((file[reference].name, int(axis)) for reference, axis in value)
    if key == "DIMENSION_LIST":
        return [[file[reference].name for reference in axis] for axis in value]
    return repr(value)


@pytest.mark.slow
def test_the_last_record_reaches_the_duration():
    for duration, dt, last in ((1.0, 0.01, 1.0), (1.005, 0.01, 1.01), (0.3, 0.1, 0.3), (68.952, 0.04, 68.96)):
        recording = simulate("li_rinzel", duration=duration, dt=dt)
        assert recording.time[-1] == pytest.approx(last, rel=1e-12)
        assert len(recording.time) == round(last / dt) + 1


def test_meta_says_how_it_came_about(recording):
    meta = recording.meta
    assert meta["parameters"]["K_P"] == {"value": 0.1, "unit": "umolar", "source": "DePitta2009", "basis": "fitted",
                                         "meaning": "calcium affinity of SERCA pumps"}
    assert meta["protocol"][0]["values"] == ["0.2 umolar", "0.6 umolar", "0.2 umolar"]
    assert meta["solver"] | {"dt_s": 0.02, "method": "lsoda", "backend": "scipy", "steps": 150} == meta["solver"]
    assert (meta["seed"], meta["parameter_set"]) == (7, "AM")
    assert {"brian2", "numpy", "scipy", "python", "astro-rmaat"} <= meta["versions"].keys()
    assert "Omega_C*(m*h)**3" in meta["equations"]["astrocyte"]


@pytest.mark.slow
def test_the_hash_is_that_of_its_causes(recording):
    given = {"duration": "3 s", "dt": "20 ms", "seed": 7}
    assert simulate("li_rinzel", PROTOCOL, **given).content_hash == recording.content_hash
    others = [simulate("li_rinzel:FM", PROTOCOL, **given), simulate("li_rinzel", **given),
              simulate("li_rinzel", PROTOCOL, **{**given, "seed": 8}),
              simulate("li_rinzel", PROTOCOL, **{**given, "dt": "10 ms"}),
              simulate("li_rinzel", PROTOCOL, **given, parameters={"K_P": "0.11 umolar"}),
              simulate("li_rinzel", PROTOCOL, **given, initial={"C": "0.1 umolar"}),
              simulate("li_rinzel", PROTOCOL, **given, method="rk2")]
    assert len({recording.hash, *(other.hash for other in others)}) == 1 + len(others)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(whole, tmp_path, share):
    data = whole.read_bytes()
    (tmp_path / "cut.nc").write_bytes(data[: int(share * len(data))])
    with pytest.raises(DamagedFileError, match=r"cut\.nc"):
        Recording.load(tmp_path / "cut.nc")


def test_an_altered_number_is_refused(recording, whole, tmp_path):
    data = bytearray(whole.read_bytes())
    at = bytes(data).find(recording["C"].values[75:77].astype("<f8").tobytes())
    assert at > 0
    data[at] ^= 1  # the lowest bit of one number
    (tmp_path / "altered.nc").write_bytes(data)
    with pytest.raises(DamagedFileError, match="SHA-256"):
        Recording.load(tmp_path / "altered.nc")


@pytest.mark.parametrize(("old", "new"), [(b"umolar", b"mmolar"), (b'"seed":7', b'"seed":8'), (b"whole", b"part!")])
def test_an_altered_label_is_refused(whole, tmp_path, old, new):
    data = whole.read_bytes()
    if old not in data:
        old, new = b"calcium concentration", b"calcium koncentration"
    (tmp_path / "altered.nc").write_bytes(data.replace(old, new))
    with pytest.raises(DamagedFileError):
        Recording.load(tmp_path / "altered.nc")


def test_any_flipped_byte_is_refused_or_harmless(recording, whole, tmp_path):
    """Wherever a byte is flipped, either the load says so or everything that was recorded is unchanged."""
    data, path = whole.read_bytes(), tmp_path / "flipped.nc"
    for at in range(0, len(data), len(data) // 60):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1:])
        try:
            loaded = Recording.load(path)
        except DamagedFileError:
            continue
        assert loaded.content_hash == recording.content_hash


def test_foreign_files_are_refused(tmp_path):
    xarray = pytest.importorskip("xarray")
    xarray.Dataset({"a": ("time", [1.0, 2.0])}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    (tmp_path / "text.nc").write_text("time,C\n0,0.1\n")
    for name in ("foreign.nc", "text.nc"):
        with pytest.raises(DamagedFileError, match=name):
            Recording.load(tmp_path / name)
    for missing in (tmp_path / "missing.nc", tmp_path):
        with pytest.raises(UserError, match="not a file"):
            Recording.load(missing)


def test_nothing_half_written_stays_behind(recording, tmp_path, monkeypatch):
    kept = recording.save(tmp_path / "kept.nc").read_bytes()

    def fails(self, *args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("h5py.Group.create_dataset", fails)
    with pytest.raises((OSError, UserError)):
        recording.save(tmp_path / "kept.nc")
    assert (tmp_path / "kept.nc").read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["kept.nc"]


def test_what_is_not_in_it_is_named(recording):
    with pytest.raises(UserError, match=r"unknown variable of the recording 'Ca'.*choose one of: C, h"):
        recording["Ca"]
    with pytest.raises(UserError, match="unknown parameter of li_rinzel"):
        recording.parameter("tau")


@pytest.mark.slow
def test_the_last_record_is_there_however_rare_records_are():
    """A step more than the duration is 1e-4 of the interval or less here, which Brian2 takes for rounding."""
    options = {"n_pre": 1, "n_post": 1, "coupling": "none"}
    found = simulate("macro", "constant:input=d,value=1", options=options, duration=11.0, dt=1e-3, record_every=11.0,
                     method="euler")
    assert found.time.tolist() == [0.0, 11.0]
