"""What transports that write have in common: their water marks, and how their protocols hear of them."""

import sys
from contextvars import Context
from typing import Any

from threefold import _threefold


def water_marks(high: float | None, low: float | None, default_kib: int) -> tuple[int, int]:
    """Complete a pair of water marks, in bytes.

    Args:
        high: the high one; None for four times the low one, or the default.
        low: the low one; None for a quarter of the high one.
        default_kib: the high one where neither is given, in KiB.

    Returns:
        The low one and the high one.

    Raises:
        ValueError: not high >= low >= 0.
    """
    if high is None:
        high = default_kib * 1024 if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return int(min(low, sys.maxsize)), int(min(high, sys.maxsize))


class FlowControl:
    """The flow control of a transport that has a `StreamCore` in a slot `_core`.

    Source: CPython Lib/asyncio/transports.py, _FlowControlMixin
    """

    __slots__ = ()

    _context: Context
    _core: _threefold.StreamCore
    _loop: Any

    @property
    def _protocol_paused(self) -> bool:
        return self._core.is_writing_paused

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the water marks, the low one first, in bytes."""
        return self._core.marks

    def set_write_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """Set the water marks, in bytes: the protocol pauses above `high` and resumes at `low`.

        Raises:
            ValueError: not high >= low >= 0.
        """
        if self._core.set_marks(*water_marks(high, low, 64)):
            self._pause_protocol()

    def _pause_protocol(self) -> None:
        self._tell_protocol("pause_writing")

    def _resume_protocol(self) -> None:
        self._tell_protocol("resume_writing")

    def _tell_protocol(self, method: str) -> None:
        protocol = self._core.protocol
        try:
            # A copy: the caller may be inside.
            self._context.copy().run(getattr(protocol, method))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            message = f"protocol.{method}() failed"
            context = {"message": message, "exception": error, "transport": self, "protocol": protocol}
            self._loop.call_exception_handler(context)
