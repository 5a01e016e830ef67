"""NumPy in blocks: what a step computes stays in the processor's cache, however large the population.

Brian2's NumPy code updates all elements of a group at once, through hundreds of temporary arrays as long as the group.
Beyond some 100,000 elements they pass through main memory, which costs a fifth more time an element (more where others
use that memory), and the named ones stay there. In blocks every element has the same numbers, to the last bit.
"""

from brian2.codegen.runtime.numpy_rt.numpy_rt import NumpyCodeObject
from brian2.core.functions import Function
from brian2.core.variables import ArrayVariable

BLOCK = 1 << 16  # elements, 512 KiB an array: in half as many Python's own share of a step is felt


class InBlocks(NumpyCodeObject):
    """Brian2's code object for NumPy, for groups, that updates states block by block.

    Only where elements know nothing of each other: not where random numbers are drawn, shared variables may be set or
    other elements are read.
    """

    def compile(self) -> None:
        """As Brian2 does; then look which arrays may be cut."""
        super().compile()
        self._arrays = self._own_arrays()

    def run_block(self, block: str):
        """As Brian2 does, block by block where that may be."""
        if block != "run" or not self._arrays:
            return super().run_block(block)
        whole, size = self.namespace, self.namespace["N"]
        try:
            for start in range(0, size, BLOCK):
                part = slice(start, min(start + BLOCK, size))
                self.namespace = {**whole, **{name: whole[name][part] for name in self._arrays},
                                  "N": part.stop - part.start}
                super().run_block(block)
        finally:
            self.namespace = whole
        return None

    def _own_arrays(self) -> set[str]:
        """The arrays with a number for every element; none where blocks must not be, or need not."""
        if self.template_name != "stateupdate" or self.namespace.get("N", 0) <= BLOCK:
            return set()
        variables = self.variables.values()
        arrays = {name: one for name, one in self.variables.items() if isinstance(one, ArrayVariable)}
        draws = any(isinstance(one, Function) and not one.stateless for one in variables)
        shared = any(one.scalar and not (one.read_only or one.constant) for one in arrays.values())
        foreign = any(not one.scalar and self.variable_indices[name] != "_idx" for name, one in arrays.items())
        if draws or shared or foreign:
            return set()
        return {self.generator_class.get_array_name(one) for one in arrays.values() if not one.scalar}
