"""A worker of gunicorn that runs uvicorn on our loop."""

from typing import Any, ClassVar

from uvicorn.workers import UvicornWorker


class OurWorker(UvicornWorker):
    """Uvicorn's worker with our loop."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "threefold.asyncio:EventLoop", "http": "auto"}
