"""The solver with error control against the published equations, written out anew and solved by scipy's DOP853.

Nothing here is read from the project but its parameter values. Differences are relative to each variable's range; the
references are solved to 1e-13, so that 1e-9 is far above what either can be wrong by, and far below what matters.
"""

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim import simulate
from astro_sim.models.astrocyte_network import MODEL as NETWORK
from foundation.errors import UserError

CLOSE = 1e-9
UM = 1.0  # concentrations in uM throughout


def values_of(recording):
    """Parameters by name, concentrations in uM (every unit of these models is one of uM and seconds)."""
    return {name: one["value"] for name, one in recording.meta["parameters"].items()}


def reference(rates, start, recording, *, corners=(), method="DOP853"):
    """float64 (time, state): solved from corner to corner."""
    times, y = recording.time, np.asarray(start, float)
    edges, found = [0.0, *corners, times[-1]], []
    for n, (a, b) in enumerate(itertools.pairwise(edges)):
        last = n == len(edges) - 2
        at = times[(times >= a) & ((times <= b) if last else (times < b))]
        part = solve_ivp(lambda t, y, a=a, b=b: rates(min(max(t, a + 1e-9), b - 1e-9), y), (a, b), y, method,
                         np.union1d(at, b), rtol=1e-13, atol=1e-15)
        assert part.success
        found.append(part.y.T[:len(at)])
        y = part.y[:, -1]
    return np.concatenate(found)


def stepped(rates, start, recording, *, dt):
    """The same by the classical Runge-Kutta rule, in steps that corners fall on."""
    y, found = np.asarray(start, float), []
    for n in range(round(recording.time[-1] / dt) + 1):
        if n % round(recording.time[1] / dt) == 0:
            found.append(y)
        t = n * dt + 1e-9
        k = rates(t, y)
        middle = rates(t, y + dt / 2 * k)
        other = rates(t, y + dt / 2 * middle)
        y = y + dt / 6 * (k + 2 * middle + 2 * other + rates(t, y + dt * other))
    return np.array(found)


def apart(recording, truth):
    """The largest difference of any variable, relative to its range; truth: name -> (time, element)."""
    return max(float(np.abs(recording[name].values - values).max() / np.ptp(values)) for name, values in truth.items())


def li_rinzel(p, C, h, I):
    m = I / (I + p["d1"]) * C / (C + p["d5"])
    Q2 = p["d2"] * (I + p["d1"]) / (I + p["d3"])
    stored = p["C_T"] - (1 + p["rho_A"]) * C
    dC = (p["Omega_C"] * m**3 * h**3 + p["Omega_L"]) * stored - p["O_P"] * C**2 / (C**2 + p["K_P"]**2)
    return dC, (Q2 / (Q2 + C) - h) * p["O_2"] * (Q2 + C)


def ip3(p, C, I, y):
    """SCIENCE 2.2 at held glutamate y."""
    made = p["v_beta"] * y**0.7 / (y**0.7 + (p["K_R"] + p["K_p"] * C / (C + p["K_pi"]))**0.7) if np.any(y) else 0.0
    delta = p["O_delta"] / (1 + I / p["kappa_delta"]) * C**2 / (C**2 + p["K_delta"]**2)
    kinase = p["O_3K"] * C**4 / (C**4 + p["K_D"]**4) * I / (I + p["K_3K"])
    return made + delta - kinase - p["Omega_5P"] * I


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AM", "FM"])
def test_one_cell_with_steps_between_samples_and_a_ramp(name):
    """IP3 jumps at 3.3337 s, between two samples, and goes straight from 5 s to 9.1234 s."""
    given = ["ramp:input=ip3,times=0s+5s+9.1234s,values=0.3uM+0.3uM+0.9uM"]
    recording = simulate(f"li_rinzel:{name}", given, duration="20 s", dt="0.1 s")
    p = values_of(recording)

    def level(t):
        return np.interp(t, [5.0, 9.1234], [0.3, 0.9])

    truth = reference(lambda t, y: li_rinzel(p, *y, level(t)), (0.09, 0.78), recording, corners=(5.0, 9.1234))
    assert apart(recording, {"C": truth[:, :1], "h": truth[:, 1:]}) < CLOSE
    jumps = simulate(f"li_rinzel:{name}", "steps:input=ip3,times=0s+3.3337s,values=0.2uM+0.8uM", duration="20 s",
                     dt="0.1 s")
    truth = reference(lambda t, y: li_rinzel(p, *y, 0.2 if t < 3.3337 else 0.8), (0.09, 0.78), jumps,
                      corners=(3.3337,))
    assert apart(jumps, {"C": truth[:, :1], "h": truth[:, 1:]}) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 3, 11])
