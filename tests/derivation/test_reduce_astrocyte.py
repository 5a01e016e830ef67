"""What is reduced from astrocytes, held against the models written anew from their papers with plain numbers."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, fsolve

from derivation.forms import relative_position
from derivation.reductions import coupling, network, sheet
from derivation.reductions.registry import REDUCTIONS
from foundation.errors import UserError

# umolar and seconds; nothing here comes from the project
AM = {"C_T": 2.0, "rho_A": 0.185, "Omega_C": 6.0, "Omega_L": 0.11, "O_P": 0.9, "K_P": 0.1, "d1": 0.13, "d2": 1.049,
      "d3": 0.9434, "d5": 0.08234, "O_2": 0.2, "v_beta": 0.2, "K_R": 1.3, "K_p": 10.0, "K_pi": 0.6, "O_delta": 0.02,
      "kappa_delta": 1.5, "K_delta": 0.1, "O_3K": 2.0, "K_D": 0.7, "K_3K": 1.0, "Omega_5P": 0.04, "F_linear": 0.09}


def astrocyte(C, h, I, p, glutamate=0.0):
    """dC/dt, dh/dt, dI/dt; numbers or arrays."""
    m = I / (I + p["d1"]) * C / (C + p["d5"])
    q2 = p["d2"] * (I + p["d1"]) / (I + p["d3"])
    free = p["C_T"] - (1 + p["rho_A"]) * C
    dC = (p["Omega_C"] * m**3 * h**3 + p["Omega_L"]) * free - p["O_P"] * C**2 / (C**2 + p["K_P"] ** 2)
    dh = p["O_2"] * (q2 + C) * (q2 / (q2 + C) - h)
    half = p["K_R"] + p["K_p"] * C / (C + p["K_pi"])
    made = (p["v_beta"] * glutamate**0.7 / (glutamate**0.7 + half**0.7)
            + p["O_delta"] / (1 + I / p["kappa_delta"]) * C**2 / (C**2 + p["K_delta"] ** 2))
    lost = p["O_3K"] * C**4 / (C**4 + p["K_D"] ** 4) * I / (I + p["K_3K"]) + p["Omega_5P"] * I
    return dC, dh, made - lost


def rest(p=AM):
    """(C, h, I) without glutamate."""
    return fsolve(lambda y: astrocyte(*y, p), [0.07, 0.8, 0.15], xtol=1e-12)


def slope(p, of, by, step=1e-6):
    """d(component of)/d(component by) of the flow at rest, by central differences."""
    at = rest(p)
    move = np.eye(3)[by] * step
    return (astrocyte(*(at + move), p)[of] - astrocyte(*(at - move), p)[of]) / (2 * step)


def settled(laplacian, driven, ip3=0.0, calcium=0.0, p=AM):
    """Calcium above rest in the steady state of coupled astrocytes, by Newton's method on all 3n equations."""
    at, n = rest(p), len(laplacian)

    def flow(y):
        C, h, I = y.reshape(3, n)
        dC, dh, dI = astrocyte(C, h, I, p)
        dI = dI + p["F_linear"] * laplacian @ I
        dC[driven] += calcium
        dI[driven] += ip3
        return np.concatenate([dC, dh, dI])

    found, _, ok, said = fsolve(flow, np.repeat(at, n), xtol=1e-13, full_output=True)
    assert ok == 1, said
    return found[:n] - at[0]


def line(n):
    matrix = np.eye(n, k=1) + np.eye(n, k=-1)
    return matrix - np.diag(matrix.sum(1))


def oscillation(glutamate, p=AM):
    """(period, mean IP3) of calcium at held glutamate."""
    def flow(t, y):
        return astrocyte(*y, p, glutamate)

    start = solve_ivp(flow, (0, 400), [0.09, 0.78, 0.22], "LSODA", rtol=1e-9, atol=1e-11).y[:, -1]
    course = solve_ivp(flow, (0, 60), start, "LSODA", np.linspace(0, 60, 60001), rtol=1e-9, atol=1e-11)
    C = course.y[0]
    middle = (C.min() + C.max()) / 2
    rises = np.flatnonzero((C[:-1] < middle) & (C[1:] >= middle))
    return (rises[3] - rises[0]) * 1e-3 / 3, course.y[2][rises[0]:rises[3]].mean()

