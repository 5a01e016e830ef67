"""The autograd node behind `amrb`: a recurrence that keeps memories only and replays its segments backwards."""

import functools
import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from numbers import Number

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from foundation.errors import UserError
from foundation.shapes import Tensor
from rmaat.gradient.alike import Comparison, Fingerprint, fingerprints
from rmaat.gradient.held_state import HeldState
from rmaat.gradient.memory_store import OnDevice, OnHost
from rmaat.gradient.refusals import (
    check_independent,
    check_named,
    check_no_tangents,
    check_plain,
    check_result,
    check_sharding,
    differentiable,
)
from rmaat.gradient.surroundings import Surroundings, forget_computed, hooks_off

calls = itertools.count()


class Shape:
    """A nested value without its tensors: `build(tensors)` puts them back."""

    def __init__(self, leaves: list, spec, where: list[int]):
        self.leaves, self.spec, self.where = leaves, spec, where

    def build(self, tensors: Sequence[Tensor]):
        """The nested value with these tensors in their places."""
        leaves = list(self.leaves)
        for k, tensor in zip(self.where, tensors, strict=True):
            leaves[k] = tensor
        return tree_unflatten(leaves, self.spec)


def take_apart(value) -> tuple[list[Tensor], Shape]:
    """The tensors of a nested value, and the rest."""
    leaves, spec = tree_flatten(value)
    where = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[k] for k in where]
    for k in where:
        leaves[k] = None
    return tensors, Shape(leaves, spec, where)


class Recurrence:
    """One call of `amrb`: the step, its segments, and the node's inputs in order (memory, segments, parameters).

    A tensor that stands in several segments is one input, its gradient a sum over them as a parameter's is: `places`
    says which inputs a segment takes. The last `keep_last` segments keep the graph of their forward pass; `store` is
    where the memories wait.
    """

    def __init__(self, step: Callable, segments: Sequence, memory, *, parameters: Iterable[Tensor],
                 store: OnDevice | OnHost):
        self.step, self.store, self.keep_last = step, store, 1
        self.memory, shape = take_apart(memory)
        check_plain(shape.leaves, "the memory")
        self.memory_shapes = [shape]  # by segment, then that of the end: a memory may count, or grow
        parts = [take_apart(x_t) for x_t in segments]
        self.segments, self.shapes = [tensors for tensors, _ in parts], [shape for _, shape in parts]
        self.parameters = list({id(p): p for p in parameters if p.requires_grad}.values())
        check_independent(self.parameters)
        distinct = {id(x): x for tensors in self.segments for x in tensors}
        order = {key: k for k, key in enumerate(distinct)}
        self.places = [[order[id(x)] for x in tensors] for tensors in self.segments]
        self.inputs = [*self.memory, *distinct.values(), *self.parameters]
        check_no_tangents(self.inputs)
        self.out_shapes: list[Shape] = []
        self.surroundings: list[Surroundings] = []
        self.devices: list[list[torch.device]] = []
        self.kept: dict[int, Graph] = {}
        self.to_check: set[int] = set()
        self.seen_out: dict[int, list[Fingerprint]] = {}
        self.seen_end: list[Fingerprint] = []  # of the memory at the end

    @functools.cached_property
    def held(self) -> HeldState:
        """What the step can reach; looked for once, and only where segments will be replayed."""
        beside = (leaf for shape in self.shapes for leaf in shape.leaves if leaf is not None)
        return HeldState(self.step, beside)

    def __len__(self) -> int:
        return len(self.places)

    def kind(self, t: int) -> Hashable:
        """What of x_t may decide how the step goes: all but the numbers in it."""
        leaves = (leaf for leaf in self.shapes[t].leaves if isinstance(leaf, bool) or not isinstance(leaf, Number))
        return (tuple((x.shape, x.dtype, x.device) for x in (*self.segments[t], *self.memory)),
                tuple(leaf if isinstance(leaf, Hashable) else id(leaf) for leaf in leaves))

    def choose_checks(self) -> None:
        """Whose use of parameters is looked at, which takes as long as some operations: one segment of each kind, the
        first and the last, and one more, another in each call."""
        kinds = {self.kind(t): t for t in range(len(self))}
        self.to_check = {*kinds.values(), 0, len(self) - 1, next(calls) % len(self)}

    def call(self, t: int, memory: Sequence[Tensor], segment: Sequence[Tensor]):
        """Run the step; returns the tensors and shapes of out_t and of the memory."""
        shape = self.memory_shapes[min(t, len(self.memory_shapes) - 1)]
        result = self.step(self.shapes[t].build(segment), shape.build(memory))
        check_result(result)
        out, after = map(take_apart, result)
        check_plain(out[1].leaves, "out_t")
        check_plain(after[1].leaves, "the memory")
        return out, after

    def results(self, flat: Sequence[Tensor]):
        """The node's outputs as the caller expects them: list of outs, memory."""
        flat = list(flat)
        outs = []
        for shape in self.out_shapes:
            outs.append(shape.build(flat[:len(shape.where)]))
            del flat[:len(shape.where)]
        return outs, self.memory_shapes[-1].build(flat)


