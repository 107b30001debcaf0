"""``python -m fer_zoo`` is the command ``fer-zoo``."""

import sys

from fer_zoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
