"""What transports with a native core say in debug mode."""

from asyncio.log import logger
from typing import Any

from threefold import _threefold


class DebugMode:
    """The debug mode of a transport that has a `StreamCore` in a slot `_core`."""

    __slots__ = ()

    _core: _threefold.StreamCore
    _loop: Any

    def _act_in_debug_mode(self, is_writer: bool) -> None:
        """Read or write, and say so if the protocol has taken long."""
        loop = self._loop
        begin = loop.time()
        try:
            self._core.act(self, is_writer)
        finally:
            elapsed = loop.time() - begin
            if elapsed >= loop.slow_callback_duration:
                logger.warning("Executing %r took %.3f seconds", self, elapsed)

    def _note(self, text: str) -> None:
        logger.debug(text, self)
