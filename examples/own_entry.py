"""An entry of one's own: calcium after the receptors' binding, from the ODE of a model to the number in the network.

The record's calcium response is a power of the drive. Here it saturates, as the astrocyte's receptors do at held
glutamate. The form travels to the network as text, under the name that the network reads; nothing else changes:

    python -m derivation derive --entry examples/own_entry.py:calcium_response --out mine.json
    python -m rmaat train recall --record mine.json
"""

import sympy

from astro_sim import MODELS
from derivation import ENTRIES, Entry, Range, derive
from derivation.entries.build import constant
from derivation.forms.ode import right_side

MODEL = "gchi_receptor"


def calcium_response(workbench) -> Entry:
    """The share of receptors that is bound, drive/(drive + half), by the receptors' own ODE at low calcium."""
    model, (bound, glutamate) = MODELS[MODEL], sympy.symbols("Gamma_A glutamate")
    rate = right_side(model.population("astrocyte").equations, "Gamma_A").subs("C", 0)
    (half,) = sympy.solve(rate.subs(bound, sympy.Rational(1, 2)), glutamate)  # Omega_N/O_N
    uses, half = constant("half", half, "glutamate that binds half of the receptors, in umolar",
                          own={name: model.parameters()[name] for name in ("O_N", "Omega_N")}, model=MODEL)
    return Entry(
        meaning="calcium that the summed keys cause, as far as receptors bind", equation="E2.6",
        formula="drive/(drive+half)", arguments={"drive": "sum of the feature-mapped keys; glutamate in umolar"},
        constants={"half": half}, basis="derived", sources=("Stimberg2019",), parameters=uses,
        validity=(Range("drive", 0, None, "a concentration"),))


if __name__ == "__main__":
    # without simulations, so that it takes seconds; derive({**ENTRIES, "calcium_response": calcium_response}) takes all
    own = derive({"calcium_response": calcium_response}).record.entry("calcium_response")
    print(own.table())
    for drive in (0.5, 2.0, 8.0):
        print(f"at a drive of {drive:g}: {own.evaluate(drive=drive):.3f}")
    print(f"in the record, the others beside it: {', '.join(ENTRIES)}")
