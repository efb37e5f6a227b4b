"""What an attacker writes, and what it must not come to: shared by the written attacks and by those that are made up.

Every attack ends the same way: the log has no command of the attacker's, the outputs none of their names, the summary
none of their markup, and no secret is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from octue_action.github_context import VARIABLES
from octue_action.settings import INPUTS
from tests import github_runner

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = (
    "x\n::set-output name=pwned::1\n  ::stop-commands::pwned\n##[set-env name=PATH]pwned\r::add-mask::e\r\n"
    "x ##[add-path]pwned\n::error title=pwned,file=pwned::pwned\n\u2028::save-state name=pwned::1\n\x1b[2J::echo::on"
    "\n,title=pwned::error::pwned\n%0A::set-output name=pwned::1%0D%0A##[add-mask]e"
)
MARKUP = (
    "</code></pre></td></tr></table></blockquote>\n\n# pwned\n\n<img src=x onerror=pwned()><script>pwned()</script>"
    '"><a href="javascript:pwned()">pwned</a>\n\n[pwned](javascript:pwned()) ![pwned](https://pwned.example/i.png)\n'
    "\n```\n\n<!-- @octocat <![CDATA[ <?pwned <details open ontoggle=pwned()>\n\n"
    "| pwned | -@octocat octocat/x#1 GH-1 |\n|---|---|\n"
)
HEREDOC = "\npwned=1\npwned<<EOF\n1\nEOF\nghadelimiter_00000000-0000-4000-8000-000000000000\npwned=1\n"
POLYGLOT = f"{COMMANDS}{MARKUP}{HEREDOC}"
LINE = " ".join(POLYGLOT.split())

HARMLESS_COMMANDS = {"notice", "warning", "error", "debug", "group", "endgroup", "add-mask"}
HARMLESS_TAGS = {
    *("h2", "h3", "p", "b", "br", "sub", "em", "code", "pre", "blockquote", "table", "tr", "th", "td", "a"),
    *("details", "summary"),
}
IN_THE_CONTAINER = json.loads(re.findall("^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0])[1:-1]
OUTPUTS = yaml.safe_load((ROOT / "action.yml").read_text())["outputs"].keys()

PASSWORD = "correct horse/battery+staple"
GITHUB_TOKEN = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
SECRETS = (PASSWORD, GITHUB_TOKEN, "/root:", "PRIVATE KEY")
TOKEN = re.compile(r"ya29\.\S|eyJ\w|gh[ps]_\w{30}")

SECONDS = 2.0

SERVICE = "name: sum\nproject_name: my-project\nregion: europe-west1\n"


CONTENTS: dict[str, str | bytes] = {
    "aliases of aliases": "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b, *b]\n",
    "a tag that builds an object": "!!python/object/apply:os.system ['touch pwned']",
    "a merged mapping": f"{SERVICE}<<: {{name: pwned}}\n",
    "a binary key": f"{SERVICE}name: !!binary cHduZWQ=\n",
    "lists in lists": "[" * 250_000,
    "mappings in keys": "{? " * 80_000,
    "lists in lines": "- " * 120_000,
    "mappings in lines": "a:\n  " * 5_000,
    "a name without end": f"name: {'a-' * 130_000}\n",
    "a name that nearly fits": f"name: {'a-' * 100_000}!\n",
    "a number without end": f"memory: {'9' * 200_000}\n",
    "a number to the base of sixty": f"memory: {'9:' * 100_000}x\n",
    "zeros without end": f"cpus: {'0' * 100_000}.{'0' * 100_000}e\n",
    "directives": "".join(f"%TAG !{number}! x\n" for number in range(13_000)) + "---\nname: x\n",
    "documents": "---\n" * 60_000,
    "comments": "#\n" * 120_000,
    "blank lines": "a: |\n" + "\n" * 240_000,
    "escaped line ends": '"' + "\\\n" * 120_000,
    "lines that go on": "name: " + "a\n " * 80_000,
    "services without end": "services:\n" + "- name: sum\n" * 4_000,
    "unknown keys in many services": "services:\n"
    + ("- name: sum\n" + "".join(f"  proyect{n}: 1\n" for n in range(60))) * 80,
    "many services": "services:\n" + "".join(f"- {{name: s{n}, region: '{LINE}'}}\n" for n in range(100)),
    "many wrong variables": f"{SERVICE}environment_variables:\n"
    + "".join(f"- {{name: -{n}, value: 1}}\n" for n in range(3_000)),
    "options for the build": f"{SERVICE}secrets: {{build: ['-v/:/host', '$(id)', '--network=host']}}\n",
    "a key of commands": json.dumps({POLYGLOT: POLYGLOT}),
    "values of commands": json.dumps({"name": POLYGLOT, "region": LINE, "memory": [POLYGLOT], POLYGLOT: 1}),
    "commands in depth": json.dumps({"services": [{"name": "sum", LINE: {LINE: LINE}}]}),
    "a key without a colon": f'{SERVICE}? "{LINE.translate({34: None, 92: None})}"\n: x\n',
    "anchors of commands": f"{SERVICE}&{LINE}\n*pwned: !<{LINE}> x\n",
    "a broken line of commands": f"name: {LINE}: {LINE}\n\t- x",
    "a lone carriage return": "name: sum\r::set-output name=pwned::1\r\n",
    "a line separator": "name: sum\u2028::set-output name=pwned::1\n",
    "half a character": 'name: "\\ud800\\0\\x1b"\n',
    "UTF-16": b"\xff\xfe" + "name: sum\n".encode("utf-16-le"),
    "broken UTF-8": b"name: \xc3\x28\xa0\xa1\n",
    "zeros": b"\0" * 1000,
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbfname: sum\n",
    "ten megabytes": b"x" * 10_000_000,
    "nothing": b"",
}


@dataclass(frozen=True)
class Case:
    """What an attacker wrote.

    :param variables: of the step, by name.
    :param files: of the repository, by path; ``octue.yaml`` is a good one unless it is here.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


