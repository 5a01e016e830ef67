"""How many of the simulator's arguments say what they are."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAST = 0.95


def arguments(path):
    """(function, argument, whether it is annotated) of every function of a file, `self` and `cls` left out."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
                if each is not None and each.arg not in ("self", "cls"):
                    yield f"{path.relative_to(ROOT)}: {node.name}({each.arg})", each.annotation is not None


def test_the_simulators_arguments_are_annotated(capsys):
    found = [row for path in sorted((ROOT / "astro_sim").rglob("*.py")) for row in arguments(path)]
    bare = [name for name, annotated in found if not annotated]
    share = 1 - len(bare) / len(found)
    with capsys.disabled():
        print(f"\nastro_sim: {len(found) - len(bare)} of {len(found)} arguments annotated, {100 * share:.1f} %")
    assert share >= LEAST, bare
