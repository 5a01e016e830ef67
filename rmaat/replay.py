"""The autograd node behind `amrb`: a recurrence that keeps memories only and replays its segments backwards."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from foundation.errors import UserError
from rmaat.memory_store import OnDevice, OnHost
from rmaat.shapes import Tensor
from rmaat.surroundings import Surroundings, hooks_off

ALIKE = .01  # of the norm: far above the rounding of bfloat16, which CUDA's order of sums may bring


class Shape:
    """A nested value without its tensors: `build(tensors)` puts them back."""

    def __init__(self, leaves: list, spec, where: list[int]):
        self.leaves, self.spec, self.where = leaves, spec, where

    def build(self, tensors: Sequence[Tensor]):
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


def _differentiable(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


class Recurrence:
    """One call of `amrb`: the step, its segments, and the node's inputs in order (memory, segments, parameters).

    A tensor that stands in several segments is one input, its gradient a sum over them as a parameter's is: `places`
    says which inputs a segment takes. The last `keep_last` segments keep the graph of their forward pass; `store` is
    where the memories wait.
    """

    def __init__(self, step: Callable, segments: Sequence, memory, parameters: Iterable[Tensor],
                 store: OnDevice | OnHost):
        self.step, self.store, self.keep_last = step, store, 1
        self.memory, shape = take_apart(memory)
        self.memory_shapes = [shape]  # by segment, then that of the end: a memory may count, or grow
        parts = [take_apart(x_t) for x_t in segments]
        self.segments, self.shapes = [tensors for tensors, _ in parts], [shape for _, shape in parts]
        self.parameters = list({id(p): p for p in parameters if p.requires_grad}.values())
        distinct = {id(x): x for tensors in self.segments for x in tensors}
        order = {key: k for k, key in enumerate(distinct)}
        self.places = [[order[id(x)] for x in tensors] for tensors in self.segments]
        self.inputs = [*self.memory, *distinct.values(), *self.parameters]
        self.out_shapes: list[Shape] = []
        self.surroundings: list[Surroundings] = []
        self.devices: list[list[torch.device]] = []
        self.kept: dict[int, Graph] = {}
        self.checked = False

    def __len__(self) -> int:
        return len(self.places)

    def call(self, t: int, memory: Sequence[Tensor], segment: Sequence[Tensor]):
        """Run the step; returns the tensors and shapes of out_t and of the memory."""
        shape = self.memory_shapes[min(t, len(self.memory_shapes) - 1)]
        out, after = self.step(self.shapes[t].build(segment), shape.build(memory))
        return take_apart(out), take_apart(after)

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
        with torch.enable_grad():
            (self.out, self.out_shape), (self.after, self.after_shape) = run.call(t, self.memory, self.segment)
        if not run.checked:
            self._check_parameters()
            run.checked = True

    @staticmethod
    def _leaf(x: Tensor, needs_gradient: bool) -> Tensor:
        return x.detach().requires_grad_() if needs_gradient and _differentiable(x) else x.detach()

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
            with hooks_off(self.run.parameters):
                found = torch.autograd.grad(outputs, [leaves[k] for k in wanted], grads, allow_unused=True)
            for k, grad in zip(wanted, found, strict=True):
                result[k] = grad
        return result

    def _check_parameters(self) -> None:
        """A tensor that the step uses and `parameters` lacks would silently get no gradient: refuse it."""
        known = {id(x) for x in (*self.memory, *self.segment, *self.run.parameters)}
        seen = {x.grad_fn for x in self.run.parameters} | {None}  # not beyond parameters that are computed themselves
        todo = [y.grad_fn for y in (*self.out, *self.after) if y.grad_fn not in seen]
        while todo:
            node = todo.pop()
            leaf = getattr(node, "variable", None)
            if leaf is not None and id(leaf) not in known:
                raise UserError(f"amrb: the step uses a tensor of shape {tuple(leaf.shape)} that needs a gradient "
                                "and is not in `parameters`; pass all of them, e.g. list(model.parameters())")
            for successor, _ in node.next_functions:
                if successor not in seen:
                    seen.add(successor)
                    todo.append(successor)


class Replay(torch.autograd.Function):
    """The whole recurrence as one node. Inputs: memory, segments, parameters; outputs: all outs, then the memory."""

    @staticmethod
    def forward(ctx, run: Recurrence, *inputs: Tensor) -> tuple[Tensor, ...]:
        memory, states, outs = run.memory, [], []
        devices, versions = {x.device for x in inputs}, [(x, x._version) for x in inputs]
        for t in range(len(run)):
            waiting = memory if t == 0 else [run.store.put(x) for x in memory]
            versions += [(x, x._version) for x in waiting]
            states += waiting
            run.devices.append([x.device for x in memory])
            run.surroundings.append(Surroundings.now(devices, run.surroundings[-1] if t else None))
            if t < len(run) - run.keep_last:
                (out, shape), (memory, after_shape) = run.call(t, memory, run.segments[t])
            else:
                run.kept[t] = graph = Replay._keep(run, t, memory)
                out, shape, memory, after_shape = graph.out, graph.out_shape, graph.after, graph.after_shape
            outs += out
            run.out_shapes.append(shape)
            run.memory_shapes.append(after_shape)
        if any(x._version != version for x, version in versions):
            raise UserError("amrb: the step changes its x_t, its memory or a parameter in place, so a replay would "
                            "start from something else; let it return new tensors, e.g. memory + 1 for memory.add_(1)")
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*states, *inputs)  # saved, not just kept: autograd then notices changes made in place
        flat = tuple(x.detach() for x in (*outs, *memory))
        ctx.mark_non_differentiable(*(x for x in flat if not _differentiable(x)))
        run.memory, run.segments, run.inputs = (), (), None
        return flat

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
        run, states = ctx.run, list(ctx.saved_tensors)
        sizes, total = [len(shape.where) for shape in run.memory_shapes], len(run)
        given = states[sum(sizes[:total]) + sizes[0]:]
        del states[sum(sizes[:total]):]
        parameters = range(len(given) - len(run.parameters), len(given))
        grads = list(grads)
        grad_memory = grads[len(grads) - sizes[total]:]
        del grads[len(grads) - sizes[total]:]
        found, entered, compared = _Sum(len(given)), None, False
        # (E5.7) for t = T..1: replay segment t from mem_t, backpropagate dL/dout_t + dL/dmem_(t+1), free the graph
        for t in reversed(range(total)):
            size = len(run.out_shapes[t].where)
            grad_out = grads[len(grads) - size:]
            del grads[len(grads) - size:]
            waiting = states[len(states) - sizes[t]:]
            del states[len(states) - sizes[t]:]
            graph = run.kept.pop(t, None)
            if graph is None:
                memory = waiting if t == 0 else [run.store.get(x, device) for x, device
                                                 in zip(waiting, run.devices[t], strict=True)]
                with run.surroundings[t]:
                    graph = Graph(run, t, memory, [given[k] for k in run.places[t]])
                del memory
                if entered is not None and not compared:
                    _compare(graph.after, entered)
                    compared = True
            entered = waiting
            result = graph.gradients(grad_out, grad_memory)
            grad_memory = result[:sizes[t]]
            found.add((*run.places[t], *parameters), result[sizes[t]:])
            del graph, result
        return None, *grad_memory, *found.values


def _compare(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Look once a backward pass whether the replay is the forward pass again; what differs by rounding may."""
    for x, y in zip(found, expected, strict=True):
        if _differentiable(x) and (x.detach() - y.to(x.device)).norm() > ALIKE * y.norm():
            raise UserError("amrb: a replayed segment gives another memory than its forward pass gave. The step "
                            "draws random numbers that are not torch's own, or has a state of its own; hand all of it "
                            "through `memory`, or use bptt")


class _Sum:
    """Sums of gradients over segments; adds in place from the second sum on, the first terms may be shared tensors."""

    def __init__(self, size: int):
        self.values: list[Tensor | None] = [None] * size
        self.owned = [False] * size

    def add(self, places: Iterable[int], terms: Sequence[Tensor | None]) -> None:
        """Add each term to the sum at its place."""
        for k, term in zip(places, terms, strict=True):
            if term is None:
                continue
            if self.values[k] is None:
                self.values[k] = term
            elif self.owned[k]:
                self.values[k].add_(term)
            else:
                self.values[k], self.owned[k] = self.values[k] + term, True
