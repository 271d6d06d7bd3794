"""The standard library's own module."""

import multiprocessing.dummy
import sys

sys.modules[__name__] = multiprocessing.dummy
