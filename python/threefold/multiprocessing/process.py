"""The standard library's own module."""

import multiprocessing.process
import sys

sys.modules[__name__] = multiprocessing.process
