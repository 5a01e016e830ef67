"""A program of the standard library alone, ended in the house's way; those with verbs end in `foundation.cli`."""

import sys
from collections.abc import Callable

from foundation import stopping, streams
from foundation.errors import UserError, of_the_system


def end_with(main: Callable[[], int]) -> None:
    """Run `main` and exit with its code.

    An error that a user can mend is one line on stderr. A reader that leaves ends it quietly, Ctrl-C and SIGTERM end it
    with their codes.
    """
    with streams.guarded(), stopping.as_ctrl_c():
        try:
            code = main()
            if sys.stdout is not None:
                sys.stdout.flush()
        except streams.ReaderLeftError:
            code = 0
        except KeyboardInterrupt:
            code = stopping.exit_code()
        except (UserError, OSError) as error:
            error = of_the_system(error)
            if not isinstance(error, UserError):
                raise
            print(f"error: {error}", file=sys.stderr)
            code = error.exit_code
    sys.exit(code)
