"""Our reader of robots.txt and Protego's agree on the real files of 4,231 sites, but for the differences that are explained here.

Each explanation is a way to rewrite a file: where the two answer differently, Protego must answer like us once the file is
written in the way in which we read it. A difference that no rewriting explains fails the test.
"""

import importlib.util
import json
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sdists import Unavailable, folder

ROOT = Path(__file__).resolve().parents[2]
PROTEGO = ("protego", "0.7.0", "2c032d9736a1f4f0c4318f3558353ae34da5cd038f1a5e064ded7548df315e5a")
AGENTS = ["threefold", "Googlebot", "bingbot", "AhrefsBot"]
LIMIT_BYTES = 500 * 1024
PATTERNS_PER_FILE = 8

RULE = re.compile(r"\s*(user-?\s?agent|(?:dis+al+ow|disallaw|diasllow|allow))[^:]*:\s*(.*?)\s*$", re.I)


def fields(text: str) -> Iterator[tuple[str, str, str]]:
    """Give each line with its field (`agent`, `rule`, or empty) and its value."""
    for line in text.splitlines():
        match = RULE.match(line.partition("#")[0])
        if match is None:
            yield line, "", ""
        else:
            yield line, "agent" if match[1].lower().startswith("user") else "rule", match[2]


def without_other_records(text: str, agent: str) -> str:
    return "\n".join(line for line, field, _ in fields(text) if field)


def without_absolute_patterns(text: str, agent: str) -> str:
    def is_absolute(field: str, value: str) -> bool:
        return field == "rule" and value.lower().startswith(("http://", "https://"))

    # An empty pattern ends the user agents of a group, too, and says nothing.
    return "\n".join("Disallow:" if is_absolute(field, value) else line for line, field, value in fields(text))


def with_whole_names(text: str, agent: str) -> str:
    def name(value: str) -> str:
        own = re.match(r"[A-Za-z_-]*", value)
        is_ours = own is not None and own[0].lower() == agent.lower()
        return agent if is_ours else value if value == "*" else "another-robot"

    return "\n".join(f"User-agent: {name(value)}" if field == "agent" else line for line, field, value in fields(text))


def within_the_limit(text: str, agent: str) -> str:
    head = text.encode()[:LIMIT_BYTES]
    return text if len(head) < LIMIT_BYTES else head[: head.rfind(b"\n")].decode()


# What we read otherwise, and why.
EXPLANATIONS: dict[str, Callable[[str, str], str]] = {
    # RFC 9309, 2.2.4: other records must not interfere with groups. Protego lets `Crawl-delay` and unknown records end the
    # list of user agents, so that rules below the next user agent hold for that one only.
    "other records end no group": without_other_records,
    # 2.2.2: a pattern is compared with the path. Protego puts a slash before a pattern that is a whole address.
    "an address is no pattern": without_absolute_patterns,
    # 2.2.1: a robot is spoken to by its whole product token, and by nothing else. Protego takes what a name begins with for it
    # (`User-agent: Google` for Googlebot), and not what goes on with a version (`AhrefsBot/6.1`).
    "a robot's name is its whole product token": with_whole_names,
    # 2.5: what is behind 500 KiB is not read. Protego reads everything.
    "the limit of 500 KiB": within_the_limit,
}