@pytest.mark.parametrize(("glutamate", "inside"), [(0.045, True), (0.3, False)])
def test_the_range_of_the_period(glutamate, inside):
    """IP3 that moves with calcium, solved anew; at 0.3 umolar of glutamate its mean is below that of the protocol, at
    which the error is stated."""
    held = REDUCTIONS["tau_cycle"].held()
    period, ip3 = oscillation(glutamate)
    assert (held.valid.low <= ip3 <= held.valid.high) == inside
    off = abs(11.492 / period - 1)
    assert off <= 0.05 if inside else 0.05 < off < held.error


# ---------------------------------------------------------------------------------------------- the short-term process


def test_calcium_at_rest_is_taken_up_with_tau_ps():
    """At the first moment exactly so, whatever h and IP3 do later; differences of steps of 1e-6."""
    assert REDUCTIONS["tau_ps"].value(None) == pytest.approx(-1 / slope(AM, 0, 0), rel=1e-6)


def test_what_every_parameter_does_to_it():
    one = REDUCTIONS["tau_ps"]
    slopes = one.slopes()
    assert set(slopes) == set(AM) - {"O_2", "v_beta", "K_R", "K_p", "K_pi", "F_linear"}
    for name, found in slopes.items():
        step = 1e-3 * AM[name]
        up, down = (-1 / slope(AM | {name: AM[name] + change}, 0, 0) for change in (step, -step))
        # both are central differences, of second order: 1e-6 of the slope, and of the largest elasticities where it is
        # small (a rest found to 1e-14, its slope to 1e-9)
        assert found == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-5 * 0.26 / AM[name]), name


@pytest.mark.parametrize(("gained", "inside"), [(0.013, True), (0.037, True), (0.055, False)])
def test_the_range_of_the_decay(gained, inside):
    held, tau = REDUCTIONS["tau_ps"].held(), REDUCTIONS["tau_ps"].value(None)
    time, at = np.linspace(0, 8 * tau, 300), rest()
    course = solve_ivp(lambda t, y: astrocyte(*y, AM), (0, time[-1]), at + [gained, 0, 0], "Radau", time, rtol=1e-9,
                       atol=1e-12)
    error = np.abs((course.y[0] - at[0]) / gained - np.exp(-time / tau)).max()
    assert (gained <= held.valid.high) == inside == (error <= 0.05)


def test_the_other_readings_of_its_time():
    """Receptors, gliotransmitter and IP3: by hand, by hand, and by the slowest eigenvalue (h moves with it: 1 %)."""
    bound, _, gone, ip3 = REDUCTIONS["tau_ps"].held().others.values()
    assert (bound, gone) == (pytest.approx(60 / 0.5), pytest.approx(1 / 60))
    jacobian = np.array([[slope(AM, of, by) for by in range(3)] for of in range(3)])
    assert ip3 == pytest.approx(-1 / np.linalg.eigvals(jacobian).real.max(), rel=0.01)


def made(calcium):
    """IP3 production by PLC delta above rest, over its largest."""
    base = rest()[0] ** 2 / (rest()[0] ** 2 + 0.1**2)
    return (calcium**2 / (calcium**2 + 0.1**2) - base) / (1 - base)


def test_the_unit_of_the_short_term_process():
    width, at = REDUCTIONS["psi_width"].value(None), rest()[0]
    half = brentq(lambda calcium: made(calcium) - 0.5, at, 1.0)
    assert np.tanh((half - at) / width) == pytest.approx(0.5, rel=1e-9)
    step = 1e-4
    slopes = REDUCTIONS["psi_width"].slopes()
    for name in ("K_P", "d5"):  # they move calcium at rest alone
        moved = rest(AM | {name: AM[name] * (1 + step)})[0] - rest(AM | {name: AM[name] * (1 - step)})[0]
        base = [c**2 / (c**2 + 0.01) for c in (at - 1e-5, at + 1e-5)]
        widths = [(0.1 * np.sqrt((1 + b) / (1 - b)) - c) / np.arctanh(0.5)
                  for b, c in zip(base, (at - 1e-5, at + 1e-5), strict=True)]
        expected = (widths[1] - widths[0]) / 2e-5 * moved / (2 * step * AM[name])
        assert slopes[name] == pytest.approx(expected, rel=1e-4)
    held = REDUCTIONS["psi_width"].held()
    for calcium, inside in ((0.11, True), (0.179, True), (0.196, False)):
        error = abs(made(calcium) - np.tanh((calcium - at) / width))
        assert (held.valid.low <= calcium <= held.valid.high) == inside == (error <= 0.05)


