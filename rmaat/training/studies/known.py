"""Studies by name: the comparisons and ablations that the project's results are made of."""

from pathlib import Path

from foundation.errors import UserError, unknown
from rmaat.training.studies.plan import Row, Study, read_study
from rmaat.training.variants import ABLATIONS

PAPER = ("rmaat", "rmaat_paper", "rmt", "rlt", "at", "transformer", "last_segment")
COMPARED = ("rmaat", "rmaat_paper", "rmt", "rlt", "at", "last_segment")
LRA = ("text", "image", "listops", "pathfinder", "fashion_small", "recall")
_WITHOUT = ("softmax", "linear", "segments_1", "segments_2", "segments_4", "segments_8", "segments_16", "segments_32",
            "mixing_convolution_2d")


def _quick() -> Study:
    """Recall over four segments: the default network, RMT, and the control without memory; minutes."""
    return Study("quick", (Row(("recall_small",), ("rmaat", "rmt", "last_segment"), (0, 1)),))


def _recall() -> Study:
    """Recall: all networks of the paper, three seeds."""
    return Study("recall", (Row(("recall",), PAPER, (0, 1, 2)),))


def _ablations() -> Study:
    """Recall: every ablation beside the default network, three seeds."""
    return Study("ablations", (Row(("recall",), ("rmaat", *(name for name in ABLATIONS if name not in _WITHOUT)),
                                   (0, 1, 2)),))


def _listops() -> Study:
    """ListOps at the benchmark's sizes: all networks of the paper, three seeds; days."""
    return Study("listops", (Row(("listops",), PAPER, (0, 1, 2)),))


def _text() -> Study:
    """Text (--data text=aclImdb): the default network beside the paper's and the control, two seeds; a day."""
    return Study("text", (Row(("text",), COMPARED, (0, 1)),))


def _image() -> Study:
    """Image (--data image=FILES of CIFAR-10): likewise; days."""
    return Study("image", (Row(("image",), COMPARED, (0, 1)),))


def _lra() -> Study:
    """Six tasks (--data text=aclImdb --data image=FILES of CIFAR-10), six networks, two seeds, equal budgets; weeks."""
    return Study("lra", (Row(LRA, COMPARED, (0, 1)),))


STUDIES = {"quick": _quick, "recall": _recall, "ablations": _ablations, "listops": _listops, "text": _text,
           "image": _image, "lra": _lra}


def find_study(given: str | Path | Study) -> Study:
    """A study from itself, by its name, or from its TOML file. Raises `UserError` where there is none."""
    if isinstance(given, Study):
        return given
    given = str(given)
    if given in STUDIES:
        return STUDIES[given]()
    if not given.endswith(".toml"):
        raise UserError(f"{unknown('study', given, STUDIES)}; or a file of your own, STUDY.toml")
    return read_study(given)