WRITTEN: Mapping[str, Case] = {
    **{
        f"octue.yaml: {name}": Case(files={"octue.yaml": text.encode() if isinstance(text, str) else text})
        for name, text in CONTENTS.items()
    },
    **{f"input {name}": Case({f"INPUT_{name.upper()}": POLYGLOT}) for name in INPUTS},
    **{f"variable {name}": Case({name: POLYGLOT}) for name in VARIABLES},
}
"""Attacks that are over before Google Cloud is asked for anything, so that all of them are tried in a moment."""


@dataclass(frozen=True)
class Left:
    """What an attacked run left behind."""

    code: int
    stdout: str
    stderr: str
    output: bytes
    summary: str
    seconds: float

    @property
    def log(self) -> github_runner.Log:
        return github_runner.read_log(self.stdout)

    @property
    def errors(self) -> str:
        return "\n".join(annotation.message for annotation in self.log.of_kind("error"))


_MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})

MADE_A_LINK = re.compile(r"(?<!\w)@\w|#\d|\bGH-\d", re.IGNORECASE)
"""What GitHub makes a link of in the text of a page, be it HTML: mentions of people, and numbers of issues."""

MADE_A_LINK_IN_MARKDOWN = re.compile(r"://|www\.|\w@\w")
"""What GitHub makes a link of in a paragraph that is not HTML."""

HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
"""Characters that a page must not have: they are not seen, or change how others are."""


class Markup(HTMLParser):
    """What a browser makes of a summary: its tags, addresses and the other attributes.

    ``paragraphs`` are the parts that are Markdown, and not HTML.
    """

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.odd: list[str] = []
        self._open: list[str] = []
        tokens = _MARKDOWN.parse(markdown)
        self.paragraphs = [token.content for token in tokens if token.type == "inline"]
        self.feed(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._open.append(tag)
        for name, value in attrs:
            if name == "href":
                self.addresses.add(str(value))
            else:
                self.attributes.add(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"pre", "code"}.intersection(self._open):
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_decl(self, decl: str) -> None:
        self.odd.append(decl)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)


def hold_harmless(left: Left, environment: Mapping[str, str]) -> None:
    log = left.log
    assert left.code in {0, 1, 2}
    assert left.seconds < SECONDS
    assert left.stderr == ""
    assert {command.name for command in log.commands} <= HARMLESS_COMMANDS
    assert all(TOKEN.match(mask) for mask in log.masks)
    assert not any("pwned" in name for command in log.commands for name in command.properties)
    assert not any((annotation.title, annotation.file) == ("pwned", "pwned") for annotation in log.annotations)
    assert "Traceback" not in log.text
    outputs = github_runner.read_outputs(left.output, log)
    assert outputs.keys() <= OUTPUTS
    page = Markup(left.summary)
    assert page.tags <= HARMLESS_TAGS
    assert page.attributes <= {"pre lang"}
    assert all(address.startswith("https://console.cloud.google.com/") for address in page.addresses)
    assert page.odd == []
    assert not MADE_A_LINK.search(" ".join(page.texts))
    assert not any(MADE_A_LINK_IN_MARKDOWN.search(paragraph) for paragraph in page.paragraphs)
    assert not HIDDEN.search(left.summary)
    readable = "\n".join(
        [log.text, *(c.data for c in log.commands if c.name != "add-mask"), left.summary, *outputs.values()]
    )
    for secret in (*SECRETS, environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN") or PASSWORD, *log.masks):
        assert secret not in readable