def test_cells_under_different_glutamate(n):
    """Each element has a level of its own: on plain numbers up to six, on arrays beyond."""
    levels = np.linspace(0.5, 3.0, n)
    given = [f"square:input=glutamate,high={level:g} umolar,start={1.05 + k}s,stop=25s,elements={k}"
             for k, level in enumerate(levels)]
    recording = simulate("gchi:AM", given, options={"n": n}, duration="30 s", dt="0.25 s")
    p = values_of(recording)
    for k, level in enumerate(levels):
        corners = (1.05 + k, 25.0)
        truth = reference(lambda t, y, level=level, k=k: (*li_rinzel(p, *y), ip3(
            p, y[0], y[2], level if 1.05 + k <= t < 25 else 0.0)), (0.09, 0.78, 0.22), recording, corners=corners)
        for column, name in enumerate("ChI"):
            found = recording[name].values[:, k]
            assert np.abs(found - truth[:, column]).max() < CLOSE * np.ptp(truth[:, column])


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 9])
def test_a_value_an_element(n):
    """Parameters and initial values of each element; in a chain, where laws are held."""
    pumps, rates = np.linspace(0.8, 1.0, n), np.linspace(0.05, 0.2, n)
    starts = np.linspace(0.05, 0.15, n)
    alone = simulate("gchi:AM", "constant:input=glutamate,value=2 umolar", options={"n": n}, duration="10 s", dt="1 s",
                     parameters={"O_P": (pumps, "umolar/second")}, initial={"C": (starts, "umolar")})
    p = values_of(alone)
    for k in range(n):
        own = {**p, "O_P": pumps[k]}
        truth = reference(lambda t, y, own=own: (*li_rinzel(own, *y), ip3(own, y[0], y[2], 2.0)),
                          (starts[k], 0.78, 0.22), alone)
        assert np.abs(alone["C"].values[:, k] - truth[:, 0]).max() < CLOSE * np.ptp(truth[:, 0])
    # a rate of each cell's own gives one side of a junction what the other does not lose
    with pytest.raises(UserError, match="the sum of the flux through gap junctions is not zero"):
        simulate("astrocyte_network:AM", "constant:input=ip3_flux,value=0.2 umolar/second,elements=0",
                 options={"layout": "line", "n_columns": n, "gaps": "linear"}, duration="6 s", dt="0.5 s",
                 parameters={"F_linear": (rates, "1/second")})


def pairs_of(layout, boundary, rows, columns):
    """Every pair of neighbours once, and how many neighbours each lacks, one element after the other."""
    pairs, lacking = set(), np.zeros(rows * columns)
    about = layout == "ring" or boundary == "periodic"
    for r in range(rows):
        for c in range(columns):
            for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0))[: 4 if layout == "sheet" else 2]:
                a, b = r + down, c + right
                if about:
                    a, b = a % rows, b % columns
                if 0 <= a < rows and 0 <= b < columns:
                    if (a, b) != (r, c):
                        pairs.add(tuple(sorted((r * columns + c, a * columns + b))))
                else:
                    lacking[r * columns + c] += 1
    return np.array(sorted(pairs)).T, lacking


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "boundary", "rows", "columns"), [
    ("ring", "closed", 1, 7), ("line", "closed", 1, 5), ("line", "open", 1, 7), ("line", "periodic", 1, 5),
    ("sheet", "closed", 3, 5), ("sheet", "open", 5, 3), ("sheet", "periodic", 3, 3)])
