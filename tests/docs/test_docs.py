"""README, runbook and the other pages say only what the code does: commands, targets, files, links, problem codes."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer.main

from deploy.environment import PROJECT
from edge.cli.commands import app as edge_app
from edge.loops.supervisor import STUCK
from hub.cli import app as hub_app

PAGES = sorted(
    [
        PROJECT / "README.md",
        PROJECT / "CHANGELOG.md",
        PROJECT / "CONTRIBUTING.md",
        *(PROJECT / "docs").rglob("*.md"),
    ]
)
RUNBOOK = PROJECT / "docs" / "runbook.md"
DECISIONS = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
PICTURES = sorted((PROJECT / "docs").rglob("*.svg"))
PROGRAMS: dict[str, Any] = {
    "rollcall-edge": typer.main.get_command(edge_app),
    "rollcall-hub": typer.main.get_command(hub_app),
}
DEFAULT = "pictures"
"""The command of the hub's group `enrol` that may be left out."""
SVG = "{http://www.w3.org/2000/svg}"

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")
_OWN_PATH = re.compile(r"(?:config|deploy|docs|edge|hub|protocol|recognition|tests)/[\w./-]*")


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def code_of(page: Path) -> Iterator[str]:
    """Yield what stands in code: each line of a fence (continued lines joined), and each inline span."""
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        yield from fence[2].replace("\\\n", " ").splitlines()
    yield from _SPAN.findall(_FENCE.sub("", text))


def quoted_commands() -> list[tuple[str, str]]:
    """Return (page, command line) for every command of ours that a page quotes."""
    found = []
    for page in PAGES:
        for line in code_of(page):
            found += [
                (name_of(page), match[0].strip())
                for match in re.finditer(r"rollcall-(?:edge|hub)(?![\w.-])(?:\s+[^|&;#]+)?", line)
                if not line[: match.start()].endswith(("stop ", "start ", "restart ", "enable ", "-u ", "now "))
            ]
    return found


def options_of(command: Any) -> dict[str, bool]:
    """Return the options of a command and whether each is a flag without a value."""
    return {
        name: bool(getattr(parameter, "is_flag", False))
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help": True}


def unknown_words(line: str) -> list[str]:
    """Return the words of a quoted command line that the program would not know as commands or options."""
    words = re.findall(r"\"[^\"]*\"|\S+", line)
    command, unknown, skip = PROGRAMS[words[0]], list[str](), False
    for word in words[1:]:
        if skip:
            skip = False
        elif word.startswith("--") or re.fullmatch(r"-\w", word):
            options = options_of(command) | default_options(command)
            if word not in options:
                unknown.append(word)
            skip = not options.get(word, True)
        elif getattr(command, "commands", None):
            # A file after `enrol` belongs to the command that `enrol` stands for.
            known = command.commands.get(word) or command.commands.get(DEFAULT)
            if known is None:
                unknown.append(word)
                break
            command = known
    return unknown


def default_options(group: Any) -> dict[str, bool]:
    """Return the options of the command that `enrol` stands for when none is named."""
    default = getattr(group, "commands", {}).get(DEFAULT)
    return options_of(default) if default else {}


def anchor_of(heading: str) -> str:
    """Return the anchor that a heading gets when the page is shown."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def codes_in_table(heading: str) -> set[str]:
    """Return the codes in the first column of the runbook's table under `heading`."""
    _, found, below = RUNBOOK.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"the runbook has no section {heading!r}"
    section = below.partition("\n## ")[0]
    return set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))


def words_in_source(package: str, pattern: str) -> set[str]:
    sources = (PROJECT / package).rglob("*.py")
    return {word for path in sources for word in re.findall(pattern, path.read_text(encoding="utf-8"))}


