"""The network: attention, memory and gradients that take their numbers from the record and from nowhere else.

    from rmaat import RMAAT, ModelConfig

    model = RMAAT(ModelConfig(vocab_size=256, num_classes=10, segment_length=128, num_segments=8))
    logits = model(tokens)

Nothing is loaded before it is asked for.
"""

from typing import TYPE_CHECKING

from foundation.lazy import face

if TYPE_CHECKING:
    from rmaat.attention.astromorphic import Astromorphic
    from rmaat.attention.base import Attention
    from rmaat.biology.biology import Biology
    from rmaat.gradient.backprop import amrb, bptt, checkpointed
    from rmaat.gradient.budget import Budget
    from rmaat.model.config import ModelConfig
    from rmaat.model.memory import Retention
    from rmaat.model.model import RMAAT
    from rmaat.model.stream import Stream
    from rmaat.tasks.registry import TASKS
    from rmaat.tasks.task import Batch, Task
    from rmaat.training.configs import CONFIGS
    from rmaat.training.evaluation import Evaluation, evaluate
    from rmaat.training.experiment import Experiment, TrainConfig, experiment
    from rmaat.training.prediction import Predictions, predict
    from rmaat.training.result import Result, load_run
    from rmaat.training.settings import change
    from rmaat.training.studies.compare import Comparison, compare
    from rmaat.training.studies.plan import Row, Study
    from rmaat.training.studies.run import StudyResult, study
    from rmaat.training.trainer import train
    from rmaat.training.variants import VARIANTS

__getattr__, __dir__, __all__ = face(__name__, {
    "RMAAT": "rmaat.model.model", "ModelConfig": "rmaat.model.config", "Stream": "rmaat.model.stream",
    "Retention": "rmaat.model.memory", "Astromorphic": "rmaat.attention.astromorphic",
    "Attention": "rmaat.attention.base", "Biology": "rmaat.biology.biology", "Budget": "rmaat.gradient.budget",
    **dict.fromkeys(("amrb", "bptt", "checkpointed"), "rmaat.gradient.backprop"),
    "TASKS": "rmaat.tasks.registry", **dict.fromkeys(("Batch", "Task"), "rmaat.tasks.task"),
    **dict.fromkeys(("Experiment", "TrainConfig", "experiment"), "rmaat.training.experiment"),
    "CONFIGS": "rmaat.training.configs", "change": "rmaat.training.settings", "train": "rmaat.training.trainer",
    **dict.fromkeys(("Evaluation", "evaluate"), "rmaat.training.evaluation"),
    **dict.fromkeys(("Predictions", "predict"), "rmaat.training.prediction"),
    **dict.fromkeys(("Result", "load_run"), "rmaat.training.result"), "VARIANTS": "rmaat.training.variants",
    **dict.fromkeys(("Row", "Study"), "rmaat.training.studies.plan"),
    **dict.fromkeys(("StudyResult", "study"), "rmaat.training.studies.run"),
    **dict.fromkeys(("Comparison", "compare"), "rmaat.training.studies.compare"),
})
