"""The command line: what it prints, and that no bad input gets further than one clear line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from astro_sim.models import MODELS
from astro_sim.recording.recording import Recording

ROOT = Path(__file__).parents[2]


def test_list_and_show(astro_sim):
    code, out, _ = astro_sim("list")
    assert code == 0
    assert all(name in out for name in MODELS)
    assert set(json.loads(astro_sim("list", "--json")[1])) == set(MODELS)
    code, out, _ = astro_sim("show", "macro")
    assert code == 0
    for part in ("dp_l/dt = (-gamma_l*p_l + kappa*s)/tau_pl", "tau_pl", "150", "second", "GraupnerBrunel2012", "b_pre",
                 "diffusive", "p_s", "not modelled"):
        assert part in out
    shown = json.loads(astro_sim("show", "li_rinzel:FM", "--json")[1])
    assert shown["parameters"]["K_P"]["value"] == 0.05
    assert json.loads(astro_sim("show", "li_rinzel", "--set-name", "FM", "--json")[1]) == shown


@pytest.mark.slow
def test_listing_and_showing_load_no_simulator():
    code = ("import sys, astro_sim.__main__, astro_sim.show.describe, astro_sim.models, astro_sim.plan, "
            "astro_sim.analysis\n"
            "print([m for m in ('brian2', 'scipy', 'sympy', 'xarray', 'pandas') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_run_writes_what_was_asked(astro_sim):
    words = ["run", "li_rinzel:FM", "--set", "K_P=0.06 umolar", "--set", "O_2 = 0.25 1/umolar/second", "--protocol",
             "square:input=ip3,high=0.6uM,low=0.1uM,start=0.5s,stop=1s", "--initial", "C=0.2 umolar",
             "--duration", "1500 ms", "--dt", "10ms", "--record-every", "50 ms",
             "--method", "rk2", "--seed", "5", "--out", "a.nc", "--json"]
    code, out, _ = astro_sim(*words)
    assert code == 0
    summary, recording = json.loads(out), Recording.load("a.nc")
    assert summary["hash"] == recording.hash
    assert summary["last_time_s"] == 1.5
    meta = recording.meta
    assert (meta["parameters"]["K_P"]["value"], meta["parameters"]["K_P"]["source"]) == (0.06, "set by the user")
    assert meta["parameters"]["C_T"]["source"] == "DePitta2009"
    assert (meta["seed"], meta["solver"]["method"], len(recording.time)) == (5, "rk2", 31)
    assert recording["C"].values[0, 0] == pytest.approx(0.2, rel=1e-12)
    code, out, _ = astro_sim("run", "macro", "--option", "n_pre=2", "--option", "coupling=diffusive",
                             "--duration", "50ms", "--dt", "5ms", "--out", "folder/b.nc")
    assert code == 0
    assert "folder/b.nc" in out
    assert Recording.load("folder/b.nc")["x"].values.shape == (11, 5)


def test_dry_run_checks_and_writes_nothing(astro_sim, tmp_path):
    code, out, _ = astro_sim("run", "macro", "--protocol", "cycles:input=b_pre,high=1,period=11.5s", "--out", "a.nc",
                             "--dry-run")
    assert code == 0
    assert "60000 steps" in out
    code, out, _ = astro_sim("run", "macro", "--dry-run", "--json", "--seed", "3")
    assert json.loads(out)["seed"] == 3
    assert astro_sim("run", "macro", "--dry-run", "--set", "tau_n=-1 s")[0] == 2
    assert list(tmp_path.iterdir()) == []


RUN = ("run", "li_rinzel", "--duration", "100 ms", "--dt", "10 ms", "--out", "new.nc")
BAD = [
    (("run", "li_rintzel"), "unknown model 'li_rintzel' (did you mean 'li_rinzel'?); choose one of: "
     + ", ".join(sorted(MODELS))),
    (("show", "nothing"), "unknown model 'nothing'"),
    (("run", "li_rinzel:XX"), "unknown parameter set of li_rinzel 'XX'; choose one of: AM, "),
    (("run", "li_rinzel:AM", "--set-name", "FM"), "contradict"),
    ((*RUN, "--set", "K_P=0.1 second"), "K_P: '0.1 second' has the wrong dimension"),
    ((*RUN, "--set", "K_P=0.1"), "K_P: '0.1' has no unit; give a value in umolar"),
    ((*RUN, "--set", "K_P=-0.1 umolar"), "K_P: -0.1 umolar is not allowed"),
    ((*RUN, "--set", "K_P=nan umolar"), "K_P: 'nan umolar' is not a number"),
    ((*RUN, "--set", "K_P=1 parsec"), "K_P: unknown unit 'parsec'"),
    ((*RUN, "--set", "K_P"), "--set: 'K_P' is not NAME=VALUE"),
    ((*RUN, "--set", "K_P=1 uM", "--set", "K_P=2 uM"), "K_P is given twice"),
    ((*RUN, "--set", "K_Q=1 umolar"), "unknown parameter of li_rinzel 'K_Q' (did you mean 'K_P'?)"),
    (("run", "macro", "--set", "tau_n=-0.1 s", "--out", "new.nc"), "tau_n: -0.1 second is not allowed"),
    (("run", "macro", "--set", "D=1", "--out", "new.nc"), "D: takes no part in macro with"),
    (("run", "macro", "--option", "size=3", "--out", "new.nc"), "unknown option of macro 'size'"),
    (("run", "macro", "--option", "n_pre=0", "--out", "new.nc"), "option n_pre: '0' is not allowed"),
    (("run", "macro", "--option", "coupling=strong", "--out", "new.nc"), "choose one of: dense, diffusive, none"),
    (("run", "macro", "--option", "n_pre=9999", "--option", "n_post=9999", "--out", "new.nc"), "99980001 elements"),
    (("run", "macro", "--option", "n_pre=99", "--option", "n_post=99", "--option", "dense_sum=pairs", "--duration",
      "1s", "--out", "new.nc"), "or fewer elements"),
    ((*RUN, "--protocol", "sinus:input=ip3"), "unknown protocol 'sinus'"),
    ((*RUN, "--protocol", "constant:input=b,value=1 umolar"), "unknown input of li_rinzel 'b'; choose one of: ip3"),
    ((*RUN, "--protocol", "constant:input=ip3,value=1 s"), "wrong dimension"),
    ((*RUN, "--initial", "C=-1 umolar"), "C: -1 umolar is not allowed"),
    ((*RUN, "--initial", "I=1 umolar"), "unknown initial value of li_rinzel 'I'"),
    ((*RUN, "--duration", "0 s"), "duration: 0 s is not allowed"),
    ((*RUN, "--duration", "60"), "duration: '60' has no unit; give a value in second"),
    ((*RUN, "--duration", "-1 s"), "duration: -1 s is not allowed"),
    ((*RUN, "--dt", "0 ms"), "dt: 0 ms is not allowed"),
    ((*RUN, "--dt", "1 s"), "dt: 1 s is longer than the duration"),
    ((*RUN, "--duration", "1e9 s"), "steps"),
    ((*RUN, "--record-every", "15 ms"), "record_every: 0.015 s is not allowed"),
    ((*RUN, "--method", "rk5"), "unknown method 'rk5'"),
    ((*RUN, "--backend", "fortran"), "unknown backend 'fortran'; choose one of: auto, cpp, cython, numpy, scipy"),
    ((*RUN, "--seed", "-1"), "seed: -1 is not allowed"),
    (("show", "li_rinzel", "--json", "--markdown"), "--json and --markdown contradict each other; give one"),
    (("run", "li_rinzel"), "--out is missing"),
    (("run", "li_rinzel", "--out", "."), "is a folder"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(words)[:60] for words, _ in BAD])
def test_bad_input_is_one_clear_line_and_nothing_is_written(astro_sim, tmp_path, words, says):
    code, out, err = astro_sim(*words)
    assert code in (2, 4)
    assert (code == 4) == ("elements" in says)
    assert err.startswith("error: ")
    assert says in err
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_step_that_is_too_large_is_found_by_what_comes_out(astro_sim, tmp_path):
    code, out, err = astro_sim("run", "li_rinzel", "--method", "rk4", "--dt", "5 s", "--out", "new.nc")
    assert (code, out, list(tmp_path.iterdir())) == (2, "", [])
    assert err.splitlines()[-1].startswith("error: dt: 5 s is too large: C leaves its bounds")


@pytest.mark.slow
def test_a_recording_is_not_overwritten_unless_forced(astro_sim, tmp_path):
    (tmp_path / "new.nc").write_text("precious")
    code, _, err = astro_sim(*RUN)
    assert (code, "already exists" in err) == (2, True)
    assert (tmp_path / "new.nc").read_text() == "precious"
    code, _, err = astro_sim("run", "li_rinzel", "--method", "rk4", "--dt", "5 s", "--out", "new.nc", "--force")
    assert (code, (tmp_path / "new.nc").read_text()) == (2, "precious")  # a run that failed replaces nothing
    assert astro_sim(*RUN, "--force")[0] == 0
    assert len(Recording.load(tmp_path / "new.nc").time) == 11


def test_an_out_that_cannot_be_written_is_found_before_the_run(astro_sim, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").mkdir(mode=0o500)
    places = ["file/new.nc", "/proc/new.nc"] + (["locked/new.nc"] if os.geteuid() else [])
    for place in places:
        code, out, err = astro_sim(*RUN[:-1], place)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1


@pytest.mark.slow
def test_an_interrupted_run_says_130_and_keeps_its_part_under_another_name(astro_sim, tmp_path, monkeypatch):
    """Brian2 takes Ctrl-C itself and ends the run early; a part of a run must not pass for the whole."""
    import brian2

    start = brian2.Network.run

    def interrupted(self, *args, **kwargs):
        self.add(brian2.NetworkOperation(lambda t: t > 0.05 * brian2.second and os.kill(os.getpid(), signal.SIGINT)))
        return start(self, *args, **kwargs)

    monkeypatch.setattr(brian2.Network, "run", interrupted)
    code, out, err = astro_sim(*RUN, "--method", "rk4")
    assert (code, out, "Traceback" in err) == (130, "", False)
    assert list(tmp_path.iterdir()) == [tmp_path / "new.partial.nc"]


@pytest.mark.slow
def test_the_program_itself(tmp_path):
    """As a user starts it: exit codes and streams of the real process."""
    start = [sys.executable, "-m", "astro_sim"]
    done = subprocess.run([*start, "run", "li_rinzel", "--set", "K_P=1 s", "--out", str(tmp_path / "a.nc")],
                          capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: K_P: ")
    done = subprocess.run([*start, "run", "li_rinzel", "--duration", "0.1 s", "--out", str(tmp_path / "a.nc")],
                          capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nsolver lsoda of scipy, rtol " in done.stdout
    assert "101 records to 0.1 s" in done.stdout


def test_every_verb_that_prints_a_result_prints_it_as_json(astro_sim):
    from astro_sim.__main__ import VERBS

    for verb in VERBS:
        code, out, _ = astro_sim(verb, "--help")
        assert (code, "--json" in out) == (0, True), verb


@pytest.mark.parametrize(("words", "says"), [
    (("run", "macro", "--durationn", "3 s"), "unknown option '--durationn'; did you mean '--duration'?; see "),
    (("run", "macro", "--zzz"), "unknown option '--zzz'; see "),
    (("swep", "macro"), "unknown verb 'swep' (did you mean 'sweep'?); choose one of: analyse, "),
    (("simulate",), "unknown verb 'simulate'; choose one of: analyse, "),
    (("run",), "MODEL is missing; see "),
    (("plot", "a.nc"), "--out is missing; see "),
    (("run", "macro", "--out"), "--out needs a value"),
    (("run", "macro", "--check-dt=3"), "--check-dt takes no value"),
    (("list", "macro"), "unexpected argument 'macro'; see "),
    (("run", "macro", "--seed", "x"), "--seed: 'x' is not allowed; give a whole number; see "),
])
def test_what_is_typed_wrong_is_said_in_one_line(astro_sim, words, says):
    code, out, err = astro_sim(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {says}")


@pytest.mark.slow
def test_what_to_cite_is_bibtex_of_the_sources_that_are_used(astro_sim):
    code, out, _ = astro_sim("cite", "li_rinzel:FM")
    assert code == 0
    for part in ("@article{LiRinzel1994,", "@article{DePitta2009,", "@software{astro_rmaat,"):
        assert out.count(part) == 1
    assert out.count("{") == out.count("}")
    assert "Nadkarni" not in out, "another model's"
    assert list(json.loads(astro_sim("cite", "li_rinzel:FM", "--json")[1])["entries"]) == [
        "LiRinzel1994", "DePitta2009", "astro_rmaat"]
    assert astro_sim(*RUN)[0] == 0
    assert astro_sim("cite", "new.nc")[1] == out