def test_every_make_target_in_the_pages_exists() -> None:
    """Whoever types what a page says gets what it says."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    quoted = {
        (name_of(page), target)
        for page in PAGES
        for line in code_of(page)
        for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", line)
    }
    assert {"demo", "test", "check"} <= {target for _, target in quoted}
    assert not {(page, target) for page, target in quoted if target not in targets}


@pytest.mark.parametrize(("page", "line"), quoted_commands())
def test_every_quoted_command_exists_with_its_options(page: str, line: str) -> None:
    """A command that was renamed must not live on in a page."""
    assert not unknown_words(line), f"{page} quotes {line!r}"


def test_the_check_of_commands_finds_what_does_not_exist() -> None:
    """Otherwise the test before this one might pass for want of looking."""
    assert unknown_words("rollcall-hub student destroy --serial 1") == ["destroy"]
    assert unknown_words("rollcall-hub --config hub.toml student list --everybody") == ["--everybody"]
    assert unknown_words("rollcall-hub enrol --serial 0012 --allow-twins ada.jpg") == ["--allow-twins"]
    assert not unknown_words("rollcall-hub --config hub.toml enrol --serial 0012 ada.jpg")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    """A link names a file of the project, and its anchor a heading of that file."""
    broken = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        if not linked.exists():
            broken.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor not in map(anchor_of, headings):
                broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_named_in_code_exist(page: Path) -> None:
    """A path of ours in code, such as `config/hub.example.toml`, is there."""
    spans = _SPAN.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    named = {span for span in spans if _OWN_PATH.fullmatch(span)}
    assert not {path for path in named if not (PROJECT / path).exists()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_in_the_pages_are_toml(page: Path) -> None:
    """What is shown as TOML can be copied into a settings file."""
    for language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "toml":
            tomllib.loads(text)


def test_the_runbook_has_every_problem_a_unit_reports() -> None:
    """An operator who reads a code in the log finds it, and finds no code that does not exist."""
    reported = words_in_source("edge", r"(?:\.problem|\.failed|\bRaise)\(\s*\"([a-z_]+)\"")
    assert codes_in_table("Problems a unit reports") == reported


def test_the_runbook_has_every_reason_against_a_gallery() -> None:
    """The words in `gallery status` are explained."""
    refused = words_in_source("edge", r"(?:GalleryRefused|\._refused)\(\s*\"([a-z_]+)\"")
    assert codes_in_table("Why a unit refuses a gallery") == refused


def test_the_runbook_has_everything_that_the_fleet_may_say_of_a_unit() -> None:
    """The codes in `rollcall-hub units --json` are explained; what a unit's disk is stands among its own problems."""
    said = words_in_source("hub", r"\bTrouble\(\s*\"([a-z_]+)\"")
    assert codes_in_table("What `rollcall-hub units` says") == said
    assert {"disk_low", "disk_full", "disk_read_only"} <= codes_in_table("Problems a unit reports")


def test_the_runbook_has_every_reason_against_a_record() -> None:
    """The words in `quarantine list` and `dead-letters list` are explained."""
    refused = (
        words_in_source("protocol", r"\bBadEvent\(\s*\"([a-z_]+)\"")
        | words_in_source("hub", r"\b(?:BadEvent|Unusable)\(\s*\"([a-z_]+)\"")
        | words_in_source("hub", r"\bRefused\([^)\"\[]*\"([a-z_]+)\"")
        | words_in_source("hub", r"\((?:UnknownTopic|WrongVersion|TooLarge), \"([a-z_]+)\"\)")
        | words_in_source("hub", r"\b(?:CONFLICT|SEQ_TAKEN) = \"([a-z_]+)\"")
        | words_in_source("edge", r"\b(?:NO_ANSWER|SEQ_TAKEN) = \"([a-z_]+)\"")
    )
    assert {"invalid", "unstorable", "too_large"} <= refused
    assert codes_in_table("Why the hub refuses a record") == refused


@pytest.mark.parametrize(
    ("heading", "package"),
    [("### Lines in the unit's log", "edge"), ("### Lines in the hub's log", "hub")],
)
def test_lines_of_a_log_are_quoted_as_they_are_written(heading: str, package: str) -> None:
    """Whoever searches the runbook for what a log says finds it, up to the first figure."""
    _, found, below = RUNBOOK.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    assert found
    rows = re.findall(r"^\| (.+?) \|", re.split(r"\n##", below)[0], re.MULTILINE)[1:]
    quoted = [span for row in rows for span in _SPAN.findall(row)]
    sources = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / package).rglob("*.py"))
    assert len(quoted) > 5
    assert not [line for line in quoted if re.split(r"[;: ]+\w+=", line)[0] not in sources]


def test_the_runbook_has_the_exit_code_of_a_program_that_was_stuck() -> None:
    """It is seen in the service manager's log, where nothing else explains it."""
    assert re.search(rf"^\| {STUCK} \| `run`", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("picture", PICTURES, ids=name_of)
def test_pictures_are_well_formed_and_load_nothing(picture: Path) -> None:
    """An SVG has a title for those who cannot see it, and neither scripts nor addresses to load from."""
    text = picture.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 (our own file)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title") is not None
    assert root.get("viewBox")
    assert not list(root.iter(f"{SVG}script"))
    assert "href" not in text


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_decisions_have_their_parts(page: Path) -> None:
    """Each page says what it was about, what was decided and what follows; its title has the file's number."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.name[:4]}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_decisions_are_numbered_without_gaps() -> None:
    """A number that is missing would look like a decision somebody took away."""
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_architecture_names_only_what_is_in_the_code() -> None:
    """A class that was renamed, or a method that went elsewhere, must not live on in the page about the whole."""
    spans = _SPAN.findall((PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    sources = "".join(
        path.read_text(encoding="utf-8")
        for package in ("edge", "hub", "recognition", "protocol", "tests/simulation")
        for path in (PROJECT / package).rglob("*.py")
    )
    names = [match for span in spans if (match := re.fullmatch(r"(?:[\w.]+\.)?([A-Z]\w*[a-z]\w*)(?:\.(\w+))?", span))]
    assert len(names) > 40
    unknown = {name for name, _ in (match.groups() for match in names) if f"class {name}" not in sources}
    unknown |= {part for _, part in (match.groups() for match in names) if part and f"def {part}(" not in sources}
    assert not unknown
