"""Areas that send the crawler somewhere else: in circles, to other hosts, to places that it must not go to, and past gates."""

from .server import Area, Reply, Request, missing, page, redirect

LANDING_HOST = 2
FORBIDDING_HOST = 3


def loop(real: list[str]) -> Area:
    """Redirects that lead back."""
    leaves = {f"/loop/{name}.html" for name in real}
    hops = {f"/loop/hop{number}": f"/loop/hop{number + 1}" for number in range(1, 5)} | {"/loop/hop5": min(leaves)}
    circle = {"/loop/a": "/loop/b", "/loop/b": "/loop/c", "/loop/c": "/loop/a", "/loop/self": "/loop/self"}

    async def handler(request: Request) -> Reply:
        path, _, query = request.path.partition("?")
        if path == "/loop/":
            return page("Loop", ["self", "a", "grow?n=1", "hop1", "nowhere", *sorted(leaves - {min(leaves)})])
        if path in leaves:
            return page(path)
        if path == "/loop/grow":
            return redirect(f"/loop/grow?n={int(query.removeprefix('n=') or 0) + 1}")
        if path == "/loop/nowhere":
            return Reply(b"<p>no Location header</p>", 302)
        target = (hops | circle).get(path)
        return missing() if target is None else redirect(target, 301 if request.count % 2 else 308)

    trouble = (
        "redirects to themselves, in a circle of three, without end; five proper hops to a page; a 302 without Location"
    )
    pages = frozenset({"/loop/", *(leaves - {min(leaves)})})
    return Area("/loop/", handler, trouble, pages, refusals=frozenset({"redirect_loop"}), failing=frozenset(circle))


def away(real: list[str]) -> Area:
    """Redirects to other hosts, which have rules of their own, and to what is no page at all."""
    leaves = {f"/away/{name}.html" for name in real}
    elsewhere = ["ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:alert(1)", "http://", "http://[bad/"]

    async def handler(request: Request) -> Reply:
        if request.path in leaves:
            return page(request.path)
        name = request.path.removeprefix("/away/")
        if name == "":
            links = ["landing", "unreachable", "outside", *(f"odd{number}" for number in range(len(elsewhere)))]
            return page("Away", [*links, *sorted(leaves)])
        targets = {
            "landing": request.url("/landing.html", LANDING_HOST),
            "unreachable": request.url("/secret.html", FORBIDDING_HOST),
            "outside": "http://outside.invalid/",
        }
        targets |= {f"odd{number}": address for number, address in enumerate(elsewhere)}
        return redirect(targets[name]) if name in targets else missing()

    trouble = "redirects to another host of the crawl, to one whose robots.txt fails, out of the scope, and to `file:`, `ftp:`"
    refusals = frozenset({"robots_unreachable", "out_of_scope", "not_fetchable"})
    return Area("/away/", handler, trouble, frozenset({"/away/", *leaves}), refusals=refusals)


def refresh(real: list[str]) -> Area:
    """Redirects in the page and in a header of their own."""
    leaves = {f"/refresh/{name}.html" for name in real}
    by_meta, by_header, *rest = sorted(leaves)

    async def handler(request: Request) -> Reply:
        match request.path:
            case "/refresh/":
                return page("Refresh", ["meta", "header", *rest])
            case "/refresh/meta":
                return page("Meta", head=f"<meta HTTP-EQUIV=Refresh content=' 0 ; URL = \"{by_meta}\" '>")
            case "/refresh/header":
                return Reply(page("Header").body, 200, [("refresh", f"0; url={by_header}")])
        return page(request.path) if request.path in leaves else missing()

    trouble = "`<meta http-equiv=refresh>`; the `Refresh` header leads to a page, too, which a crawler may leave out"
    return Area("/refresh/", handler, trouble, frozenset({"/refresh/", "/refresh/meta", by_meta, *rest}))


def cookies(real: list[str]) -> Area:
    """Pages for those only who keep cookies."""
    leaves = {f"/cookies/{name}.html" for name in real}
    bounce = "/cookies/bounce.html"

    async def handler(request: Request) -> Reply:
        path = request.path
        if path == "/cookies/gate":
            return redirect(bounce, 303, set_cookie="passed=yes; Path=/cookies/; HttpOnly")
        if path == "/cookies/":
            return Reply(
                page("Cookies", [*sorted(leaves), bounce]).body, headers=[("set-cookie", "seen=yes; Path=/cookies/")]
            )
        cookies = request.headers.get("cookie", "")
        if path == bounce:
            return page(path) if "passed=yes" in cookies else redirect("/cookies/gate")
        if path in leaves:
            return page(path) if "seen=yes" in cookies else Reply(b"<p>no cookie</p>", 403)
        return missing()

    trouble = (
        "pages that answer 403 without the index's cookie; one that sends to a gate, which sets a cookie and sends back"
    )
    return Area("/cookies/", handler, trouble, frozenset({"/cookies/", *leaves}))


def areas(real: list[str]) -> list[Area]:
    """Return the areas of this file; `real`: the names of the pages that each of them really has."""
    return [make(real) for make in (loop, away, refresh, cookies)]
