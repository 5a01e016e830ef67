import pytest


@pytest.fixture(scope="session")
def twin():
    """`twin(module, x, num_memory_tokens, present, r=..., **curves)`: what the naive twin makes of one sample with the
    learned tensors of an `Astromorphic`; r is the coupling of all pairs of places."""
    from rmaat.attention import naive

    def run(module, x, num_memory_tokens, present, *, r, **curves):
        learned, tokens = dict(module.named_parameters()), x[:len(x) - num_memory_tokens]
        R = None
        if "rel_pos.rows" in learned:
            R = naive.positional(r, learned["rel_pos.rows"])[:, :len(tokens)]
        elif "rel_pos.project.weight" in learned:
            here = [True] * len(tokens) if present is None else present[:len(tokens)]
            R = naive.content(r, tokens, learned["rel_pos.project.weight"], heads=module.heads, present=here)
        return naive.astromorphic(x, learned["qkv.weight"], learned["project.weight"], R, heads=module.heads,
                                  present=present, **curves)

    return run
