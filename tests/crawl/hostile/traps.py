"""Areas without end: whoever follows every link there never comes back."""

import hashlib
import re
from urllib.parse import parse_qsl

from .server import Area, Reply, Request, missing, page

FIRST_YEAR = 2000


def token(*parts: object) -> str:
    """Return a string that looks random and is the same for the same parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def calendar(real: list[str]) -> Area:
    """Months and days in both directions, for ever."""
    leaves = {f"/calendar/{name}.html" for name in real}

    async def handler(request: Request) -> Reply:
        if request.path == "/calendar/":
            return page("Calendar", [f"/calendar/{FIRST_YEAR}/01/", *sorted(leaves)])
        if request.path in leaves:
            return page(request.path)
        match = re.fullmatch(r"/calendar/(\d+)/(\d+)/(?:(\d+)\.html)?", request.path)
        if match is None:
            return missing()
        year, month = int(match[1]), int(match[2])
        if match[3]:
            return page(f"The day {year}-{month}-{match[3]}", [f"/calendar/{year}/{month:02}/"])
        months = [(year + (month + step - 1) // 12, (month + step - 1) % 12 + 1) for step in (-12, -1, 1, 12)]
        days = [f"{day:02}.html" for day in range(1, 29)]
        return page(f"The month {year}-{month}", [*(f"/calendar/{y}/{m:02}/" for y, m in months), *days])

    trouble = "months and days in both directions, for ever"
    refusals = frozenset({"too_many_of_one_form"})
    return Area("/calendar/", handler, trouble, frozenset({"/calendar/", *leaves}), refusals=refusals)


def deeper(real: list[str]) -> Area:
    """A folder in each folder."""
    leaves = {f"/deeper/{name}.html" for name in real}

    async def handler(request: Request) -> Reply:
        if request.path in leaves:
            return page(request.path)
        names = ["inner", "nested", "lower", "below", "under", "within", "down"]
        depth = request.path.count("/")
        return page(f"Depth {depth}", [f"{names[depth % 7]}{'x' * depth}/", *sorted(leaves)])

    trouble = "each folder has another one in it"
    return Area("/deeper/", handler, trouble, frozenset({"/deeper/", *leaves}), refusals=frozenset({"path_too_deep"}))


def again(real: list[str]) -> Area:
    """A relative link that was meant to be absolute: the path repeats itself."""
    leaves = {f"/again/{name}.html" for name in real}

    async def handler(request: Request) -> Reply:
        if request.path in leaves:
            return page(request.path)
        return page("Again", ["again/part/", *sorted(leaves)])

    trouble = "a relative link that leads to itself, one folder deeper each time"
    return Area("/again/", handler, trouble, frozenset({"/again/", *leaves}), refusals=frozenset({"repeated_path"}))


def session(real: list[str]) -> Area:
    """New session identifiers in the links of each page, in the query and in the path."""
    leaves = {f"/session/{name}.html" for name in real}

    async def handler(request: Request) -> Reply:
        path = request.path.partition("?")[0].partition(";")[0]
        if path != "/session/" and path not in leaves:
            return missing()
        new = token(request.path, request.count)
        links = [f"{leaf}?PHPSESSID={new}" for leaf in sorted(leaves)]
        links += [f"{leaf};jsessionid={new.upper()}" for leaf in sorted(leaves)]
        return page(f"Session {path}", [*links, f"/session/?sid={new}"])

    trouble = "each page gives its links new session identifiers; the pages count under any of them"
    refusals = frozenset({"session_id"})
    return Area("/session/", handler, trouble, frozenset({"/session/", *leaves}), refusals=refusals)


def facets(real: list[str]) -> Area:
    """A shop's filters, to be combined at will."""
    leaves = {f"/facets/{name}.html" for name in real}
    names = ["colour", "size", "brand", "price", "rating", "material", "order", "view", "stock", "origin"]

    async def handler(request: Request) -> Reply:
        path, _, query = request.path.partition("?")
        if path in leaves:
            return page(path)
        chosen = dict(parse_qsl(query))
        links = []
        for name in names:
            others = {key: value for key, value in chosen.items() if key != name}
            toggled = others if name in chosen else {**chosen, name: "1"}
            links.append("/facets/?" + "&amp;".join(f"{key}={value}" for key, value in toggled.items()))
        return page(f"Filtered by {query}", [*links, *sorted(leaves)])

    trouble = "ten filters, each of which can be added to the query in any order"
    refusals = frozenset({"too_many_queries"})
    return Area("/facets/", handler, trouble, frozenset({"/facets/", *leaves}), refusals=refusals)


def soft_missing(real: list[str]) -> Area:
    """What is not there answers 200, and links to more of it."""
    leaves = {f"/soft/{name}.html" for name in real}
    sorry = page("Sorry, we could not find that", ["/soft/"])

    async def handler(request: Request) -> Reply:
        if request.path in leaves:
            return page(request.path)
        if request.path == "/soft/":
            return page("Soft", [*sorted(leaves), *(f"/soft/item-{token(number)}.html" for number in range(400))])
        return sorry

    trouble = "400 addresses of one form that all say with status 200 that there is no such page"
    return Area("/soft/", handler, trouble, frozenset({"/soft/", *leaves}), refusals=frozenset({"same_body"}))


def areas(real: list[str]) -> list[Area]:
    """Return the areas of this file; `real`: the names of the pages that each of them really has."""
    return [make(real) for make in (calendar, deeper, again, session, facets, soft_missing)]
