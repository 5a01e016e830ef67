"""No number of the network is without an origin: all that the built model holds, and all that its source spells out.

How it works, for whom it surprises. The first half builds networks and walks through everything that they hold:
buffers, learned tensors, attributes, the arguments of partials, what functions close over. Each number must be named in
an `origins` (see rmaat/biology/provenance.py). The second half reads the source of FILES as a syntax tree and looks at
every number that is written there. Allowed are 0 and 1, an index, an axis or shape (SHAPES, SIZES), a field's default,
and what an `origins` declares by the name of the constant. All else fails, also in a line that seems harmless.

When it fails on your line: give the number a name at the top of the file, `LEVEL = .3`, and declare why it is what it
is, `origins = declare(LEVEL=Engineering(LEVEL, "the reason"))`. Where it comes from biology it belongs into the record
and is read by `FromRecord`. Where it is a shape that is taken for a quantity, add the call's name to SHAPES.
"""

import ast
import dataclasses
import importlib
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from derivation.record import record as records
from rmaat.attention import ATTENTION, PARTS
from rmaat.biology.biology import Biology
from rmaat.biology.provenance import Engineering, Start, collect, numbers_of, orphans
from rmaat.gradient.backprop import GRADIENT
from rmaat.gradient.memory_store import MEMORY_STORE
from rmaat.model.config import UNREAD, ModelConfig
from rmaat.model.layers import REPLAY
from rmaat.model.memory import RETENTION, SCHEDULE
from rmaat.model.mixing import MIXING
from rmaat.model.model import RMAAT
from rmaat.model.output import HEAD
from rmaat.model.readout import READOUT
from rmaat.training.configs import CONFIGS

RMAAT_FOLDER = Path(__file__).parents[2] / "rmaat"
SMALL = ModelConfig(vocab_size=11, num_classes=3, segment_length=70, num_segments=3, width=6, heads=2, layers=1)
CHOICES = {"attention": ATTENTION, "retention": RETENTION, "schedule": SCHEDULE, "readout": READOUT, "unread": UNREAD,
           "gradient": GRADIENT, "replay": REPLAY, "memory_store": MEMORY_STORE, "mixing": MIXING, "head": HEAD,
           **PARTS}
VARIANTS = [{name: value} for name, registry in CHOICES.items() for value in registry]
next(each for each in VARIANTS if each.get("mixing") == "convolution_2d").update(segment_length=12)  # 6 x 6 pixels
VARIANTS += [{"keep_last": 2}, {"budget_bytes": 10**8}, {"num_memory_tokens": 0, "retention": "none"},
             {"attention": "softmax", "rel_pos": "none"}, {"attention": "linear", "feature_map": "softmax"},
             {"rel_pos": "content", "kernel": "diffusive"}]


def biology(**formulas):
    """The committed record, some entries with other forms (each with a constant K = 2)."""
    source = records.load()
    entries = dict(source.entries)
    for name, formula in formulas.items():
        entries[name] = dataclasses.replace(entries[name], formula=formula, parameters=(), validity=(),
                                            constants={"K": records.Constant(2., "a level")})
    return Biology.of(records.make(entries, source.versions))


def build(config, **formulas):
    torch.manual_seed(7)
    return RMAAT(config, biology(**formulas))


# ---------------------------------------------------------------------------------------------- the built model


@pytest.mark.slow
@pytest.mark.parametrize("change", VARIANTS, ids=str)
def test_every_variant_is_without_orphans(change):
    model = build(dataclasses.replace(SMALL, **change), feedback="K/(K + calcium)")
    assert orphans(model) == []
    assert all(item.origin.reason for item in collect(model) if isinstance(item.origin, (Engineering, Start)))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_without_orphans(name):
    assert orphans(build(CONFIGS[name]().model)) == []


def test_a_kernel_without_closed_recursion_is_without_orphans():
    model = build(SMALL, relative_position="K/(K + distance)")
    assert type(model.blocks[0].attention.rel_pos.kernel).__name__ == "AnyKernel"
    assert orphans(model) == []


def test_what_is_counted():
    """Buffers, learned tensors, a config's numbers and a partial's arguments are all among the numbers."""
    found = dict(numbers_of(build(dataclasses.replace(SMALL, keep_last=2))))
    assert found["config.dropout"] == 0 and found["gradient.keep_last"] == 2 and found["norm.eps"] == 1e-5
    assert {"retention.retention", "blocks.0.attention.qkv.weight", "blocks.0.attention.rel_pos.curve"} <= found.keys()
    assert not [path for path in found if path.startswith("biology")], "the record itself is no number of the network"


class Gain:
    """A callable that holds a number."""

    def __init__(self, gain):
        self.gain = gain


PLANTED = {
    "mystery": (lambda model: setattr(model, "mystery", .3), "mystery"),
    "buffer": (lambda model: model.blocks[0].register_buffer("level", torch.ones(2)), "blocks.0.level"),
    "learned": (lambda model: model.register_parameter("extra", nn.Parameter(torch.zeros(1))), "extra"),
    "callable": (lambda model: setattr(model.blocks[0], "call", Gain(2.5)), "blocks.0.call.gain"),
    "partial": (lambda model: setattr(model, "soften", partial(torch.pow, exponent=.9)), "soften.exponent"),
    "closure": (lambda model: setattr(model, "close", _closes_over(.7)), "close.secret"),
    "list": (lambda model: setattr(model.retention, "levels", [1, {"two": 2}]), "retention.levels.0"),
    "module": (lambda model: setattr(model, "pool", nn.Softplus(beta=2.)), "pool.beta"),
}


