"""The tasks by name. Adding one: a file here with a frozen dataclass as in task.py, and a line in `TASKS`."""

from rmaat.tasks.copy import Copy
from rmaat.tasks.fashion import Fashion
from rmaat.tasks.files import Files
from rmaat.tasks.image import Image
from rmaat.tasks.listops import ListOps
from rmaat.tasks.manpages import Manpages
from rmaat.tasks.next_byte import NextByte
from rmaat.tasks.pairs import Pairs
from rmaat.tasks.parity import Parity
from rmaat.tasks.pathfinder import Pathfinder
from rmaat.tasks.recall import Recall
from rmaat.tasks.retrieval import Retrieval
from rmaat.tasks.task import Task
from rmaat.tasks.text import Text

TASKS: dict[str, type[Task]] = {"recall": Recall, "listops": ListOps, "fashion": Fashion, "text": Text,
                               "next_byte": NextByte,
                               "image": Image, "retrieval": Retrieval, "copy": Copy, "pairs": Pairs,
                               "parity": Parity, "pathfinder": Pathfinder, "manpages": Manpages, "files": Files}
