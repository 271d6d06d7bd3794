"""Functions and calls as pickles, also those that `pickle` refuses, where cloudpickle is installed."""

import pickle
from multiprocessing.reduction import ForkingPickler


def dumps(thing: object) -> bytes:
    """Pickle a function as `multiprocessing` does, else by its code.

    Raises:
        Exception: what `pickle` raised, with a note that says what would help.
    """
    try:
        return bytes(ForkingPickler.dumps(thing))
    except Exception as error:  # noqa: BLE001 - whatever an object's own `__reduce__` raises
        return dumps_by_value(thing, error)


def dumps_by_value(thing: object, error: Exception) -> bytes:
    """Pickle what `pickle` has refused with `error`: functions by their code.

    Raises:
        Exception: `error`, where cloudpickle is not installed or refuses too.
    """
    try:
        try:
            import cloudpickle
        except ImportError:
            if isinstance(error, (pickle.PicklingError, AttributeError, TypeError)):
                error.add_note(
                    'Functions that are not at the top of a module need cloudpickle: pip install "threefold[cloudpickle]"'
                )
            raise error from None
        try:
            by_value: bytes = cloudpickle.dumps(thing)
        except Exception:  # noqa: BLE001 - the first error is the one that the user knows
            raise error from None
        return by_value
    finally:
        # The traceback of an error that is raised here holds this frame.
        del thing, error