# ---------------------------------------------------------------------------------------------- the coupling


N = 25
CASES = {"diffusive": "ip3", "dense": "calcium"}


def reduced(kind, n=N):
    """Response of the macro model's linear short-term processes on a line of n, over the driven one's."""
    if kind == "diffusive":
        matrix = REDUCTIONS["D"].value(None) * line(n)
    else:
        far = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        matrix = REDUCTIONS["a"].value(None) * np.exp(-far / REDUCTIONS["ell"].value(None)) * (far > 0)
    found = np.linalg.solve(np.eye(n) - matrix, np.eye(n)[n // 2])
    return found / found[n // 2]


@pytest.mark.parametrize("kind", CASES)
def test_a_small_drive_spreads_as_in_the_macro_model(kind):
    """Both couplings from one line of astrocytes: response at every distance, that at the driven one included."""
    full = settled(line(45), 22, **{CASES[kind]: 2e-6})
    # linear to some 1e-4 at this drive; what the ends give back falls as mu^34
    assert full[17:28] / full[22] == pytest.approx(reduced(kind, 45)[17:28], rel=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "flux", "inside"), [
    ("diffusive", 0.0013, True), ("diffusive", 0.0029, False), ("dense", 0.053, True), ("dense", 0.083, False)])
def test_the_range_of_the_coupling(kind, flux, inside):
    held = REDUCTIONS["D" if kind == "diffusive" else "a"].held()
    full = settled(line(N), N // 2, **{CASES[kind]: flux})
    error = np.abs(full[13:18] / full[12] / reduced(kind)[13:18] - 1).max()
    assert (full[12] <= held.valid.high) == inside == (error <= 0.05)


def test_dense_and_diffusive_coupling_fall_alike():
    """E4.3 with a and ell is E4.4 with D: algebra, so rounding alone."""
    value = {name: REDUCTIONS[name].value(None) for name in ("a", "ell", "D")} | {"gamma_s": 1.0}
    dense, near = (relative_position.derive(kind).mu for kind in ("dense", "diffusive"))
    assert float(dense.subs(value)) == pytest.approx(float(near.subs(value)), rel=1e-10)


def test_what_every_parameter_does_to_the_coupling():
    """D by differences of the independent model: exchange over -d(IP3 lost)/d(IP3), calcium and h following."""
    def exchange(p):
        at, flux = rest(p), 1e-7
        moved = fsolve(lambda y: np.add(astrocyte(*y, p), [0, 0, flux]), at, xtol=1e-12)
        back = fsolve(lambda y: np.subtract(astrocyte(*y, p), [0, 0, flux]), at, xtol=1e-12)
        return p["F_linear"] * (moved[2] - back[2]) / (2 * flux)

    one = REDUCTIONS["D"]
    # the flux moves IP3 by 1e-5 of itself, and the roots are good to 1e-13 of it
    assert one.value(None) == pytest.approx(exchange(AM), rel=1e-6)
    for name, found in one.slopes().items():
        step = 3e-3 * AM[name]
        up, down = (exchange(AM | {name: AM[name] + change}) for change in (step, -step))
        assert found == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-4 * 4.3 / AM[name]), name


def test_a_ring_spreads_as_a_line():
    ring = line(N) + np.eye(N, k=N - 1) + np.eye(N, k=1 - N)
    ring -= np.diag(ring.sum(1))
    full = settled(ring, 12, ip3=2e-6)
    assert full[8:17] / full[12] == pytest.approx(reduced("diffusive")[8:17], rel=2e-4)


def test_the_sheet_by_a_lattice_sum():
    """T on a square lattice as an integral over wave numbers, by midpoints: periodic, so exact to mu^201."""
    gain = -np.linalg.solve([[slope(AM, of, by) for by in (0, 1)] for of in (0, 1)],
                            [slope(AM, 0, 2), slope(AM, 1, 2)])[0]
    wave = 2 * np.pi * np.arange(201) / 201
    symbol = -slope(AM, 2, 2) + 0.09 * (4 - 2 * np.cos(wave)[:, None] - 2 * np.cos(wave))

    def exact(x, y):
        return gain * slope(AM, 2, 0) * (np.cos(x * wave)[:, None] * np.cos(y * wave) / symbol).mean()

    a, ell = (REDUCTIONS[name].value(None) for name in ("a_sheet", "ell_sheet"))
    off = {(x, y): abs(exact(x, y) / (1 - exact(0, 0)) - a * np.exp(-np.hypot(x, y) / ell))
           for x in range(6) for y in range(x + 1) if (x, y) != (0, 0)}
    nearest = exact(1, 0) / (1 - exact(0, 0))
    held = REDUCTIONS["a_sheet"].held()
    for (x, y), one in off.items():
        inside = held.valid.low <= np.hypot(x, y) <= held.valid.high
        assert not inside or one < 0.05 * nearest, (x, y)
    # T itself is off at the diagonal by 8 %, the response through it by the 7 % that are stated
    assert off[1, 1] > 0.05 * nearest
    assert max(off.values()) < 1.3 * held.error * nearest
    distance, full, _ = sheet.responses()
    assert full[0] == pytest.approx(settled_on_a_sheet(), rel=1e-3)
    assert distance[1] == pytest.approx(np.sqrt(2))


def settled_on_a_sheet(n=15):
    """Nearest neighbour's calcium over the driven one's."""
    matrix = np.kron(line(n), np.eye(n)) + np.kron(np.eye(n), line(n))
    slope_of = {(of, by): slope(AM, of, by) for of in range(3) for by in range(3)}
    whole = np.block([[slope_of[of, by] * np.eye(n * n) + (0.09 * matrix if of == by == 2 else 0) for by in range(3)]
                      for of in range(3)])
    drive = np.zeros(3 * n * n)
    drive[n * n // 2] = -1.0
    found = np.linalg.solve(whole, drive)
    return found[n * n // 2 + 1] / found[n * n // 2]


def test_what_has_no_rest_or_no_coupling_is_said():
    with pytest.raises(UserError, match="has no stable rest without glutamate"):
        REDUCTIONS["D"].value({"O_delta": 0.03})
    with pytest.raises(UserError, match="needs a share between 0 and 1"):
        REDUCTIONS["a"].value({"K_P": 0.2})
    with pytest.raises(UserError, match="no steady state; let in less"):
        network.steady_calcium(network.gap_matrix({"layout": "line", "n_columns": 5}), 2, ip3_flux=0.05)


@pytest.mark.slow
def test_the_full_model_is_the_simulators():
    """astrocyte_network as Brian2 runs it, from rest, until IP3 has spread."""
    from astro_sim.run.simulation import simulate

    at, options = rest(), {"layout": "line", "n_columns": 9, "gaps": "linear"}
    recording = simulate("astrocyte_network:AM", "constant:input=ip3_flux,value=0.001 umolar/second,elements=4",
                         options=options, initial={"C": f"{at[0]} umolar", "h": float(at[1]), "I": f"{at[2]} umolar"},
                         duration="500 s", dt="200 ms", record_every="50 s")
    steady = network.steady_calcium(network.gap_matrix(options), 4, ip3_flux=0.001)
    # the slowest mode has 50 s: exp(-10) of the change is left
    assert recording["C"].values[-1] - at[0] == pytest.approx(steady, rel=5e-4)
    assert coupling.parameters()["F_linear"].value == 0.09


def test_a_parameter_does_the_same_through_both_couplings():
    """d(scale)/d(parameter): through a and ell, and through D; two central differences against one, 1e-8 each."""
    def total(kind):
        form = relative_position.derive(kind).scale
        at = {str(symbol): 1.0 if str(symbol) == "gamma_s" else REDUCTIONS[str(symbol)].value(None)
              for symbol in form.free_symbols}
        through = [{name: float(form.diff(key).subs(at)) * slope for name, slope in REDUCTIONS[key].slopes().items()}
                   for key in at if key in REDUCTIONS]
        return {name: sum(one[name] for one in through) for name in through[0]}

    dense, near = total("dense"), total("diffusive")
    assert dense.keys() == near.keys()
    for name, value in near.items():
        assert dense[name] == pytest.approx(value, rel=1e-5, abs=1e-6 / AM[name]), name
