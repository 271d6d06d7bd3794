# The standard library's own module.

from multiprocessing.resource_tracker import *  # noqa: F403 - every name of it
