"""Ctrl-C: what was recorded is kept, marked, and cannot pass for the whole; the progress that a long run shows."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astro_sim.plan import plan_of, prepare
from astro_sim.recording.recording import PartialRecording, Recording
from astro_sim.run.simulation import Interrupted, run, simulate
from foundation.cli import PROGRESS

ROOT = Path(__file__).parents[2]


def _press_ctrl_c_at(monkeypatch, seconds):
    """One SIGINT to this process out of a running simulation."""
    import brian2

    start, pressed = brian2.Network.run, []

    def press(t):
        if not pressed and t > seconds * brian2.second:
            pressed.append(t)
            os.kill(os.getpid(), signal.SIGINT)

    def interrupted(self, *args, **kwargs):
        self.add(brian2.NetworkOperation(press, dt=10 * brian2.ms))
        return start(self, *args, **kwargs)

    monkeypatch.setattr(brian2.Network, "run", interrupted)


@pytest.mark.slow
@pytest.mark.parametrize("taken", [False, True], ids=["Brian2 has it", "another program has it"])
def test_what_was_recorded_is_the_beginning_of_the_whole(tmp_path, monkeypatch, taken):
    import brian2  # noqa: F401 - takes Ctrl-C, the first time

    before = signal.getsignal(signal.SIGINT)
    if taken:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _stopped_run_is_the_beginning(tmp_path, monkeypatch)
        assert not taken or signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def _stopped_run_is_the_beginning(tmp_path, monkeypatch):
    given = {"duration": "1 s", "dt": "10 ms", "method": "rk4"}
    whole = simulate("li_rinzel", **given)
    _press_ctrl_c_at(monkeypatch, 0.285)
    with pytest.raises(Interrupted) as stop:
        simulate("li_rinzel", **given)
    kept = stop.value.kept
    assert kept.partial
    assert kept.meta["reached_s"] == stop.value.reached == pytest.approx(0.29)
    assert np.array_equal(kept["C"].values, whole["C"].values[:30])
    assert kept.hash != whole.hash
    assert not whole.partial
    kept.save(tmp_path / "a.nc")
    with pytest.warns(PartialRecording, match=r"li_rinzel: partial, stopped at 0.29 s of 1 s"):
        back = Recording.load(tmp_path / "a.nc")
    assert back.content_hash == kept.content_hash
    assert plan_of(back.meta) == prepare("li_rinzel", **given)  # what to run for the whole
    assert isinstance(stop.value, KeyboardInterrupt)  # code that knows nothing of it stops as usual


@pytest.mark.slow
def test_a_partial_run_is_checked_for_what_can_be_seen(monkeypatch):
    """Alternation and jumps are of the whole range; a value that is not finite or out of bounds is an error at once."""
    from foundation.errors import UserError

    _press_ctrl_c_at(monkeypatch, 15.0)
    with pytest.raises(UserError, match="x leaves its bounds"):
        run(prepare("macro", duration="60 s", dt="300 ms", method="rk4"))


@pytest.mark.slow
def test_sigint_to_the_program(tmp_path):
    """As a user does it: exit code, one line, the file beside the name that only a whole recording gets."""
    out = tmp_path / "calcium.nc"
    words = ["run", "li_rinzel", "--duration", "1e4 s", "--dt", "1 ms", "--out", str(out), "--stream", "--backend",
             "numpy"]
    # the bar's plain lines say that steps are being made
    code = ("from foundation import cli; start = cli.Progress.__init__\n"
            "def often(self, *a, **k): start(self, *a, **k); self.every = 0\n"
            "cli.Progress.__init__ = often\n"
            "import runpy; runpy.run_module('astro_sim', run_name='__main__')")
    shows_progress = {name: value for name, value in os.environ.items() if name != PROGRESS}
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, cwd=ROOT, env=shows_progress)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "0 % after" in line and len(lines) == 3:
                process.send_signal(signal.SIGINT)
        process.wait()
    finally:
        process.kill()
    assert process.returncode == 130, lines
    assert process.stdout.read() == ""
    assert lines[0].startswith("li_rinzel, 10000 s: 0 % after")
    kept = tmp_path / "calcium.partial.nc"
    assert lines[-1].startswith("stopped at ")
    assert lines[-1].endswith(f"s of 10000 s: what was recorded until then is in {kept}\n")
    assert list(tmp_path.iterdir()) == [kept]
    with pytest.warns(PartialRecording):
        back = Recording.load(kept)
    assert 0 < back.time[-1] < 1e4
    assert len(back["C"].values) == len(back.time)
    assert f"{back.time[-1]:g} s" in lines[-1]
