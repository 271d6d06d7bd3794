"""redis-py's asyncio client on our loop, against a real Redis: commands, transactions, messages, streams, lost connections."""

import asyncio

import pytest
import redis.asyncio as redis
from own_loop import run

from servers import Redis


@pytest.fixture(params=["TCP", "Unix"])
def make_client(request, redis_server):
    """Makes clients of one server, over TCP or a Unix socket; what an earlier test has left there is gone."""

    def make(**options):
        if request.param == "TCP":
            return redis.Redis(port=redis_server.port, decode_responses=True, **options)
        return redis.Redis(unix_socket_path=str(redis_server.path), decode_responses=True, **options)

    async def empty():
        async with make() as client:
            await client.flushall()

    run(empty())
    return make


def test_each_command_gets_its_own_answer_also_from_many_tasks(make_client):
    async def use(client, name):
        for number in range(25):
            await client.set(f"{name}.{number}", f"{name}-{number}" * number)
            await client.incr("count")
        for number in range(25):
            assert await client.get(f"{name}.{number}") == f"{name}-{number}" * number

    async def main():
        async with make_client() as client:
            await asyncio.gather(*(use(client, name) for name in "abcdefgh"))
            assert await client.get("count") == "200"
            assert len(await client.keys("*.*")) == 200
            large = "x" * 3_000_000
            await client.set("large", large)
            assert await client.get("large") == large

    run(main())


def test_transactions_that_watch_a_key_lose_no_increment(make_client):
    async def increment(client):
        for _ in range(10):
            async with client.pipeline(transaction=True) as pipe:
                while True:
                    try:
                        await pipe.watch("sum")
                        before = int(await pipe.get("sum") or 0)
                        pipe.multi()
                        pipe.set("sum", before + 1)
                        await pipe.execute()
                        break
                    except redis.WatchError:
                        continue

    async def main():
        async with make_client() as client:
            await asyncio.gather(*(increment(client) for _ in range(4)))
            assert await client.get("sum") == "40"

    run(main())


def test_what_is_published_arrives_in_order_at_every_subscriber(make_client):
    async def main():
        async with make_client() as client, client.pubsub() as one, client.pubsub() as other:
            await one.subscribe("news")
            await other.psubscribe("n*")
            for subscriber in (one, other):
                assert (await subscriber.get_message(timeout=30))["type"].endswith("subscribe")
            for number in range(100):
                assert await client.publish("news", number) == 2
            for subscriber in (one, other):
                heard = [(await subscriber.get_message(timeout=30))["data"] for _ in range(100)]
                assert heard == [str(number) for number in range(100)]

    run(main())


def test_a_cancelled_wait_leaves_the_client_usable(make_client):
    async def main():
        async with make_client() as client:
            waiting = asyncio.create_task(client.blpop(["jobs"]))
            while not (await client.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.001)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.blpop(["jobs"])
            while (await client.info("clients"))["blocked_clients"]:
                await asyncio.sleep(0.001)
            await client.rpush("jobs", "one", "two")
            assert await client.blpop(["jobs"]) == ("jobs", "one")
            assert await client.lrange("jobs", 0, -1) == ["two"]

    run(main())


def test_a_stream_gives_each_entry_to_one_of_a_group(make_client):
    async def consume(client, name, taken):
        while len(taken) < 100:
            for _stream, entries in await client.xreadgroup("group", name, {"stream": ">"}, count=3, block=50) or []:
                for identifier, fields in entries:
                    taken.append(int(fields["number"]))
                    await client.xack("stream", "group", identifier)

    async def main():
        taken = []
        async with make_client() as client:
            await client.xgroup_create("stream", "group", mkstream=True)
            consumers = [asyncio.create_task(consume(client, name, taken)) for name in "abc"]
            for number in range(100):
                await client.xadd("stream", {"number": number})
            await asyncio.gather(*consumers)
            assert (await client.xpending("stream", "group"))["pending"] == 0
        assert sorted(taken) == list(range(100))

    run(main())


def test_a_lock_lets_one_in_at_a_time(make_client):
    async def main():
        inside = []
        async with make_client() as client:

            async def work(number):
                async with client.lock("lock", timeout=30, sleep=0.005):
                    inside.append(number)
                    await asyncio.sleep(0)
                    assert inside.pop() == number
                    assert inside == []

            await asyncio.gather(*map(work, range(10)))

    run(main())


def test_a_server_that_dies_is_a_connection_error():
    async def main(server):
        async with redis.Redis(port=server.port, retry=None) as client:
            await client.ping()
            waiting = asyncio.create_task(client.blpop(["jobs"]))
            await asyncio.sleep(0)
            server.process.kill()
            with pytest.raises(redis.ConnectionError):
                await waiting
            with pytest.raises(redis.ConnectionError):
                await client.ping()

    with Redis() as server:
        run(main(server))
