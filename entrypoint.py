"""What the container runs: the action, once."""

import os
import sys

from octue_action.main import main

if __name__ == "__main__":
    sys.exit(main(os.environ))
