# The standard library's own module.

from multiprocessing.util import *  # noqa: F403 - every name of it
