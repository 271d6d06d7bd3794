"""The standard library's own module."""

import multiprocessing.sharedctypes
import sys

sys.modules[__name__] = multiprocessing.sharedctypes
