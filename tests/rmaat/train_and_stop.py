"""The program `rmaat`, stopped at a step: `python train_and_stop.py SIGNAL STEP WHOM train ...`.

Before STEP it sends SIGNAL to itself (WHOM = self) or, as the process that leads, to what started it (WHOM = parent),
and then waits until it has arrived. So a test knows at which step, whatever the speed of the machine.
"""

import os
import signal
import sys
import time

from rmaat.__main__ import main
from rmaat.training.steps import Trainer

number, step, whom = getattr(signal, sys.argv[1]), int(sys.argv[2]), sys.argv[3]
del sys.argv[1:4]
advance = Trainer.advance


def stopping(self, asked=lambda: False):
    if self.step == step and self.world.leads:
        os.kill(os.getpid() if whom == "self" else os.getppid(), number)
        while not asked():
            time.sleep(.001)
    return advance(self, asked)


Trainer.advance = stopping
main()