@pytest.mark.parametrize("gaps", ["linear", "nonlinear"])
def test_coupled_astrocytes(layout, boundary, rows, columns, gaps):
    options = {"layout": layout, "boundary": boundary, "n_rows": rows, "n_columns": columns, "gaps": gaps}
    recording = simulate("astrocyte_network:Stimberg2019",
                         "square:input=ip3_flux,high=0.3 umolar/second,start=0.55s,stop=3.1s,elements=1",
                         options=options, duration="4 s", dt="0.2 s")
    assert recording.meta["solver"]["method"] == "lsoda"
    p, ((a, b), lacking), n = values_of(recording), pairs_of(layout, boundary, rows, columns), rows * columns

    def through(gap):
        if gaps == "linear":
            return p["F_linear"] * gap
        return p["F"] / 2 * (1 + np.tanh((np.abs(gap) - p["I_Theta"]) / p["omega_I"])) * side(gap)

    def side(gap):  # the sign, but for a steep passage through zero
        return np.clip(gap / (1e-5 * p["omega_I"]), -1, 1)

    def flows(I):
        found = np.zeros(n)
        np.add.at(found, b, through(I[a] - I[b]))
        np.add.at(found, a, through(I[b] - I[a]))
        return found

    def rates(t, y):
        C, h, I = y.reshape(3, n)
        source = 0.0 - I
        outside = p["F_ex"] / 2 * (1 + np.tanh((np.abs(source) - p["I_Theta"]) / p["omega_I"])) * side(source)
        bath = lacking * through(p["I_bath"] - I) if boundary == "open" else 0.0
        flux = np.zeros(n)
        flux[1] = 0.3 if 0.55 <= t < 3.1 else 0.0
        return np.concatenate([*li_rinzel(p, C, h, I), ip3(p, C, I, 0.0) + outside + flux + flows(I) + bath])

    start = np.repeat([0.09, 0.78, 0.22], n)
    # where two astrocytes stay alike, rates bend to and fro: steps of a fixed length get past it sooner
    truth = (reference(rates, start, recording, corners=(0.55, 3.1)) if gaps == "linear" else
             stepped(rates, start, recording, dt=0.005))
    C, h, I = truth.reshape(-1, 3, n).transpose(1, 0, 2)
    close = CLOSE if gaps == "linear" else 1e-6  # steps of 5 ms
    assert apart(recording, {"C": C, "h": h, "I": I}) < close
    flux = np.array([flows(row) for row in I])
    assert np.abs(recording["J_coupling"].values - flux).max() < 100 * close * np.ptp(flux)
    assert np.ptp(recording["I"].values[-1]) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("coupling", "layout"), [("dense", "grid"), ("dense", "line"), ("dense", "equal"),
                                                  ("diffusive", "grid"), ("diffusive", "line"), ("none", "grid")])
@pytest.mark.parametrize("w_back", ["0", "0.7"])
def test_the_macro_model(coupling, layout, w_back):
    n_pre, n_post = 3, 5
    recording = simulate("macro:assumed_2026",
                         ["square:input=b_pre,high=1,start=0.3s,stop=2.7s", "constant:input=b_post,value=0.8",
                          "square:input=d,high=0.4,start=1s,stop=2s,elements=4"],
                         options={"n_pre": n_pre, "n_post": n_post, "coupling": coupling, "layout": layout},
                         parameters={"w_back": w_back}, duration="4 s", dt="0.1 s")
    p, n = values_of(recording), n_pre * n_post
    post, pre = np.divmod(np.arange(n), n_pre)
    places = np.stack([post, pre], axis=1) if layout == "grid" else np.arange(n)[:, None]
    far = np.linalg.norm((places[:, None] - places[None]).astype(float), axis=-1)
    if layout == "equal":
        far = 1.0 - np.eye(n)
    end = "" if layout == "line" else "_sheet"
    falls = np.zeros((n, n)) if coupling != "dense" else p[f"a{end}"] * np.exp(-far / p[f"ell{end}"]) * (far > 0)
    near = p["D"] * (np.abs(far - 1) < 1e-9) if coupling == "diffusive" else np.zeros((n, n))

    def rates(t, y):
        x, (s, p_s, p_l) = y[:n_pre + n_post], y[n_pre + n_post:].reshape(3, n)
        theta, psi = 1 / (1 + np.exp((p["theta_half"] - x) / p["theta_width"])), np.tanh(p_s)
        drive = np.zeros(n_pre + n_post)
        np.add.at(drive, n_pre + post, s * theta[pre])
        np.add.at(drive, pre, p["w_back"] * s * theta[n_pre + post])
        b = np.repeat([1.0 if 0.3 <= t < 2.7 else 0.0, 0.8], (n_pre, n_post))
        d = np.where(np.arange(n) == 4, 0.4 if 1 <= t < 2 else 0.0, 0.0)
        coupled = falls @ psi + near @ psi - near.sum(axis=1) * psi
        return np.concatenate([(-p["lambda_n"] * x + drive + b) / p["tau_n"],
                               (-p["beta"] * s + theta[pre] * theta[n_pre + post] + psi) / p["tau_s"],
                               (-p["gamma_s"] * p_s + coupled + p["w_g"] * s + d) / p["tau_ps"],
                               (-p["gamma_l"] * p_l + p["kappa"] * s) / p["tau_pl"]])

    truth = reference(rates, np.zeros(n_pre + n_post + 3 * n), recording, corners=(0.3, 1.0, 2.0, 2.7))
    s, p_s, p_l = truth[:, n_pre + n_post:].reshape(-1, 3, n).transpose(1, 0, 2)
    # where diffusion is fast, stability bounds the steps of the reference, and its values between them are worse
    close = 10 * CLOSE if coupling == "diffusive" else CLOSE
    assert apart(recording, {"x": truth[:, :n_pre + n_post], "s": s, "p_s": p_s, "p_l": p_l}) < close


