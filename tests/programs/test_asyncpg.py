"""asyncpg on our loop, against a real PostgreSQL: queries, transactions, notifications, COPY, cancellation, TLS."""

import asyncio
import io

import asyncpg
import pytest
from own_loop import run


@pytest.fixture(params=["TCP", "Unix", "TLS"])
def where(request, postgres_server, certificate):
    """How to reach the server; TLS begins on a connection that is already open (`start_tls`)."""
    host = str(postgres_server.folder) if request.param == "Unix" else "localhost"
    tls = certificate.client if request.param == "TLS" else False
    return {"host": host, "port": postgres_server.port, "user": "postgres", "database": "postgres", "ssl": tls}


def test_each_query_of_many_tasks_gets_its_own_rows(where):
    async def ask(pool, number):
        rows = await pool.fetch(
            "select $1::int * n as product, repeat('x', n) as text from generate_series(1, 50) n", number
        )
        assert [tuple(row) for row in rows] == [(number * n, "x" * n) for n in range(1, 51)]

    async def main():
        async with asyncpg.create_pool(**where, min_size=1, max_size=6) as pool:
            encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
            assert await pool.fetchval(encrypted) is bool(where["ssl"])
            await asyncio.gather(*(ask(pool, number) for number in range(200)))

    run(main())


def test_a_transaction_is_done_whole_or_not_at_all(where):
    async def main():
        connection = await asyncpg.connect(**where)
        await connection.execute("create temporary table account (name text primary key, amount int)")
        await connection.executemany("insert into account values ($1, $2)", [("one", 10), ("other", 0)])
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("update account set amount = amount - 5 where name = 'one'")
                raise ZeroDivisionError
        async with connection.transaction(isolation="serializable"):
            await connection.execute("update account set amount = amount - 3 where name = 'one'")
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute("insert into account values ('one', 1)")
            await connection.execute("update account set amount = amount + 3 where name = 'other'")
        assert [row["amount"] for row in await connection.fetch("select * from account order by name")] == [7, 3]
        await connection.close()

    run(main())


def test_notifications_arrive_in_order(where):
    async def main():
        heard = asyncio.Queue()
        listener, speaker = await asyncpg.connect(**where), await asyncpg.connect(**where)

        def hear(connection, process, channel, payload):
            heard.put_nowait(payload)

        await listener.add_listener("news", hear)
        for number in range(100):
            await speaker.execute("select pg_notify('news', $1)", str(number))
        assert [await heard.get() for _ in range(100)] == [str(number) for number in range(100)]
        await listener.remove_listener("news", hear)
        await asyncio.gather(listener.close(), speaker.close())

    run(main())


def test_a_copy_brings_in_and_out_what_was_given(where):
    records = [(number, f"line {number}", bytes([number % 256]) * (number % 700)) for number in range(3000)]

    async def main():
        connection = await asyncpg.connect(**where)
        await connection.execute("create temporary table copied (number int, text text, bytes bytea)")
        assert await connection.copy_records_to_table("copied", records=records) == "COPY 3000"
        rows = await connection.fetch("select * from copied order by number")
        assert [tuple(row) for row in rows] == records
        out = io.BytesIO()
        await connection.copy_from_query("select number, text from copied order by number", output=out, format="csv")
        assert out.getvalue().decode().splitlines() == [f"{number},line {number}" for number, *_ in records]
        await connection.close()

    run(main())


def test_a_cursor_fetches_piece_by_piece(where):
    async def main():
        connection = await asyncpg.connect(**where)
        async with connection.transaction():
            seen = [row[0] async for row in connection.cursor("select generate_series(1, 777)", prefetch=10)]
        assert seen == list(range(1, 778))
        await connection.close()

    run(main())


def test_a_cancelled_query_ends_on_the_server_and_the_connection_goes_on(where):
    async def main():
        watcher = await asyncpg.connect(**where)
        async with asyncpg.create_pool(**where, min_size=1, max_size=1) as pool:

            async def is_running():
                return await watcher.fetchval(
                    "select count(*) from pg_stat_activity where query = 'select pg_sleep(3000)'"
                )

            query = asyncio.create_task(pool.execute("select pg_sleep(3000)"))
            while not await is_running():
                await asyncio.sleep(0.001)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await pool.fetchval("select 1") == 1
            with pytest.raises(TimeoutError):
                await pool.execute("select pg_sleep(3001)", timeout=0.05)
            assert await pool.fetchval("select 2") == 2
            assert not await is_running()
        await watcher.close()

    run(main())


def test_a_connection_that_the_server_ends_is_an_error_for_who_waits(where):
    async def main():
        victim, other = await asyncpg.connect(**where), await asyncpg.connect(**where)
        number = victim.get_server_pid()
        query = asyncio.create_task(victim.execute("select pg_sleep(3000)"))
        await asyncio.sleep(0)
        assert await other.fetchval("select pg_terminate_backend($1)", number)
        with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)):
            await query
        assert victim.is_closed()
        await other.close()

    run(main())
