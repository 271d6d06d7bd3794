"""The standard library's own module."""

import multiprocessing.util
import sys

sys.modules[__name__] = multiprocessing.util
