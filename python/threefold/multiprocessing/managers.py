"""The standard library's own module."""

import multiprocessing.managers
import sys

sys.modules[__name__] = multiprocessing.managers
