"""What the container runs: the action, once."""

import logging
import os
import sys

from octue_action import pruned_imports
from octue_action.cancellation import Cancellation

if __name__ == "__main__":
    cancellation = Cancellation.by_signals()  # first: importing the rest takes its time, and a signal may come in it
    pruned_imports.install(os.environ)

    # What libraries log would go to stderr as it is, answers with tokens in them too; their errors are told anyway.
    logging.getLogger().addHandler(logging.NullHandler())

    from octue_action.main import main

    code = main(os.environ, cancellation=cancellation)
    sys.stdout.flush()
    os._exit(code)  # all is told and written: taking apart all that was imported would take a fifth of a short run
