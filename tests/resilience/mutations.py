"""What an attacker might write, made up: good settings with something wrong in them, by grammar and by accident.

Everything is drawn from one ``random.Random``, so that a case is known by its number.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from octue_action.github_context import VARIABLES
from octue_action.keys import KEYS
from octue_action.settings import INPUTS
from tests.resilience.attacks import COMMANDS, HEREDOC, LINE, MARKUP, PASSWORD, POLYGLOT, Case

_Choice = TypeVar("_Choice")

# fmt: off
ODD_CHARACTERS: tuple[str, ...] = (
    *map(chr, range(0x21)),
    *"\x7f\x80\x85\x9b\xa0\xad\u0130\u017f\u061c\u200b\u200d\u200e\u2028\u2029\u202e\u2066\u2069\u212a\u3000\ufeff\uff1a",
    *("\uffff", "\ud800", "\udfff", "\udc80", "\U000e0001", "\U0001f600", "e\u0301"),
    *"'\"`\\/|<>&%$#@!?*:;,.=~^+-_()[]{}",
)
FRAGMENTS: tuple[str, ...] = (
    *("\n", "\r", "\r\n", "\n\n", "\\n", "%0A", "%0D%0A", "%25"),
    *("\n::add-path::pwned", " \t::debug::", "##[group]pwned"),
    *("::error title=pwned,file=pwned::pwned", "\n::set-output name=pwned::1", "\r::stop-commands::pwned", "::::"),
    *("\n::add-mask::e", "::save-state name=pwned::1", "##[set-env name=PATH;]pwned", "\u2028::notice::pwned"),
    *("\n::add-matcher::pwned.json", "\v::warning::pwned", "\ufeff::echo::on", "<<EOF", "EOF", "\npwned=1\n"),
    *("\npwned<<EOF\n1\nEOF\n", "\nghadelimiter_x\npwned=1", "\x1b[31m", "\x1b[2K\x1b[1A", "\b\b\b\b", "\u202egnp.exe"),
    *("\x1b]8;;https://pwned.example\x07pwned\x1b]8;;\x07", "[pwned](javascript:pwned())", "<https://pwned.example>"),
    *("![pwned](https://pwned.example/i.png)", "[^1]: pwned"),
    *("https://pwned.example/", "www.pwned.example", "@octocat"),
    *("pwned@pwned.example", "#1", "octocat/x#1", "GH-1", "<img src=x onerror=pwned()>", "<script>pwned()</script>"),
    *("</code></td></tr></table>\n\n# pwned", "</pre>", "<b>", "\n\n```\n", "\n\n~~~\n", "\n\n---\n", "`", "**", "$$"),
    *("\n\n> [!NOTE]\n> pwned", "\n\n- [ ] pwned", "\n|a|b|\n|-|-|\n", "<!--", "-->", "<![CDATA[", "]]>", "<?pwned"),
    *("<!pwned>", "&lt;img&gt;", "&#60;img src=x&#62;", "&NewLine;"),
    *("&#35;1", "&commat;octocat", "$(pwned)", "`pwned`"),
    *(";pwned", "&& pwned", "| pwned", "${IFS}", "$PROJECT_ID", "--pwned", "-", "'\"'", "../", "..\\", "/etc/passwd"),
    *("//", "%2e%2e%2f", "/proc/self/environ", "~root", "file:///", "\0", "C:\\", "/.", "{", "}", "[", "]", "[[[[[["),
    *('{"pwned": 1}', '{"A": null}', '{"A": "B", "A": "C"}', "NaN"),
    *("-Infinity", '"\\ud800"', "(a+)+$", "(?i)", "(?P<n>"),
    *("(?=a)", "\\1", "[[:alpha:]]", "a{1,65535}", "\\pL", "(?#"),
    *("x*+", "[z-a]", "(?x) #", "(?au)", "(?i:[\\0-\\U0010ffff])"),
    *("no", "on", "true", "null", "~", "0", "-0", "012", "0o17"),
    *("0x1F", "1_000", "1:30", "1e400", ".inf", ".nan", "1.0"),
    *("2001-01-01", "9" * 30, "-1", "1" * 5000, "a" * 3000, "a-" * 2000, "0.5", "=", "<<", "5Gi", "512", "500m"),
    *(COMMANDS, MARKUP, HEREDOC, LINE, POLYGLOT),
)
YAML_FRAGMENTS: tuple[str, ...] = (
    *("&a ", "*a", "<<: *a\n", "!!python/object/apply:os.system ['pwned']", "!!binary cHduZWQ=", "!<pwned> ", "! "),
    *("!!set ", "? ", "- ", ": ", "#", "|\n", ">-\n", "%YAML 1.2\n"),
    *("%TAG ! pwned\n", "---\n", "...\n", "\t", "\n\t", "\n "),
    *("\n- ", "'", '"', '"\\x41"', '"\\ud800"', '"\\N\\L\\P"', '"\\', "{", "}", "[", "]", ",", "{? a", "[&a [*a]]"),
    *("\n  name: pwned\n", "a: &a [x, x]\nb: &b [*a, *a]\n", "services:\n", "\nservices: []\n", "\nname: 1\n"),
    *("\n? [a]\n: b\n", "\nnull: 1\n"),
)
# fmt: on
GOOD: Mapping[str, Sequence[str]] = {
    "project_id": ("my-project", "example.com:my-project"),
    "region": ("europe-west1", "us-central1"),
    "workload_identity_provider": (
        "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github",
    ),
    "deployer_service_account": ("deployer@my-project.iam.gserviceaccount.com",),
    "mode": ("deploy", "plan", "drift", "destroy", "rollback"),
    "config": ("octue.yaml", "./octue.yaml"),
    "services": ("sum", "sum,product", "sum\nproduct"),
    "service_namespace": ("my-org",),
    "service_name": ("sum",),
    "service_id": ("0df08f9f-30ad-4db3-8029-ea584b4290b7", "octue.services.0df08f9f-30ad-4db3-8029-ea584b4290b7"),
    "runtime_service_account": ("sum@my-project.iam.gserviceaccount.com",),
    "octue_role": ("projects/my-project/roles/octue_service_user", "roles/viewer", "organizations/1/roles/octue"),
    "image": ("europe-west1-docker.pkg.dev/my-project/sum/sum:1.0", f"sum@sha256:{'0' * 64}"),
    "dockerfile": ("Dockerfile", "./Dockerfile"),
    "branch_pattern": ("^main$", "^(main|release/.*)$", "^a+b*[cd]{2}\\d$", ""),
    "build_trigger": ("push", "manual"),
    "repository_connection": ("projects/my-project/locations/europe-west1/connections/c/repositories/r",),
    "build_service_account": ("builder@my-project.iam.gserviceaccount.com",),
    "memory": ("512Mi", "2Gi", "1G"),
    "cpu": ("1", "2", "0.5"),
    "concurrency": ("1", "10"),
    "timeout": ("1", "3600"),
    "min_instances": ("0", "1"),
    "max_instances": ("1", "10"),
    "environment_variables": (
        "A=1\nB=x=y",
        '{"A": "1"}',
        f"DB_PASSWORD={PASSWORD}",
        f'{{"DB_PASSWORD": "{PASSWORD}"}}',
    ),
    "secrets": ("A=token:latest", '{"A": "projects/my-project/secrets/token/versions/1"}', f"A={PASSWORD}"),
    "labels": ("team=data", '{"team": "data"}'),
    "ingress": ("internal", "all"),
    "adopt": ("true", "false"),
    "preview": ("pr-1",),
    "revision": ("my-org-sum-00001-abc",),
    "rollback_on_failure": ("false",),
    "confirm": ("my-org-sum",),
    "delete_topic": ("true", "false"),
    "region_policy": ("any", "low-carbon"),
    "sdk_policy": ("checked", "any"),
    "question": ('{"a": 1}',),
}
"""Of every input something that is taken; of the others there is nothing to be had."""

UNTIMELY = frozenset({"preview", "question"})
"""What this version refuses, however good it is: rarely worth a case."""

GITHUB: Mapping[str, Sequence[str]] = {
    "GITHUB_ACTOR": ("octocat", "dependabot[bot]"),
    "GITHUB_API_URL": ("https://api.github.com",),
    "GITHUB_EVENT_NAME": ("push", "pull_request", "workflow_dispatch", "pull_request_target"),
    "GITHUB_REF": ("refs/heads/main", "refs/pull/1/merge", "refs/tags/v1"),
    "GITHUB_REPOSITORY": ("my-org/sum-service",),
    "GITHUB_REPOSITORY_ID": ("1296269",),
    "GITHUB_REPOSITORY_OWNER_ID": ("583231",),
    "GITHUB_RUN_ID": ("42",),
    "GITHUB_SERVER_URL": ("https://github.com",),
    "GITHUB_SHA": ("0123456789abcdef0123456789abcdef01234567",),
    "ACTIONS_ID_TOKEN_REQUEST_URL": ("",),
    "GOOGLE_APPLICATION_CREDENTIALS": ("",),
    "GOOGLE_CLOUD_EMULATOR_HOST": ("", "127.0.0.1:8085"),
}
"""What GitHub says. Never a token to ask with: with one, an address would be asked."""

VALUES: Mapping[str, Sequence[Any]] = {
    "name": ("sum", "my-org/sum"),
    "namespace": ("my-org",),
    "project_name": ("my-project",),
    "region": ("europe-west1",),
    "minimum_instances": (0, 1),
    "maximum_instances": (1, 10),
    "concurrency": (1, 10),
    "memory": ("512Mi", "1Gi"),
    "cpus": (1, "1", 0.5),
    "branch_pattern": ("^main$",),
    "environment_variables": ([{"name": "A", "value": "1"}], [{"name": "B", "value": True}], []),
    "secrets": ({"build": ["token"]}, {}),
    "execution_environment": ("gen1", "gen2"),
    "service_registries": ([{"name": "a", "endpoint": "b"}],),
    "delete_local_files": (True,),
    "repository_name": ("sum-service", "other"),
    "repository_owner": ("my-org",),
    "dockerfile_path": ("Dockerfile",),
    "diagnostics_cloud_path": ("gs://bucket/a",),
}
"""Of keys of octue.yaml something that is taken; of the others a text is."""

MOST_CHARACTERS = 300_000
"""Of octue.yaml: some more than the action reads of it."""

SECRET_PLACES = (
    "postgres://user:{}@db.example/db?ssl=on",
    "A=1\n{}=\n{}=",
    '{{"A": "{}"',
    '{{"A": "1", "{}": 1}}',
    '{{"{}": null}}',
    '{{"{}": {{"{}": 1}}}}',
    "{}",
    "A={}:x",
    "{}=x:y",
    "A\n{}",
)
"""Where people put a secret by mistake."""


class Attacker:
    """Makes up one case.

    :param seed: of all that is drawn.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def case(self) -> Case:
        """Good settings, with something wrong in one place or in several."""
        variables = {name: self.one_of(GITHUB[name]) for name in GITHUB if self.chance(0.9)}
        variables |= {name: GITHUB[name][0] for name in ("GITHUB_REPOSITORY", "GITHUB_REPOSITORY_ID", "GITHUB_SHA")}
        variables["INPUT_WORKLOAD_IDENTITY_PROVIDER"] = GOOD["workload_identity_provider"][0]
        files: dict[str, bytes] = {}
        for aim in self._sample((self._inputs, self._octue_yaml, self._github, self._event), (6, 6, 2, 1)):
            aim(variables, files)
        return Case(variables, files)

    def text(self) -> str:
        """A text by somebody of bad intent, such as what an API says or how a resource is called."""
        return self.mutated(
            self.one_of(("PERMISSION_DENIED: no", "my-org-sum", "projects/p/topics/t", "", "https://x/"))
        )

    def one_of(self, choices: Sequence[_Choice]) -> _Choice:
        """Any of them."""
        return choices[int(self._random.random() * len(choices))]

    def chance(self, probability: float) -> bool:
        """Whether something happens that happens so often."""
        return self._random.random() < probability

    def mutated(self, text: str) -> str:
        """A text with something wrong in it."""
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            text = self.one_of(_CHANGES)(self, text)
        return text

    def _sample(self, aims: Sequence[Callable[..., None]], weights: Sequence[int]) -> list[Callable[..., None]]:
        count = self._random.choices((1, 2, 4), (8, 2, 1))[0]
        return list(dict.fromkeys(self._random.choices(aims, weights, k=count)))

    def _inputs(self, variables: dict[str, str], files: dict[str, bytes]) -> None:
        if self.chance(0.3):
            files["octue.yaml"] = b"services:\n- name: sum\n  namespace: my-org\n- {name: product, namespace: my-org}\n"
            variables |= {"INPUT_PROJECT_ID": "my-project", "INPUT_REGION": "europe-west1"}
        names = [name for name in INPUTS if name not in UNTIMELY or self.chance(0.05)]
        for name in self._random.sample(names, self._random.choice((1, 1, 2, 3, 8))):
            good = self.one_of(GOOD.get(name, ("x",)))
            variables[f"INPUT_{name.upper()}"] = self.mutated(good) if self.chance(0.6) else good
        if self.chance(0.1):
            place = self.one_of(("ENVIRONMENT_VARIABLES", "SECRETS"))
            variables[f"INPUT_{place}"] = (
                self.one_of(SECRET_PLACES).replace("{}", PASSWORD).replace("{{", "{").replace("}}", "}")
            )
        if self.chance(0.05):
            variables[f"INPUT_{self.mutated(self.one_of(list(INPUTS)).upper())}"] = self.mutated("x")

    def _github(self, variables: dict[str, str], _: dict[str, bytes]) -> None:
        for name in self._random.sample([*GITHUB], self._random.choice((1, 1, 2, 4))):
            variables[name] = self.mutated(self.one_of(GITHUB[name]))
        if self.chance(0.1):
            variables[self.one_of(VARIABLES[:-1])] = ""

    def _event(self, variables: dict[str, str], files: dict[str, bytes]) -> None:
        variables["GITHUB_EVENT_NAME"] = "pull_request"
        payload: Any = {
            "pull_request": {"head": {"repo": {"full_name": self.text()}, "ref": self.text()}},
            "head_commit": {"message": self.text()},
        }
        for _ in range(self._random.randrange(3)):
            self._damage(payload)
        text = json.dumps(payload)
        files["event.json"] = _encoded(self.mutated(text) if self.chance(0.3) else text)

    def _octue_yaml(self, variables: dict[str, str], files: dict[str, bytes]) -> None:
        services = [self._service() for _ in range(self._random.choice((1, 1, 2, 5)))]
        document: Any = services[0] if self.chance(0.3) else {"services": services}
        if self.chance(0.7):
            for _ in range(self._random.choice((1, 1, 2, 4))):
                self._damage(document)
        text = self._written(document, 0)
        if self.chance(0.5):
            for _ in range(self._random.choice((1, 1, 2, 3))):
                text = self.one_of((self._with_fragment, self._with_lines_mixed, self.mutated))(text)
        name = "octue.yaml"
        if self.chance(0.05):
            name = variables["INPUT_CONFIG"] = self.one_of(
                ("a,b:c=%0A::error::.yaml", "::warning::", "[x](y).yaml", "@a.yml")
            )
        files[name] = self.one_of((b"", b"", b"", b"\xef\xbb\xbf")) + _encoded(text[:MOST_CHARACTERS])

    def _service(self) -> dict[str, Any]:
        service = {"name": self.one_of(("sum", "product", "a-1"))}
        for key in ("namespace", "project_name", "region"):
            service[key] = self.one_of(VALUES[key])
        for key in self._random.sample(list(KEYS), self._random.choice((0, 1, 2, 5))):
            service.setdefault(key, self.one_of(VALUES.get(key, ("x",))))
        return service

    def _damage(self, document: Any) -> None:
        """Change a value, a key or the shape of what is somewhere in a document."""
        node = document
        while children := [
            it for it in (node.values() if isinstance(node, dict) else node) if isinstance(it, dict | list)
        ]:
            if self.chance(0.2):
                break
            node = self.one_of(children)
        if not node:
            return
        if isinstance(node, list):
            node[self._random.randrange(len(node))] = self._anything(node[0])
            return
        key = self.one_of(list(node))
        if self.chance(0.35):
            node[self.mutated(key)] = node.pop(key) if self.chance(0.5) else self._anything(node[key])
        else:
            node[key] = self._anything(node[key])

    def _anything(self, value: Any) -> Any:
        """Another value in the place of one."""
        kind = self._random.randrange(8)
        if kind < 4:
            return self.mutated(str(value))
        if kind == 4:
            return self.one_of(
                (None, True, -1, 0, 10**30, 1.5, 2**31, float("1e300"), [], {}, "", "1", "null", "~", " x ")
            )
        if kind == 5:
            return [value] * (2 if isinstance(value, dict | list) else self.one_of((1, 2, 30)))
        if kind == 6:
            return {self.mutated("name"): value, "value": value}
        for _ in range(self._random.choice((1, 3, 30))):
            value = [value] if self.chance(0.5) else {"a": value}
        return value

    def _written(self, value: Any, depth: int) -> str:
        """A document in one of the many ways in which YAML can be written."""
        if not isinstance(value, dict | list) or not value or depth > 12 or self.chance(0.1):
            return self._scalar(value)
        indent = "  " * depth
        if isinstance(value, list):
            return "".join(f"\n{indent}- {self._written(item, depth + 1)}" for item in value)
        pairs = [(self._scalar(key), self._written(item, depth + 1)) for key, item in value.items()]
        if self.chance(0.03):
            pairs.append(self.one_of(pairs))
        return ("\n" if depth else "") + "\n".join(f"{indent}{key}: {item}" for key, item in pairs) + "\n" * (not depth)

    def _scalar(self, value: Any) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        way = self._random.randrange(10)
        if way < 5 and value and value.isascii() and all(char.isalnum() or char in "-_./" for char in value):
            return value
        if way == 0:
            return value
        if way == 1:
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=way < 6)

    def _with_fragment(self, text: str) -> str:
        return self._inserted(text, self.one_of(YAML_FRAGMENTS))

    def _with_lines_mixed(self, text: str) -> str:
        lines = text.split("\n")
        first, second = self._random.randrange(len(lines)), self._random.randrange(len(lines))
        way = self._random.randrange(4)
        if way == 0:
            lines[first], lines[second] = lines[second], lines[first]
        elif way == 1:
            lines.insert(first, lines[second])
        elif way == 2:
            lines[first] = " " * self._random.randrange(4) + lines[first].lstrip()
        else:
            del lines[first]
        return self.one_of(("\n", "\n", "\n", "\r\n", "\r")).join(lines)

    def inserted_character(self, text: str) -> str:
        return self._inserted(text, self.one_of(ODD_CHARACTERS))

    def inserted_fragment(self, text: str) -> str:
        return self._inserted(text, self.one_of(FRAGMENTS))

    def replaced(self, text: str) -> str:  # noqa: ARG002 - like the others
        return self.one_of(FRAGMENTS)

    def cut(self, text: str) -> str:
        start = self._random.randrange(len(text) + 1)
        return text[:start] + text[start + self._random.choice((1, 1, 5, 1000)) :]

    def repeated(self, text: str) -> str:
        return self.one_of(("", ",", "\n", "/", "=")).join([text] * self._random.choice((2, 3, 50)))[:20_000]

    def in_other_case(self, text: str) -> str:
        return self.one_of((text.upper(), text.title(), text.swapcase()))

    def surrounded(self, text: str) -> str:
        around = self.one_of((" ", "\n", "'", '"', "`", "\u00a0", "\t", "/", "\ufeff", "*"))
        return f"{around}{text}{around}"

    def with_one_character_for_another(self, text: str) -> str:
        place = self._random.randrange(len(text) + 1)
        return text[:place] + self.one_of(ODD_CHARACTERS) + text[place + 1 :]

    def _inserted(self, text: str, more: str) -> str:
        place = self._random.choice((0, len(text), self._random.randrange(len(text) + 1)))
        return text[:place] + more + text[place:]


_CHANGES: tuple[Callable[[Attacker, str], str], ...] = (
    *(Attacker.inserted_fragment, Attacker.inserted_fragment, Attacker.inserted_character, Attacker.inserted_character),
    *(Attacker.replaced, Attacker.replaced, Attacker.cut, Attacker.repeated, Attacker.in_other_case),
    *(Attacker.surrounded, Attacker.with_one_character_for_another),
)


def _encoded(text: str) -> bytes:
    """As bytes, which half a character makes no UTF-8."""
    return text.encode("utf-8", "surrogatepass")
