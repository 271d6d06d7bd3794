"""Starts threefold where its start-up file is not in site-packages, then runs the sitecustomize it stands in front of."""

import os
import sys


def _start() -> None:
    """Call `threefold._boot.start`, finding the package beside this folder if it is not on the path."""
    try:
        from threefold._boot import start
    except ImportError:
        # Last on the path, so that nothing else that lies there can stand in front of the program's own modules.
        parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        sys.path.append(parent)
        try:
            from threefold._boot import start
        except ImportError:
            return
        finally:
            if parent in sys.path:
                sys.path.remove(parent)
    start()


def _chain() -> None:
    """Take this folder off the path and run the sitecustomize that the interpreter would have found without it."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    this_module = sys.modules.pop(__name__)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        # The import system expects to find the module that it has just run.
        sys.modules[__name__] = this_module


# Whatever Python inherits the path runs this file; the package itself needs one that it supports.
if sys.version_info >= (3, 11):
    _start()
_chain()
