"""Bad input of every kind through every verb: one clear line, an exit code, nothing written."""


import pytest

from astro_sim.run.simulation import simulate


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a recording that is whole."""
    path = tmp_path_factory.mktemp("good") / "a.nc"
    simulate("li_rinzel", duration="1 s", dt="20 ms").save(path)
    return path.read_bytes()


def refused(answer, code, says):
    found, out, err = answer
    assert (found, out) == (code, ""), err
    assert err.startswith("error: ") and err.count("\n") == 1 and says in err and "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "says"), [
    (lambda whole: b"", "cannot be read as a recording"), (lambda whole: b"\x89HDF\r\n\x1a\n", "truncated"),
    (lambda whole: whole[: len(whole) // 2], "cannot be read"), (lambda whole: b"time,C\n0,0.1\n", "foreign"),
    (lambda whole: whole[:-1], "cannot be read|SHA-256"),
    (lambda whole: whole.replace(b"umolar", b"mmolar"), "SHA-256"),
    (lambda whole: whole.replace(b"astro_sim recording", b"someone's recording"), "SHA-256")])
@pytest.mark.parametrize("verb", [("analyse",), ("plot", "--out", "p.png")])
def test_damaged_files(astro_sim, tmp_path, good, verb, spoil, says):
    (tmp_path / "bad.nc").write_bytes(spoil(good))
    code, out, err = astro_sim(verb[0], "bad.nc", *verb[1:])
    assert (code, out) == (3, ""), err
    assert err.startswith("error: bad.nc") and err.count("\n") == 1, err
    assert any(part in err for part in says.split("|")), err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.nc"]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "says"), [
    (("analyse", "none.nc"), "none.nc is not a file"), (("analyse", "."), "is not a file"),
    (("analyse", "a.nc", "--after", "5"), "after: '5' has no unit"),
    (("analyse", "a.nc", "--after", "2 s"), "after: 2 s leaves 0 records"),
    (("analyse", "a.nc", "--after", "nan s"), "after: 'nan s' is not a number"),
    (("analyse", "a.nc", "--after", "1 uM"), "wrong dimension"),
    (("show", "li_rinzel:am"), "unknown parameter set of li_rinzel 'am' (did you mean 'AM'?)"),
    (("show", ""), "unknown model ''"), (("show", "x" * 5000), "unknown model"),
    (("show", "gchi:AM", "--set-name", "FM"), "contradict"),
    (("scan", "li_rinzel", "--over", "ip3=0:inf:20"), "ip3"), (("scan", "li_rinzel", "--over", "ip3=a:1:20"), "ip3"),
    (("scan", "li_rinzel", "--over", "ip3=nan:1:20"), "ip3"), (("scan", "li_rinzel", "--over", ""), "cannot be read"),
    (("scan", "li_rinzel", "--over", "ip3=0:1:99999"), "10 to 5000 points"),
    (("scan", "li_rinzel", "--over", "ip3=-1:1:20"), "zero or above"),
    (("scan", "graupner_brunel", "--over", "pre=0:1:20"), "unknown input"),
    (("scan", "li_rinzel_driven", "--over", "ip3_flux=0:1:20"), "one uncoupled population"),
    (("scan", "li_rinzel", "--over", "ip3=0:1:20", "--out", "a.nc"), "already exists"),
    (("sweep", "li_rinzel", "--vary", "K_P=0.05", "--out", "s"), "K_P"),
    (("sweep", "li_rinzel", "--vary", "K_P=", "--out", "s"), "not NAME=VALUE"),
    (("sweep", "li_rinzel", "--vary", "K_Q=1 uM,2 uM", "--out", "s"), "did you mean 'K_P'"),
    (("sweep", "li_rinzel", "--vary", "K_P=1 uM", "--shard", "3/2", "--out", "s"), "shard"),
    (("sweep", "li_rinzel", "--vary", "K_P=1 uM", "--workers", "0", "--out", "s"), "workers"),
    (("sweep", "none", "--vary", "K_P=1 uM", "--out", "s"), "unknown model 'none'"),
    (("run", "associative_memory", "--option", "patterns=++,+", "--out", "n.nc"), "rows of + and - of one length"),
    (("run", "associative_memory", "--option", "patterns=++-,+-+", "--out", "n.nc"), "set n_patterns=2 and n=3"),
    (("run", "astrocyte_network", "--option", "n_columns=1e9", "--out", "n.nc"), "n_columns: '1e9' is not allowed"),
    (("run", "astrocyte_network", "--option", "layout=tube", "--out", "n.nc"), "choose one of: line, ring, sheet"),
    (("run", "gchi", "--option", "n=-3", "--out", "n.nc"), "option n: '-3' is not allowed"),
    (("run", "li_rinzel", "--protocol", "ramp:input=ip3,times=0s+1s,values=.1uM+1s", "--out", "n.nc"),
     "wrong dimension"),
    (("run", "li_rinzel", "--protocol", "ramp:input=ip3,times=1s+0s,values=.1uM+.2uM", "--out", "n.nc"),
     "rise from 0 s"),
    (("run", "li_rinzel", "--protocol", "constant:input=ip3,value=-1 umolar", "--out", "n.nc", "--duration", "1s"),
     "input ip3: -1 umolar is not allowed; 'IP3 concentration' must be zero or above"),
    (("run", "gchi", "--protocol", "ramp:input=glutamate,times=0s+9s,values=1 uM+-1 nM", "--out", "n.nc"),
     "must be zero or above"),
    (("run", "li_rinzel", "--initial", "C=1.9 umolar", "--out", "n.nc", "--duration", "1s"), "at the start"),
    (("run", "gchi_stochastic", "--method", "rk4", "--out", "n.nc"), "rk4 cannot handle noise"),
    (("run", "tripartite", "--protocol", "regular:input=spikes,rate=-5 hertz,count=3", "--out", "n.nc"), "above zero"),
    (("run", "tripartite", "--protocol", "poisson:input=spikes,rate=5 hertz,stop=1s,seed=1.5", "--out", "n.nc"),
     "seed: 1.5"),
    (("run", "graupner_brunel", "--protocol", "pairing:offset=10,count=3", "--out", "n.nc"),
     "offset: '10' has no unit"),
    (("run", "li_rinzel", "--set", "=1 uM", "--out", "n.nc"), "not NAME=VALUE"),
    (("run", "li_rinzel", "--dt", "1e-400 s", "--out", "n.nc"), "dt"),
    (("run", "li_rinzel", "--dt", "abc", "--out", "n.nc"), "dt: 'abc' is not a number"),
])
def test_bad_words(astro_sim, tmp_path, good, words, says):
    (tmp_path / "a.nc").write_bytes(good)
    refused(astro_sim(*words), 2, says)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]
    assert (tmp_path / "a.nc").read_bytes() == good