@pytest.fixture(scope="module")
def protego() -> Path:
    """Return the unpacked source distribution of Protego."""
    try:
        return folder(*PROTEGO)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def parse(protego: Path) -> Callable[[str], Any]:
    """Return Protego's own reader."""
    source = protego / "src" / "protego" / "__init__.py"
    spec = importlib.util.spec_from_file_location("protego", source, submodule_search_locations=[str(source.parent)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["protego"] = module
    spec.loader.exec_module(module)
    parse: Callable[[str], Any] = module.Protego.parse
    return parse


@pytest.fixture(scope="module")
def ours() -> Path:
    """Return our reader as a program."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is needed to build the example `robots`")
    build = ["cargo", "build", "--quiet", "--package=threefold-crawl", "--example=robots", "--message-format=json"]
    done = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    made = [json.loads(line) for line in done.stdout.splitlines()]
    return Path(next(message["executable"] for message in made if message.get("executable")))


def real_files(protego: Path) -> Iterator[tuple[str, str]]:
    """Give the name and the text of each file that is text, as Protego's own test picks them."""
    for path in sorted((protego / "tests" / "test_data").iterdir()):
        try:
            yield path.name, path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            continue


def urls_for(text: str, source: random.Random) -> list[str]:
    """Choose addresses that the rules of a file speak about: just matched, just not matched, and any."""
    patterns = [value for _, field, value in fields(text) if field == "rule" and value]
    chosen = source.sample(patterns, min(len(patterns), PATTERNS_PER_FILE))
    paths = ["/", "/robots.txt", "/search?q=1", "/a/b/c.php"]
    for pattern in chosen:
        path = pattern.rstrip("$").replace("*", "x7")
        path = path if path.startswith("/") else f"/{path}"
        paths += [path, f"{path}more", path[:-1] or path]
    # A backslash is a slash to a browser's reader of addresses, which ours is, and a letter to Python's.
    return [f"http://example.com{path}" for path in dict.fromkeys(paths) if path.isprintable() and "\\" not in path]


def explanation(parse: Callable[[str], Any], text: str, agent: str, wrong: list[tuple[str, bool]]) -> str | None:
    """Find the least that must be rewritten for Protego to answer as we do."""
    for count in range(1, len(EXPLANATIONS) + 1):
        for names in combinations(EXPLANATIONS, count):
            rewritten = text
            for name in names:
                rewritten = EXPLANATIONS[name](rewritten, agent)
            reader = parse(rewritten)
            if all(reader.can_fetch(url, agent) == expected for url, expected in wrong):
                return " and ".join(names)
    return None


@pytest.mark.timeout(900)
def test_we_answer_as_protego_does_on_real_files(protego: Path, parse: Callable[[str], Any], ours: Path) -> None:
    source = random.Random(9309)
    files = [(name, text, urls_for(text, source)) for name, text in real_files(protego)]
    questions = (json.dumps({"robots": text, "agents": AGENTS, "urls": urls}) for _, text, urls in files)
    run = subprocess.run([ours], input="\n".join(questions), stdout=subprocess.PIPE, text=True, check=True)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(files) > 4_000

    verdicts = 0
    explained: Counter[str] = Counter()
    unexplained = []
    for (name, text, urls), answer in zip(files, answers, strict=True):
        reader = parse(text)
        for agent, own in zip(AGENTS, answer, strict=True):
            pairs = [(url, allowed) for url, (allowed, _) in zip(urls, own["verdicts"], strict=True)]
            wrong = [(url, allowed) for url, allowed in pairs if reader.can_fetch(url, agent) != allowed]
            verdicts += len(pairs)
            if wrong:
                why = explanation(parse, text, agent, wrong)
                explained[why or "unexplained"] += 1
                if why is None:
                    unexplained.append((name, agent, wrong))
    print(f"{verdicts} verdicts on {len(files)} files; differences by file and agent: {dict(explained)}")
    assert unexplained == []
    assert verdicts > 300_000
    assert sum(explained.values()) < len(files) * len(AGENTS) / 50


@pytest.mark.timeout(900)
def test_we_find_the_sitemaps_that_protego_finds(protego: Path, parse: Callable[[str], Any], ours: Path) -> None:
    files = list(real_files(protego))
    questions = (json.dumps({"robots": text, "agents": ["threefold"], "urls": []}) for _, text in files)
    run = subprocess.run([ours], input="\n".join(questions), stdout=subprocess.PIPE, text=True, check=True)
    differing = []
    for (name, text), line in zip(files, run.stdout.splitlines(), strict=True):
        within = within_the_limit(text, "threefold")
        if sorted(parse(within).sitemaps) != sorted(json.loads(line)[0]["sitemaps"]):
            differing.append(name)
    assert differing == []
