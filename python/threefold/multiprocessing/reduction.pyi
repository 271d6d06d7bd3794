# The standard library's own module.

from multiprocessing.reduction import *  # noqa: F403 - every name of it
