"""What holds for every test.

No test depends on the machine's speed: hypothesis has neither a deadline nor an opinion on how quickly data come.
Shapes in rmaat's signatures are checked: that hook must be in place before anything imports rmaat.
"""

import os
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

os.environ["ASTRO_PROGRESS"] = "0"  # what a test reads on stderr must not depend on how long something took

if find_spec("torch") is not None:
    from jaxtyping import install_import_hook

    install_import_hook("rmaat", "beartype.beartype")

settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")
