"""The standard library's own module."""

import multiprocessing.shared_memory
import sys

sys.modules[__name__] = multiprocessing.shared_memory
