"""Areas whose links are the trouble: relative to elsewhere, not to be followed, forbidden, or no links at all."""

from .server import Area, Reply, Request, missing, page

FORBIDDEN = "/forbidden/"


def base(real: list[str]) -> Area:
    """Links relative to what `<base>` says."""
    leaves = {f"/base/real/{name}.html" for name in real}
    names = [f"{name}.html" for name in real]

    async def handler(request: Request) -> Reply:
        match request.path:
            case "/base/":
                return page("Base", [*names, "/base/host"], head='<base href="real/"><base href="/base/never/">')
            case "/base/host":
                return page("Base", names, head='<base href="http://outside.invalid/base/">')
        return page(request.path) if request.path in leaves else missing()

    trouble = "`<base>`, a second one that does not count, and one that leads out of the scope"
    pages = frozenset({"/base/", "/base/host", *leaves})
    return Area("/base/", handler, trouble, pages, frozenset({"/base/never/"}), frozenset({"out_of_scope"}))


def nofollow(real: list[str]) -> Area:
    """What says that it, or its links, shall not be followed."""
    leaves = {f"/nofollow/{name}.html" for name in real}
    never = "/nofollow/never/"

    async def handler(request: Request) -> Reply:
        other = '<meta name="another-robot" content="nofollow">'
        match request.path:
            case "/nofollow/":
                link = f'<a rel="external NoFollow" href="{never}link.html">x</a>'
                return page("Nofollow", ["meta", "header", "other"], link)
            case "/nofollow/meta":
                return page("Meta", [f"{never}meta.html"], head='<META NAME=Robots CONTENT="noindex,NOFOLLOW">')
            case "/nofollow/header":
                return Reply(page("Header", [f"{never}header.html"]).body, headers=[("x-robots-tag", "nofollow")])
            case "/nofollow/other":
                return Reply(
                    page("Other", sorted(leaves), head=other).body, headers=[("x-robots-tag", "another-robot: none")]
                )
        return page(request.path) if request.path in leaves else missing()

    trouble = (
        "`rel=nofollow`, `<meta name=robots>`, `X-Robots-Tag`; and the same said to another robot, which does not count"
    )
    pages = frozenset({"/nofollow/", "/nofollow/meta", "/nofollow/header", "/nofollow/other", *leaves})
    return Area("/nofollow/", handler, trouble, pages, frozenset({never}), frozenset({"nofollow"}))


def odd(real: list[str]) -> Area:
    """Links in every shape, and texts that look like links."""
    leaves = {f"/odd/{name}.html" for name in real}
    first, second, third, fourth, *rest = sorted(leaves)
    long = f"/odd/{'long' * 600}.html"
    none = [
        "mailto:a@b",
        "javascript:go('/odd/never/a')",
        "tel:1",
        "data:text/html,x",
        "ftp://127.0.0.1/",
        "http://[bad",
        "http://",
    ]
    shapes = [
        f"<A HREF={first}>upper case, no quotes</A>",
        f'<a href=" \n\t{second}\n ">blanks around</a>',
        f"<a href='{third.replace('/', chr(92))}'>backslashes</a>",
        f'<map><area href="{fourth}#part"></map>',
        f'<a href="/odd/../odd/./{fourth.rpartition("/")[2]}">dots</a>',
        '<a href="">empty</a><a href="#top">top</a><a>no href</a><a href>no value</a>',
        '<!-- <a href="/odd/never/comment.html">x</a> -->',
        "<script>document.write(\"<a href='/odd/never/script.html'>x</a>\")</script>",
        '<style>/* <a href="/odd/never/style.html">x</a> */</style>',
        '<textarea><a href="/odd/never/textarea.html">x</a></textarea>',
        '<title><a href="/odd/never/title.html">x</a></title>',
        "<a title='<a href=/odd/never/attribute.html>' href='/odd/'>x</a>",
        f'<a href="{long}">too long</a>',
    ]
    body = page("Odd", [*none, *rest], "\n".join(shapes))

    async def handler(request: Request) -> Reply:
        if request.path == "/odd/":
            return body
        return page(request.path) if request.path in leaves else missing()

    trouble = "no quotes, blanks, backslashes; `mailto:` and the like; links in comments and scripts; 2,400 characters"
    refusals = frozenset({"not_fetchable", "url_too_long"})
    return Area("/odd/", handler, trouble, frozenset({"/odd/", *leaves}), frozenset({"/odd/never/", long}), refusals)


def forbidden(real: list[str]) -> Area:
    """What robots.txt forbids, and what it allows in it."""
    leaves = {f"{FORBIDDEN}open/{name}.html" for name in real}

    async def handler(request: Request) -> Reply:
        return page(request.path) if request.path in leaves else missing()

    trouble = (
        "robots.txt disallows the folder; a longer pattern allows `/forbidden/open/`, a shorter one does not count"
    )
    never = frozenset({f"{FORBIDDEN}secret.html", f"{FORBIDDEN}%73ecret.html"})
    return Area(FORBIDDEN, handler, trouble, leaves and frozenset(leaves), never, frozenset({"robots"}))


def etag(real: list[str]) -> Area:
    """Pages that say whether they have changed."""
    leaves = {f"/etag/{name}.html" for name in real}

    async def handler(request: Request) -> Reply:
        path = request.path
        if path != "/etag/" and path not in leaves:
            return missing()
        tag, date = f'"{path}-1"', "Sun, 06 Nov 1994 08:49:37 GMT"
        headers = [("etag", tag), ("last-modified", date)]
        asked = request.headers
        if asked.get("if-none-match") == tag or (
            "if-none-match" not in asked and asked.get("if-modified-since") == date
        ):
            return Reply(b"", 304, headers)
        return Reply(page(path, sorted(leaves) if path == "/etag/" else []).body, headers=headers)

    trouble = "`ETag` and `Last-Modified`: a second crawl with `--revisit` gets 304 for all of it, and loses no page"
    return Area("/etag/", handler, trouble, frozenset({"/etag/", *leaves}))


def areas(real: list[str]) -> list[Area]:
    """Return the areas of this file; `real`: the names of the pages that each of them really has."""
    return [make(real) for make in (base, nofollow, odd, forbidden, etag)]
