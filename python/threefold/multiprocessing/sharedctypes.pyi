# The standard library's own module.

from multiprocessing.sharedctypes import *  # noqa: F403 - every name of it
