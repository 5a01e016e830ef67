"""The published accuracies, for a table beside this project's: percent on the official splits at the official sizes."""

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "Mia2026 (arXiv 2601.00426)"


@dataclass(frozen=True)
class Published:
    """Accuracies in percent by variant, for samples of up to `tokens` tokens (two documents together).

    `train` is how many samples were learned from, where that is a dial of the task.
    """

    tokens: int
    accuracy: dict[str, float]
    train: int | None = None


PUBLISHED: dict[str, Published] = {
    "listops": Published(2_000, {"transformer": 36.4, "rmt": 37.4, "rlt": 18.4, "rmaat_paper": 38.9}, train=96_000),
    "text": Published(4_096, {"transformer": 64.3, "rmt": 65.0, "rlt": 64.8, "rmaat_paper": 65.9,
                              "no_retention": 64.9}),
    "retrieval": Published(8_000, {"transformer": 57.5, "rmt": 79.3, "rlt": 78.4, "rmaat_paper": 83.2,
                                   "no_retention": 80.5, "rlt_amrb": 79.2, "segments_16": 83.2, "segments_8": 71.5,
                                   "segments_4": 65.3}),
    "image": Published(1_024, {"transformer": 42.4, "rmt": 54.6, "rlt": 55.0, "rmaat_paper": 64.8}),
    "pathfinder": Published(1_024, {"transformer": 71.4, "rmt": 81.5, "rlt": 74.9, "rmaat_paper": 87.1},
                            train=160_000)}


def published(task: Mapping[str, object], variant: str, tokens: int) -> float | None:
    """The accuracy in percent that a paper has for it; None where it has none, and where the task's sizes are others.

    The paper's RMAAT stands beside the default network as well. `tokens` may be up to a segment more than the samples'.
    """
    found = PUBLISHED.get(str(task["name"]))
    if found is None or not found.tokens <= tokens <= 1.125 * found.tokens:
        return None
    if found.train is not None and task.get("train") != found.train:
        return None
    return found.accuracy.get("rmaat_paper" if variant == "rmaat" else variant)