class Graph:
    """Segment t run with a graph that starts at leaves of its own."""

    def __init__(self, run: Recurrence, t: int, memory: Sequence[Tensor], segment: Sequence[Tensor]):
        self.run = run
        self.memory = [self._leaf(x, t > 0 or x.requires_grad) for x in memory]
        self.segment = [self._leaf(x, x.requires_grad) for x in segment]
        forget_computed()
        carried = run.held.carried()
        began = torch.autograd._get_sequence_nr()
        with torch.enable_grad():
            # views: torch's flop counter hangs hooks on a module's inputs, which autograd.grad does not take on leaves
            memory, segment = ([x.view_as(x) if x.requires_grad else x for x in tensors]
                               for tensors in (self.memory, self.segment))
            (self.out, self.out_shape), (self.after, self.after_shape) = run.call(t, memory, segment)
        forget_computed()
        self.newly_attached = run.held.look_for_graphs(began)
        if t in run.to_check or run.held.attached:
            check_named((*self.out, *self.after), (*self.memory, *self.segment), run.parameters, began=began,
                        carried=carried)

    def check_carried(self, t: int, memory: Sequence[Tensor], segment: Sequence[Tensor]) -> None:
        """Where this was the first to show that the step keeps tensors with their graph: whether it had read one.

        The segment is run once more for that; the others are looked at as they are replayed.
        """
        if self.newly_attached and t:
            with self.run.surroundings[t]:
                Graph(self.run, t, memory, segment)

    @staticmethod
    def _leaf(x: Tensor, needs_gradient: bool) -> Tensor:
        return x.detach().requires_grad_() if needs_gradient and differentiable(x) else x.detach()

    def gradients(self, grad_out: Sequence, grad_after: Sequence) -> list[Tensor | None]:
        """Gradients of memory, segment and parameters, None where there is none."""
        pairs = [(y, grad) for y, grad in zip((*self.out, *self.after), (*grad_out, *grad_after), strict=True)
                 if grad is not None and y.requires_grad]
        self.out = self.after = ()  # the graph of what has no gradient goes now
        leaves = [*self.memory, *self.segment, *self.run.parameters]
        wanted = [k for k, leaf in enumerate(leaves) if leaf.requires_grad]
        result: list[Tensor | None] = [None] * len(leaves)
        if pairs:
            outputs, grads = zip(*pairs, strict=True)
            found = torch.autograd.grad(outputs, [leaves[k] for k in wanted], grads, allow_unused=True)
            for k, grad in zip(wanted, found, strict=True):
                result[k] = grad
        return result


