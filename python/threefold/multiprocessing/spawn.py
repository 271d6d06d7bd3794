"""The standard library's own module."""

import multiprocessing.spawn
import sys

sys.modules[__name__] = multiprocessing.spawn
