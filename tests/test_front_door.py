"""The front door: what the documentation imports works as it is written, and loads nothing before it is asked for."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FACES = ("astro_sim", "derivation", "rmaat")
HEAVY = ("brian2", "sympy", "torch", "xarray", "pandas", "matplotlib", "scipy", "numpy")


def loaded_by(code):
    """Which heavy packages, and which of our floors, a fresh interpreter has loaded after `code`."""
    names = (*HEAVY, "astro_sim", "derivation", "rmaat")
    code = f"{code}\nimport sys\nprint([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", FACES)
def test_a_face_offers_what_it_says_and_loads_nothing_by_itself(package):
    assert loaded_by(f"import {package}; dir({package}); {package}.__version__") == {package}
    module = importlib.import_module(package)
    assert module.__all__ and {*module.__all__, "__version__"} <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="public are"):
        module.no_such_name  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize(("code", "unwanted"), [
    ("from astro_sim import MODELS, Model, Parameter", {"brian2", "xarray", "pandas", "matplotlib", "torch"}),
    ("from derivation import load_record; load_record()", {"brian2", "astro_sim", "torch", "sympy", "numpy"}),
    ("from rmaat import RMAAT, Biology, CONFIGS, amrb, train", {"brian2", "astro_sim", "xarray", "matplotlib"}),
])
def test_a_name_loads_what_it_needs_and_no_more(code, unwanted):
    assert not loaded_by(code) & unwanted


@pytest.mark.parametrize("package", FACES)
def test_editors_see_the_same_names(package):
    """What stands under TYPE_CHECKING is what the face offers, from the same modules."""
    module = importlib.import_module(package)
    tree = ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname or alias.name: (node.module, alias.name) for node in block.body for alias in node.names}
    assert sorted(seen) == sorted(module.__all__)
    for name, (where, inside) in seen.items():
        if where == package:
            assert getattr(module, name) is importlib.import_module(f"{package}.{name}")
        else:
            assert getattr(module, name) is getattr(importlib.import_module(where), inside)


@pytest.mark.slow
def test_the_simulator_as_the_design_writes_it():
    from astro_sim import MODELS, Model, Parameter, Recording, analysis, dynamics, simulate, sweep
    from astro_sim.protocols import constant, cycles, square

    assert callable(sweep) and callable(cycles) and callable(square)
    assert isinstance(MODELS["li_rinzel"], Model)
    assert isinstance(MODELS["li_rinzel"].parameters()["K_P"], Parameter)
    assert {analysis.__name__, dynamics.__name__} == {"astro_sim.analysis", "astro_sim.dynamics"}
    recording = simulate("li_rinzel:AM", constant("ip3", "0.5 umolar"), duration="60 s")
    assert isinstance(recording, Recording)
    assert repr(recording["C"].at("30 s")).endswith(" µM at 30 s")
    assert recording["C"].plot().axes[0].get_ylabel().endswith("(µM)")
    assert recording._repr_html_().startswith("<table>")


def test_the_derivation_as_the_design_writes_it():
    from derivation import derive, load_record, whatif

    assert callable(derive) and callable(whatif)
    assert "retention" in load_record().entries


def test_the_network_as_the_design_writes_it():
    import torch

    from rmaat import CONFIGS, RMAAT, Astromorphic, Biology, ModelConfig, amrb, bptt, train

    tokens, x = torch.randint(256, (2, 200)), torch.randn(2, 100, 64)
    logits = RMAAT(ModelConfig(vocab_size=256, num_classes=10, segment_length=128, num_segments=8))(tokens)
    assert logits.shape == (2, 10)
    assert Astromorphic(width=64, heads=4, places=128)(x).shape == x.shape
    assert "recall" in CONFIGS and callable(train) and Biology.load().q < 1
    memories = [algorithm(lambda x_t, memory: (None, memory + x_t), [1., 2.], torch.zeros(2))[1]
                for algorithm in (amrb, bptt)]
    assert torch.equal(*memories)