def test_the_macro_model_summed_by_fft_is_the_one_summed_pair_by_pair():
    """By FFT with an explicit solver, pair by pair with LSODA: two solvers and two sums."""
    given = {"model": "macro", "protocol": "constant:input=d,value=0.1,elements=20", "duration": "1 s", "dt": "0.1 s"}
    sizes = {"n_pre": 5, "n_post": 7}
    fft, pairs = (simulate(**given, options={**sizes, "dense_sum": how}, method=method)
                  for how, method in (("fft", "dop853"), ("pairs", "lsoda")))
    assert apart(fft, {"p_s": pairs["p_s"].values, "s": pairs["s"].values}) < CLOSE


def test_associative_memory():
    from astro_sim.models.associative_memory import cue, patterns

    n, given = 5, {"n_patterns": 2}
    recording = simulate("associative_memory", options={"n": n, **given}, initial=cue(1, 2, n=n, **given),
                         duration="3 s", dt="0.1 s")
    p, stored = values_of(recording), patterns(recording.meta["options"])
    T = p["T_0"] / n**2 * np.einsum("mi,mj,mk,ml->ijkl", stored, stored, stored, stored)

    def rates(t, y):
        x, (s, p_s, p_l) = y[:n], y[n:].reshape(3, n, n)  # [post, pre]
        theta, psi = np.tanh(x / p["theta_width"]), np.tanh(p_s)
        return np.concatenate([
            (-p["lambda_n"] * x + s @ theta / n) / p["tau_n"],
            ((-p["beta"] * s + np.outer(theta, theta) + psi) / p["tau_s"]).ravel(),
            ((-p["gamma_s"] * p_s + np.einsum("ijkl,kl->ij", T, psi) + p["w_g"] * s) / p["tau_ps"]).ravel(),
            ((-p["gamma_l"] * p_l + p["kappa"] * s) / p["tau_pl"]).ravel()])

    start = np.concatenate([recording["x"].values[0], np.zeros(3 * n * n)])
    truth = reference(rates, start, recording, method="DOP853")
    s, p_s, p_l = truth[:, n:].reshape(-1, 3, n * n).transpose(1, 0, 2)
    assert apart(recording, {"x": truth[:, :n], "s": s, "p_s": p_s, "p_l": p_l}) < CLOSE


@pytest.mark.slow
def test_a_stiff_cell():
    """Binding of receptors a hundred times faster: LSODA turns to its implicit formulas."""
    fast = {"O_N": "30 1/umolar/second", "Omega_N": "50 1/second"}
    recording = simulate("gchi_receptor:figure_4", "square:input=glutamate,high=2 umolar,start=1.05s,stop=4s",
                         parameters=fast, initial={"I": "0.2 umolar"},  # above the source, whose side it keeps
                         duration="6 s", dt="0.25 s")
    p = values_of(recording)
    exchanged = {name: one["value"] for name, one in recording.meta["parameters"].items()}

    def rates(t, y):
        C, h, I, bound = y
        glutamate = 2.0 if 1.05 <= t < 4 else 0.0
        p0 = {**p, "v_beta": 0.0, "K_R": 1.0, "K_p": 1.0, "K_pi": 1.0}
        outside = 0.0
        if "F_ex" in exchanged:
            gap = I - exchanged.get("I_bias", 0.0)
            outside = -p["F_ex"] / 2 * (1 + np.tanh((abs(gap) - p["I_Theta"]) / p["omega_I"])) * np.sign(gap)
        return (*li_rinzel(p, C, h, I), ip3(p0, C, I, 0.0) + p["O_beta"] * bound + outside,
                p["O_N"] * glutamate * (1 - bound) - p["Omega_N"] * (1 + p["zeta"] * C / (C + p["K_KC"])) * bound)

    start = [recording[name].values[0, 0] for name in ("C", "h", "I", "Gamma_A")]
    truth = reference(rates, start, recording, corners=(1.05, 4.0))
    for n, name in enumerate(("C", "h", "I", "Gamma_A")):
        assert np.abs(recording[name].values[:, 0] - truth[:, n]).max() < 1e-8 * np.ptp(truth[:, n])


def test_the_reference_is_not_ours():
    assert NETWORK.parameters("Stimberg2019")["F_ex"].value > 0  # the exchange is in what was compared
