"""A step that is too large is found after the run, in each way it can show, and the advice given works."""

import re

import pytest

from astro_sim.run.simulation import simulate
from foundation.errors import UserError


@pytest.mark.slow
@pytest.mark.parametrize(("model", "given", "says"), [
    ("li_rinzel", {"dt": "5 s"}, "C leaves its bounds"),
    ("li_rinzel", {"dt": "1 s"}, "C changes by more than half of its range"),
    ("macro", {"dt": "300 ms"}, "x leaves its bounds"),
    ("macro", {"dt": "21 ms", "duration": "5 s", "options": {"coupling": "diffusive", "coupling_scheme": "held"},
               "protocol": "constant:input=d,value=0.1,elements=4"}, "p_s turns back at every step"),
    ("macro", {"dt": "300 ms", "record_every": "3 s"}, "x leaves its bounds"),
    ("macro", {"dt": "9 s", "duration": "400 s"}, "is not finite|leaves its bounds"),
])
def test_too_large_a_step_is_an_error_with_a_step_that_works(model, given, says):
    given = {"duration": "60 s", "method": "rk4", **given}
    with pytest.raises(UserError, match=says) as error:
        simulate(model, **given)
    assert str(error.value).startswith("dt: ")
    advice = re.search(r"dt = (\S+) s passes", str(error.value))
    assert advice, str(error.value)
    simulate(model, **{**given, "dt": float(advice[1]), "record_every": None})


@pytest.mark.slow
@pytest.mark.parametrize(("model", "dt"), [("li_rinzel", "100 ms"), ("macro", "20 ms")])
def test_a_good_step_is_not_blamed(model, dt):
    protocol = "cycles:input=b_pre,high=1,period=5s,count=3" if model == "macro" else None
    recording = simulate(model, protocol, duration="20 s", dt=dt)
    assert recording.meta["solver"]["dt_s"] == pytest.approx(float(dt.split()[0]) / 1000)
