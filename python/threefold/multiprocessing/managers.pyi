# The standard library's own module.

from multiprocessing.managers import *  # noqa: F403 - every name of it