def _closes_over(secret):
    def close(x):
        return secret * x

    close.__module__ = "rmaat.model.model"  # as if it stood there
    return close


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_number_is_found(name):
    model = build(SMALL)
    plant, path = PLANTED[name]
    plant(model)
    assert path in orphans(model)


def test_a_new_field_of_the_config_needs_a_reason():
    @dataclasses.dataclass(frozen=True)
    class Wider(ModelConfig):
        temperature: float = .5

    assert orphans(build(Wider(**dataclasses.asdict(SMALL)))) == ["config.temperature"]


@pytest.mark.parametrize("attention", ATTENTION)
def test_learned_tensors_start_as_declared(attention):
    """Mean and spread over the elements of all tensors of a kind; the errors of both are known."""
    config = dataclasses.replace(SMALL, width=48, attention=attention, layers=2)
    model = build(config)
    starts = [(model.get_submodule(item.module), item) for item in collect(model) if isinstance(item.origin, Start)]
    assert len(starts) == len(list(model.parameters()))
    for module, item in starts:
        value = dict(module.named_parameters())[item.name].detach().double()
        wanted = item.origin.deviation(module) if callable(item.origin.deviation) else item.origin.deviation
        # five standard errors; a normal's spread has the larger one, spread/sqrt(2 n)
        assert value.mean().item() == pytest.approx(item.origin.mean, abs=5 * wanted / math.sqrt(value.numel()))
        if value.numel() > 1:
            spread = value.std(correction=0).item()
            assert spread == pytest.approx(wanted, abs=5 * wanted / math.sqrt(2 * value.numel()) + 1e-12)


# ---------------------------------------------------------------------------------------------- the source


FILES = [f"{room}/{path.name}" for room in ("model", "attention")
         for path in sorted((RMAAT_FOLDER / room).glob("*.py"))]
# Calls whose whole numbers are axes or shapes, never a quantity.
SHAPES = {"permute", "transpose", "unflatten", "flatten", "unbind", "stack", "cat", "pad", "expand", "sum", "amax",
          "any", "linear", "Linear", "zeros", "softmax", "slice", "squeeze", "unsqueeze", "flip", "split", "chunk"}
SIZES = {"width", "places"}  # half or twice of which is a size again


def unexplained(tree, declared):
    """Numbers of a syntax tree that are none of: 0 and 1, an index, an axis or shape, a constant declared by name.

    0 and 1 are where counting starts and what leaves a sum or product as it is; a field's default belongs to the
    config's numbers; an exponent or level that is passed beside its reason is declared there. Yields (line, text).
    """
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def shape_like(node):
        """Of a size (2 * places), or the direct argument of a call that takes axes and shapes."""
        child, node = node, parents[node]
        while isinstance(node, (ast.UnaryOp, ast.Tuple)) or (isinstance(node, ast.keyword) and node.arg != "dim"):
            child, node = node, parents[node]
        match node:
            case ast.BinOp(left, ast.Mult() | ast.FloorDiv(), right):
                return _is_size(right if left is child else left)
            case ast.Call(func):
                return _name(func) in SHAPES
            case ast.Compare(ast.Attribute(attr="ndim")):
                return True
        return isinstance(node, ast.keyword)

    def allowed(node):
        value, child, parent = node.value, node, parents[node]
        if value in (0, 1) or (isinstance(value, int) and shape_like(node)):
            return True
        while parent is not None:
            match parent:
                case ast.Subscript() if child is parent.slice:
                    return True
                case ast.Call(func, args) if _name(func) in ("Engineering", "Start", "_power"):
                    return any(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in args)
                case ast.Assign([ast.Name(name)]) if name in declared:
                    return True
                case ast.Assign([ast.Tuple(names)]) if all(name.id in declared for name in names):
                    return True
                case ast.AnnAssign() if isinstance(parents[parent], ast.ClassDef):
                    return True
            child, parent = parent, parents.get(parent)
        return False

    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, complex) and not allowed(node):
            yield node.lineno, ast.unparse(parents[node])


def _is_size(node):
    """Made of sizes by name and shapes alone."""
    parts = list(ast.walk(node))
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    return set() < names <= SIZES or any(isinstance(part, ast.Attribute) and part.attr == "shape" for part in parts)


def _name(func):
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def declared_in(file):
    """Names with an origin at a file's top level or in one of its classes."""
    module = importlib.import_module(f"rmaat.{file.removesuffix('.py').replace('/', '.')}")
    own = (value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__)
    places = [module, *own]
    return {name for place in places for name in (getattr(place, "origins", None) or {})}


@pytest.mark.parametrize("file", FILES)
def test_the_source_spells_out_no_number_without_its_reason(file):
    found = list(unexplained(ast.parse((RMAAT_FOLDER / file).read_text("utf-8")), declared_in(file)))
    assert not found, f"rmaat/{file}: name these and declare their origin: {found}"


@pytest.mark.parametrize(("line", "found"), [
    ("y = .5 * x", True), ("y = x + 1e-6", True), ("y = x ** 2", True), ("LEVEL = .3", True), ("KNOWN = .3", False),
    ("y = x[:, 3]", False), ("y = x.sum(-2)", False), ("y = (x.sum(-2) + 3)[2]", True), ("y = 1 - x", False),
    ("y = torch.zeros(3, 4)", False), ("y = x.ndim != 2", False), ("y = x != 2", True),
    ("y = torch.cat([3 * x, x], 1)", True), ("y = pad(x, 2 * places)", False), ("y = 2 * x", True),
    ("y = 2 * 3", True), ("y = torch.full((3,), 4.5)", True), ("o = Engineering(4, 'four of them')", False),
])
def test_the_search_for_literals_finds_what_it_should(line, found):
    assert bool(list(unexplained(ast.parse(line), {"KNOWN"}))) == found
