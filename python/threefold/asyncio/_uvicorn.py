"""What uvicorn takes where it is left to choose the loop: under `threefold run` that is ours, also where uvloop is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threefold.asyncio._event_loop import EventLoop

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


def _auto_loop_factory(use_subprocess: bool = False) -> type[EventLoop]:  # noqa: ARG001 - uvicorn passes it
    return EventLoop


def _auto_loop_setup(use_subprocess: bool = False) -> None:
    """Leave the policy as it is: its loops are ours."""


# Its name before uvicorn 0.36 and since.
_CHOICES: dict[str, Any] = {"auto_loop_setup": _auto_loop_setup, "auto_loop_factory": _auto_loop_factory}


def _change_in_place(automatic: ModuleType) -> Callable[[], None] | None:
    """Let `--loop auto`, which is the default, choose our loop, and return what lets it choose as before."""
    before = {name: getattr(automatic, name) for name in _CHOICES if hasattr(automatic, name)}
    if not before:
        return None
    vars(automatic).update({name: _CHOICES[name] for name in before})
    return lambda: vars(automatic).update(before)
