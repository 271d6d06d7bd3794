"""What a starting interpreter calls: activates threefold if `threefold run` asked for it, and never breaks the start."""

import os
import sys

RUN_VARIABLE = "THREEFOLD_RUN"
DISABLE_VARIABLE = "THREEFOLD_DISABLE"
VERBOSE_VARIABLE = "THREEFOLD_VERBOSE"

_is_started = False


def is_disabled() -> bool:
    """Say whether the kill switch `THREEFOLD_DISABLE` is set to anything but empty or 0."""
    return os.environ.get(DISABLE_VARIABLE, "0") not in ("", "0")


def explain(sentence: str) -> None:
    """Print a sentence on stderr if `THREEFOLD_VERBOSE` is set.

    Args:
        sentence: what happened, without a final newline.
    """
    if os.environ.get(VERBOSE_VARIABLE, "0") not in ("", "0"):
        complain(f"{sentence} (process {os.getpid()}, {sys.executable})")


def complain(sentence: str) -> None:
    """Print a sentence on stderr, if there is one.

    Args:
        sentence: what went wrong, without a final newline.
    """
    # A daemon or a windowed program may have no stderr, and a start must not fail for that.
    if sys.stderr is not None:
        try:
            print(f"threefold: {sentence}", file=sys.stderr, flush=True)
        except (OSError, ValueError):
            pass


def start() -> None:
    """Activate the parts that `THREEFOLD_RUN` names, or do nothing when it is not set.

    Called in the site phase by `threefold_run.pth` in site-packages or by `_site/sitecustomize.py`, in whatever
    interpreter inherits the variable: so nothing raised here may reach it.
    """
    global _is_started
    parts = os.environ.get(RUN_VARIABLE)
    # In a virtual environment Python reads its start-up file twice.
    if not parts or _is_started:
        return
    _is_started = True
    if is_disabled():
        explain(f"not activated: {DISABLE_VARIABLE} is set")
        return
    try:
        from threefold import _activate

        _activate.install(only=parts)
    except ImportError as error:
        # Another interpreter or environment that inherited the variable: it has no engine, and that is no fault.
        explain(f"not activated: {error}")
    except Exception as error:  # noqa: BLE001 - an interpreter's start must not fail for us
        complain(f"not activated: {type(error).__name__}: {error}")
    else:
        _report_on_quit()
        explain(f"activated: {parts}")


def _report_on_quit() -> None:
    """Make SIGQUIT print who waits for whom instead of ending the program."""
    from threefold import _threefold

    try:
        _threefold.report_on_quit()
    except OSError as error:
        complain(f"SIGQUIT keeps its usual effect: {error}")
