"""The standard library's own module."""

import multiprocessing.reduction
import sys

sys.modules[__name__] = multiprocessing.reduction
