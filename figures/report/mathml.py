"""A closed form as a browser sets it: MathML made of the parsed text, so that nothing else can stand in it."""

import ast

from markupsafe import Markup, escape

from derivation.record import closed_form

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ",
         "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ", "omega": "ω", "Omega": "Ω", "Delta": "Δ",
         "ell": "ℓ"}
SIGN = {ast.Add: "+", ast.Sub: "−", ast.Mult: "·"}
STRENGTH = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2}
ATOM = 4  # binds stronger than any sign
FORMULAS_SHOWN = 300  # letters; a longer form is a list of terms that nobody reads as a formula


def as_mathml(text: str) -> Markup:
    """The form as an element `math`; a very long one as code. Raises `DamagedFileError` for what is no closed form."""
    tree = closed_form.parse(text)
    if len(text) > FORMULAS_SHOWN:
        return Markup("<code>{}</code>").format(text)
    return Markup("<math>{}</math>").format(_set(tree)[0])


def _set(node: ast.expr) -> tuple[Markup, int]:
    """The node, and how strongly it binds."""
    match node:
        case ast.BinOp(left, ast.Div(), right):
            return Markup("<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>").format(_set(left)[0], _set(right)[0]), 3
        case ast.BinOp(left, ast.Pow(), right):
            return Markup("<msup><mrow>{}</mrow><mrow>{}</mrow></msup>").format(_at_least(left, ATOM),
                                                                               _set(right)[0]), 3
        case ast.BinOp(left, op, right):
            own = STRENGTH[type(op)]
            first = _set(left)[0] if isinstance(left, ast.UnaryOp) else _at_least(left, own)  # a sign may lead
            return Markup("{}<mo>{}</mo>{}").format(first, SIGN[type(op)], _at_least(right, own + 1)), own
        case ast.UnaryOp(ast.USub(), operand):
            return Markup("<mo>−</mo>{}").format(_at_least(operand, 2)), 1
        case ast.UnaryOp(_, operand):
            return _set(operand)
        case ast.Call(ast.Name("exp"), [argument], []):
            return Markup("<msup><mi>e</mi><mrow>{}</mrow></msup>").format(_set(argument)[0]), 3
        case ast.Call(ast.Name("sqrt"), [argument], []):
            return Markup("<msqrt>{}</msqrt>").format(_set(argument)[0]), ATOM
        case ast.Call(ast.Name(name), [argument], []):
            shown = {"log": "ln"}.get(name, name)
            return Markup("<mi>{}</mi>{}").format(shown, _bracketed(_set(argument)[0])), 3
        case ast.Name(name):
            return _name(name), ATOM
        case ast.Constant(value):
            return Markup("<mn>{}</mn>").format(f"{value:.10g}"), ATOM
    raise AssertionError(f"the parser let {type(node).__name__} through")


def _at_least(node: ast.expr, strength: int) -> Markup:
    shown, own = _set(node)
    return shown if own >= strength else _bracketed(shown)


def _bracketed(inner: Markup) -> Markup:
    return Markup("<mrow><mo>(</mo>{}<mo>)</mo></mrow>").format(inner)


def _name(name: str) -> Markup:
    """A symbol: Greek where it is named so, what follows the first _ as an index."""
    letter, _, index = name.partition("_")
    symbol = Markup("<mi>{}</mi>").format(GREEK.get(letter, letter))
    return Markup("<msub>{}<mi>{}</mi></msub>").format(symbol, escape(index)) if letter and index else (
        symbol if letter else Markup("<mi>{}</mi>").format(name))
