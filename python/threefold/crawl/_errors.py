"""What a crawl raises."""

from __future__ import annotations

from threefold._errors import Error

# Type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from threefold.crawl._report import Report


class CrawlError(Error, RuntimeError):
    """A crawl could not be started or could not go on.

    Args:
        message: what happened.
        report: the crawl's last state, where it had begun.
    """

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message)
        self.report = report


class StateError(CrawlError):
    """The state is of another crawl, of another version, in use, or no state at all."""


class StoreError(CrawlError):
    """The state or the output can't be written; what was recorded is kept, and the crawl can be resumed."""
