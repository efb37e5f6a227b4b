"""What the container runs: the action, once."""

import os
import signal
import sys
from types import FrameType

from octue_action.main import main


def stop(number: int, _: FrameType | None) -> None:
    """End at once when the workflow is cancelled: as process 1 of its container, Python would ignore SIGTERM."""
    os.write(1, b"Cancelled. What Google Cloud has begun goes on there; the next run finishes the rest.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(os.environ))