class Replay(torch.autograd.Function):
    """The whole recurrence as one node. Inputs: memory, segments, parameters; outputs: all outs, then the memory."""

    @staticmethod
    def forward(ctx, run: Recurrence, *inputs: Tensor) -> tuple[Tensor, ...]:
        memory, states, outs = run.memory, [], []
        run.choose_checks()
        devices, versions = {x.device for x in inputs}, [(x, x._version) for x in inputs]
        check_sharding(run.held.modules)
        memory = Replay._run_all(run, memory, devices=devices, states=states, outs=outs, versions=versions)
        if any(x._version != version for x, version in versions):
            raise UserError("amrb: the step changes its x_t, its memory or a parameter in place, so a replay would "
                            "start from something else; let it return new tensors, e.g. memory + 1 for memory.add_(1)")
        run.held.check_frozen()
        run.seen_end = fingerprints(memory)
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*states, *inputs)  # saved, not just kept: autograd then notices changes made in place
        flat = tuple(x.detach() for x in (*outs, *memory))
        ctx.mark_non_differentiable(*(x for x in flat if not differentiable(x)))
        run.memory, run.segments, run.inputs = (), (), None
        forget_computed()
        return flat

    @staticmethod
    def _run_all(run: Recurrence, memory: Sequence[Tensor], *, devices: set[torch.device],
                 states: list[Tensor], outs: list[Tensor], versions: list[tuple[Tensor, int]]) -> Sequence[Tensor]:
        """Run every segment; fills the lists, returns the memory at the end."""
        for t in range(len(run)):
            waiting = memory if t == 0 else [run.store.put(x) for x in memory]
            versions += [(x, x._version) for x in waiting]
            states += waiting
            run.devices.append([x.device for x in memory])
            run.surroundings.append(Surroundings.now(devices, run.surroundings[-1] if t else None, run.held))
            if t < len(run) - run.keep_last:
                (out, shape), (memory, after_shape) = run.call(t, memory, run.segments[t])
            else:
                run.kept[t] = graph = Replay._keep(run, t, memory)
                out, shape, memory, after_shape = graph.out, graph.out_shape, graph.after, graph.after_shape
            run.seen_out[t] = fingerprints(out)
            outs += out
            run.out_shapes.append(shape)
            run.memory_shapes.append(after_shape)
        return memory

    @staticmethod
    def _keep(run: Recurrence, t: int, memory: Sequence[Tensor]) -> Graph:
        """A segment that keeps its graph, so that it is not run twice."""
        torch.clear_autocast_cache()  # the casts made so far have no graph, or that of another segment
        graph = Graph(run, t, memory, run.segments[t])
        torch.clear_autocast_cache()  # and these belong to this graph alone
        return graph

    @staticmethod
    def backward(ctx, *grads: Tensor | None):
        if torch.is_grad_enabled():
            raise UserError("amrb has no second derivative (create_graph=True); use bptt for it")
        grads = list(grads)  # in the place of the tuple, so that nothing else holds them
        parameters = ctx.run.parameters
        with hooks_off(parameters):
            found = Replay._replay_all(ctx.run, list(ctx.saved_tensors), grads)
        for k, parameter in enumerate(parameters, len(found) - len(parameters)):
            if found[k] is None and parameter._backward_hooks:  # torch would call them with None
                found[k] = torch.zeros_like(parameter)
        return None, *found

    @staticmethod
    def _replay_all(run: Recurrence, states: list[Tensor], grads: list[Tensor | None]) -> list[Tensor | None]:
        """Gradients of the node's inputs; empties both lists, so that what is used goes at once."""
        sizes, total = [len(shape.where) for shape in run.memory_shapes], len(run)
        given = states[sum(sizes[:total]) + sizes[0]:]
        del states[sum(sizes[:total]):]
        parameters = range(len(given) - len(run.parameters), len(given))
        grad_memory = grads[len(grads) - sizes[total]:]
        del grads[len(grads) - sizes[total]:]
        found, entered, comparison = _Sum(len(given)), None, Comparison("amrb")
        # (E5.7) for t = T..1: replay segment t from mem_t, backpropagate dL/dout_t + dL/dmem_(t+1), free the graph
        for t in reversed(range(total)):
            size = len(run.out_shapes[t].where)
            grad_out = grads[len(grads) - size:]
            del grads[len(grads) - size:]
            waiting = states[len(states) - sizes[t]:]
            del states[len(states) - sizes[t]:]
            graph = run.kept.pop(t, None)
            kept = graph is not None
            if not kept or graph.newly_attached:
                memory = waiting if t == 0 else [run.store.get(x, device) for x, device
                                                 in zip(waiting, run.devices[t], strict=True)]
                segment = [given[k] for k in run.places[t]]
                if not kept:
                    with run.surroundings[t]:
                        graph = Graph(run, t, memory, segment)
                graph.check_carried(t, memory, segment)  # of a kept one only now: later segments see what it changes
                del memory, segment
            if not kept:
                exact = not any(enabled for enabled, _ in run.surroundings[t].autocast.values())
                comparison.outputs(graph.out, run.seen_out[t], t=t, what="out_t", exact=exact)
                if entered is None:
                    comparison.outputs(graph.after, run.seen_end, t=t, what="memory", exact=exact)
                else:
                    comparison.memory(graph.after, entered, t=t, exact=exact)
            entered = [x.detach() for x in graph.memory]
            result = graph.gradients(grad_out, grad_memory)
            grad_memory = result[:sizes[t]]
            found.add((*run.places[t], *parameters), result[sizes[t]:])
            del graph, result
        comparison.finish()
        return [*grad_memory, *found.values]


class _Sum:
    """Sums of gradients over segments; adds in place from the second sum on, the first terms may be shared tensors."""

    def __init__(self, size: int):
        self.values: list[Tensor | None] = [None] * size
        self.owned = [False] * size

    def add(self, places: Iterable[int], terms: Sequence[Tensor | None]) -> None:
        """Add each term to the sum at its place."""
        sums, more = [], []
        for k, term in zip(places, terms, strict=True):
            if term is None:
                continue
            if self.values[k] is None:
                self.values[k] = term
            elif self.owned[k]:
                sums.append(self.values[k])
                more.append(term)
            else:
                self.values[k], self.owned[k] = self.values[k] + term, True
        if sums:
            torch._foreach_add_(sums, more)
