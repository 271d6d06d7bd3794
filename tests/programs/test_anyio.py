"""anyio's asyncio backend on our loop: task groups, sockets, TLS, threads, processes, signals, and under `threefold run`."""

import asyncio
import os
import signal
import sys

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener, TLSStream
from program import OURS, Program

from threefold.asyncio import EventLoop

LIMIT_S = 40.0


def run(function, *arguments):
    """Run an asynchronous function by anyio on a loop of ours."""

    async def limited():
        assert type(asyncio.get_running_loop()) is EventLoop
        with anyio.fail_after(LIMIT_S):
            return await function(*arguments)

    return anyio.run(limited, backend_options={"loop_factory": EventLoop})


def test_a_failing_task_cancels_its_group_and_nothing_else():
    async def main():
        ended = []

        async def wait(name):
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(name)

        async def fail():
            await anyio.lowlevel.checkpoint()
            raise ZeroDivisionError

        async with anyio.create_task_group() as outer:
            outer.start_soon(wait, "outer")
            with pytest.raises(ExceptionGroup) as failed:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(wait, "inner")
                    inner.start_soon(fail)
            assert isinstance(failed.value.exceptions[0], ZeroDivisionError)
            assert ended == ["inner"]
            outer.cancel_scope.cancel()
        assert ended == ["inner", "outer"]

    run(main)


def test_scopes_end_in_time_and_a_shield_holds():
    async def main():
        with anyio.move_on_after(0.01) as scope:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.01)
                    saved = True
        assert scope.cancelled_caught
        assert saved
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.001):
                await anyio.sleep_forever()

    run(main)


def test_objects_go_through_memory_streams_in_order():
    async def main():
        sender, receiver = anyio.create_memory_object_stream(3)
        received = []

        async def send():
            async with sender:
                for number in range(500):
                    await sender.send(number)

        async with anyio.create_task_group() as group, receiver:
            group.start_soon(send)
            received += [number async for number in receiver]
        assert received == list(range(500))

    run(main)


@pytest.mark.parametrize("kind", ["TCP", "Unix", "TLS"])
def test_every_connection_gets_its_own_bytes_back(kind, tmp_path, certificate):
    async def echo(stream):
        async with stream:
            async for piece in stream:
                await stream.send(piece)

    async def connect(port):
        if kind == "Unix":
            return await anyio.connect_unix(tmp_path / "socket")
        stream = await anyio.connect_tcp("127.0.0.1", port)
        if kind == "TLS":
            return await TLSStream.wrap(
                stream, hostname="localhost", ssl_context=certificate.client, standard_compatible=False
            )
        return stream

    async def talk(port, name):
        async with await connect(port) as stream:
            reader = BufferedByteReceiveStream(stream)
            for number in range(30):
                body = name.encode() * (1 + number * 300)
                await stream.send(body)
                assert await reader.receive_exactly(len(body)) == body

    async def main():
        if kind == "Unix":
            listener = await anyio.create_unix_listener(tmp_path / "socket")
        else:
            listener = (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0]
        port = None if kind == "Unix" else listener.extra(anyio.abc.SocketAttribute.local_port)
        if kind == "TLS":
            listener = TLSListener(listener, certificate.server, standard_compatible=False)
        async with listener, anyio.create_task_group() as serving:
            serving.start_soon(listener.serve, echo)
            async with anyio.create_task_group() as group:
                for name in "abcdefgh":
                    group.start_soon(talk, port, name)
            serving.cancel_scope.cancel()

    run(main)


def test_datagrams_arrive():
    async def main():
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
            port = server.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
                for number in range(50):
                    await client.send(b"%d" % number)
                    body, sender = await server.receive()
                    await server.sendto(body * 2, *sender)
                    assert await client.receive() == b"%d" % number * 2

    run(main)


def test_threads_and_tasks_call_each_other():
    def work(number):
        return anyio.from_thread.run(double, number) + anyio.from_thread.run_sync(abs, -number)

    async def double(number):
        await anyio.lowlevel.checkpoint()
        return 2 * number

    async def main():
        results = {}

        async def call(number):
            results[number] = await anyio.to_thread.run_sync(work, number)

        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(call, number)
        assert results == {number: 3 * number for number in range(60)}

    run(main)


def test_a_portal_lets_other_threads_run_tasks():
    async def loop_and_double(number):
        await anyio.lowlevel.checkpoint()
        return type(asyncio.get_running_loop()), 2 * number

    with anyio.from_thread.start_blocking_portal(backend_options={"loop_factory": EventLoop}) as portal:
        futures = [portal.start_task_soon(loop_and_double, number) for number in range(50)]
        assert [future.result(LIMIT_S) for future in futures] == [(EventLoop, 2 * number) for number in range(50)]


def test_processes_give_what_they_print_and_how_they_end():
    code = "import sys; sys.stdout.write(sys.stdin.read() * 2); sys.stderr.write('oh'); sys.exit(3)"

    async def main():
        done = await anyio.run_process([sys.executable, "-c", code], input=b"x" * 200_000, check=False)
        assert (done.returncode, done.stderr, done.stdout) == (3, b"oh", b"x" * 400_000)

    run(main)


def test_signals_arrive_one_by_one():
    async def main():
        with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
                os.kill(os.getpid(), number)
                assert await anext(signals) == number

    run(main)


def test_a_program_that_chooses_nothing_has_our_loop_and_ends_at_ctrl_c_as_on_the_standard_one(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import anyio, asyncio\n"
        "async def main():\n"
        "    kind = type(asyncio.get_running_loop())\n"
        "    try:\n"
        "        async with anyio.create_task_group() as group:\n"
        "            group.start_soon(anyio.sleep_forever)\n"
        "            print(f'on {kind.__module__}.{kind.__qualname__}')\n"
        "            await anyio.sleep_forever()\n"
        "    finally:\n"
        "        print('cleaned up')\n"
        "try:\n"
        "    anyio.run(main)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    for way in ("run", "standard"):
        with Program(way, program) as started:
            assert (started.find("on (.*)")[1] == OURS) is (way == "run")
            assert started.end(signal.SIGINT) == 0
            assert started.lines[1:] == ["cleaned up", "interrupted"]
