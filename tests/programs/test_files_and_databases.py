"""aiofiles and aiosqlite on our loop: what they do in threads comes back to the task that asked for it."""

import asyncio

import aiofiles
import aiosqlite
import pytest
from own_loop import run


def test_many_files_are_written_and_read_at_once(tmp_path):
    async def write_and_read(number):
        path = tmp_path / str(number)
        async with aiofiles.open(path, "w") as file:
            for line in range(20):
                await file.write(f"{number}.{line}\n")
        async with aiofiles.open(path) as file:
            assert [line async for line in file] == [f"{number}.{line}\n" for line in range(20)]

    async def main():
        await asyncio.gather(*map(write_and_read, range(30)))

    run(main())


def test_many_tasks_share_a_database(tmp_path):
    async def main():
        async with aiosqlite.connect(tmp_path / "database") as database:
            await database.execute("create table number (value int)")

            async def insert(value):
                await database.execute("insert into number values (?)", (value,))

            await asyncio.gather(*map(insert, range(200)))
            await database.commit()
            async with database.execute("select value from number order by value") as cursor:
                assert [value async for (value,) in cursor] == list(range(200))
            with pytest.raises(aiosqlite.OperationalError, match="no such table"):
                await database.execute("select * from absent")
            await database.rollback()

    run(main())
