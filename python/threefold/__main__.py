"""`python -m threefold` is the same command as `threefold`."""

import sys

from threefold.cli import main

if __name__ == "__main__":
    sys.exit(main())
