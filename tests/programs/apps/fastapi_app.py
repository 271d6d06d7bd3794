"""A web application on FastAPI: asynchronous and threaded handlers, a stream, a background task, a WebSocket."""

import asyncio
import threading

from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()
written = []


class Item(BaseModel):
    """What is sent and comes back."""

    name: str
    number: int


@app.get("/loop")
async def loop() -> str:
    """Say which class the running loop has."""
    kind = type(asyncio.get_running_loop())
    return f"{kind.__module__}.{kind.__qualname__}"


@app.post("/item")
async def double(item: Item) -> Item:
    """Double a number."""
    return Item(name=item.name, number=2 * item.number)


@app.get("/thread/{number}")
def in_a_thread(number: int) -> dict[str, object]:
    """Answer from a thread of the pool."""
    return {"number": number, "is_main": threading.current_thread() is threading.main_thread()}


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Stream a hundred lines."""

    async def lines():
        for number in range(100):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(lines())


@app.get("/later/{number}")
async def later(number: int, tasks: BackgroundTasks) -> int:
    """Write a number down after the answer, which is the same number."""
    tasks.add_task(written.append, number)
    return number


@app.get("/written")
async def what_was_written() -> list[int]:
    """Return the numbers that were written down."""
    return written


@app.websocket("/ws")
async def converse(socket: WebSocket) -> None:
    """Send each message back."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
