"""What a single setting's text stands for: one pure parser per kind of value, rejecting what Google would refuse."""

from __future__ import annotations

import json
import re
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeVar, get_args

from octue_action.names import TOPIC_PREFIX
from octue_action.problems import UNPRINTABLE, Rejected, perhaps, shown

_Word = TypeVar("_Word", bound=str)

Mode = Literal["deploy", "plan", "drift", "destroy", "rollback"]
BuildTrigger = Literal["push", "manual", "none"]
Ingress = Literal["internal", "all"]
ExecutionEnvironment = Literal["gen1", "gen2"]
RegionPolicy = Literal["any", "low-carbon"]
SdkPolicy = Literal["checked", "any"]

MODES: tuple[Mode, ...] = get_args(Mode)
BUILD_TRIGGERS: tuple[BuildTrigger, ...] = get_args(BuildTrigger)
INGRESSES: tuple[Ingress, ...] = get_args(Ingress)
EXECUTION_ENVIRONMENTS: tuple[ExecutionEnvironment, ...] = get_args(ExecutionEnvironment)
REGION_POLICIES: tuple[RegionPolicy, ...] = get_args(RegionPolicy)
SDK_POLICIES: tuple[SdkPolicy, ...] = get_args(SdkPolicy)

MAXIMUM_VARIABLE = 32 * 1024
"""Longest value of an environment variable, in bytes (cloud.google.com/run/quotas)."""
MAXIMUM_VARIABLES = 1000
"""Most of them with secrets (cloud.google.com/run/docs/configuring/services/overview-environment-variables)."""
MAXIMUM_PATTERN = 256
"""Longer than any pattern of branch names."""

NAME = "[a-z0-9]+(-[a-z0-9]+)*"
PROJECT = r"(?:[a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
REGION = "[a-z]+-[a-z]+[0-9]{1,2}"
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]*@[a-z0-9][a-z0-9.-]*\.gserviceaccount\.com")
_PROVIDER = re.compile(
    r"projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}"
)
_SECRET = re.compile(
    r"(projects/[a-z0-9][a-z0-9-]*/secrets/)?([A-Za-z0-9_-]{1,255})(?:(?::|/versions/)([A-Za-z0-9_-]{1,63}))?"
)
LIKE_A_NAME = re.compile(r"[\w.-]{1,64}")
"""Names that are shown. What cannot be one may be a part of a secret, pasted where it does not belong."""

VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
SECRET_NAME = "[A-Za-z0-9_-]{1,255}"  # noqa: S105 - a pattern
NOT_RE2 = r"\(\?(=|!|<=|<!|>)|\\[1-9]"
"""Look-ahead, look-behind, atomic groups and back-references."""

_LABEL_KEY, _LABEL_VALUE = re.compile("[a-z][a-z0-9_-]{0,62}"), re.compile("[a-z0-9_-]{0,63}")
_LOOPBACK = re.compile(r"(127(?:\.[0-9]{1,3}){3}|localhost|\[::1\]):([0-9]{1,5})")

# The OCI distribution specification's grammar of names, tags and digests.
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)

# cloud.google.com/run/docs/container-contract, and what Octue's services need: both would be overwritten.
RESERVED = {
    "PORT": "Cloud Run sets it",
    "K_SERVICE": "Cloud Run sets it",
    "K_REVISION": "Cloud Run sets it",
    "K_CONFIGURATION": "Cloud Run sets it",
    "SERVICE_ID": "the action sets it from the topic",
    "COMPUTE_PROVIDER": "the action sets it",
    "USE_OCTUE_LOG_HANDLER": "the action sets it",
}
RESERVED_PREFIXES = {"X_GOOGLE_": "Cloud Run keeps it for itself", "OCTUE_SERVICE_": "the action sets it"}
_RESERVED_LABELS = ("managed-by", "octue-service", "github-repository-id")

_MEMORY = re.compile(r"([1-9][0-9]{0,10})(Mi|Gi|M|G)")
_MEMORY_UNITS = {"Mi": 2**20, "Gi": 2**30, "M": 10**6, "G": 10**9}
LEAST_MEMORY, MOST_MEMORY = "128Mi", "32Gi"
"""Of an instance of Cloud Run (cloud.google.com/run/docs/configuring/services/memory-limits)."""


@dataclass(frozen=True)
class SecretReference:
    """A version of a secret in Secret Manager.

    :param secret: its name, or ``projects/P/secrets/S`` for another project's
    :param version: a number, an alias, or ``latest``
    """

    secret: str
    version: str = "latest"


def one_of(choices: tuple[_Word, ...]) -> Callable[[str], _Word]:
    """A parser of one word of several."""
    expected = ", ".join(choices[:-1]) + f" or {choices[-1]}"

    def parse(text: str) -> _Word:
        for choice in choices:
            if choice == text:
                return choice
        raise Rejected(expected=expected, hint=perhaps(text, choices))

    return parse


def boolean(text: str) -> bool:
    """``true`` or ``false``, in the forms of YAML 1.2's core schema."""
    if text in {"true", "True", "TRUE", "false", "False", "FALSE"}:
        return text.lower() == "true"
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(text.lower())
    raise Rejected(expected="true or false", hint=f" Perhaps you meant `{meant}`." if meant else "")


def whole_number(minimum: int, maximum: int, what: str = "") -> Callable[[str], int]:
    """A parser of whole numbers in a range.

    :param what: the unit, for the message
    """
    bounds = f"from {minimum}" + (f" to {maximum}" if maximum < 2**31 - 1 else "")
    expected = f"a whole number{f' of {what}' if what else ''} {bounds}"

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not minimum <= int(text) <= maximum:
            raise Rejected(expected=expected)
        return int(text)

    return parse


def name(text: str) -> str:
    """A name of Octue's: groups of lower case letters and digits with single hyphens between them."""
    if not re.fullmatch(NAME, text):
        legal = re.sub("[^a-z0-9]+", "-", text[:64].lower()).strip("-")
        hint = f" Perhaps you meant `{legal}`." if legal else ""
        raise Rejected(expected="lower case letters, digits and single hyphens", hint=hint)
    return text


def name_with_namespace(text: str) -> str:
    """A name, perhaps after its namespace and a slash."""
    return "/".join(name(part) for part in text.split("/", 1))


def name_list(text: str) -> tuple[str, ...]:
    """Names with commas or line ends between them."""
    return tuple(dict.fromkeys(part.strip() for part in re.split("[,\n]", text) if part.strip()))


def project_id(text: str) -> str:
    """A Google Cloud project's id, perhaps domain-scoped."""
    expected = "the project's id, such as my-project (6 to 30 lower case letters, digits and hyphens)"
    if text.isdigit():
        raise Rejected("it is a project's number", expected)
    if not re.fullmatch(PROJECT, text):
        raise Rejected(expected=expected)
    return text


def region(text: str) -> str:
    """A Google Cloud region."""
    expected = "a region such as europe-west1"
    if zone := re.fullmatch("([a-z]+-[a-z]+[0-9]+)-[a-z]", text):
        raise Rejected("it is a zone", expected, f" Perhaps you meant `{zone[1]}`.")
    if not re.fullmatch(REGION, text):
        raise Rejected(expected=expected)
    return text


def service_account(text: str) -> str:
    """A service account's e-mail."""
    bare = text.removeprefix("serviceAccount:").rpartition("/")[2]
    if _ACCOUNT.fullmatch(bare) and bare != text:
        raise Rejected(expected="the e-mail alone", hint=f" Perhaps you meant `{bare}`.")
    if not _ACCOUNT.fullmatch(text):
        raise Rejected(expected="a service account's e-mail, such as name@my-project.iam.gserviceaccount.com")
    return text


def identity_provider(text: str) -> str:
    """The full name of a Workload Identity Federation provider."""
    expected = "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
    bare = re.sub(r"\A(https:)?//iam\.googleapis\.com/", "", text)
    if bare != text and _PROVIDER.fullmatch(bare):
        raise Rejected("the address before it is too much", expected, f" Perhaps you meant `{bare}`.")
    if re.match(rf"projects/{PROJECT}/", bare):
        raise Rejected("it has the project's id, and Google wants the number", expected)
    if not _PROVIDER.fullmatch(text):
        raise Rejected(expected=expected)
    return text


def role(text: str) -> str:
    """The full name of a role, custom or Google's own."""
    expected = "projects/PROJECT/roles/ROLE, organizations/NUMBER/roles/ROLE or roles/ROLE"
    if not re.fullmatch(rf"(projects/{PROJECT}/|organizations/[0-9]+/)?roles/[A-Za-z0-9_.-]{{3,64}}", text):
        raise Rejected(expected=expected)
    if "-" in text.rpartition("/")[2]:
        legal = f"{text.rpartition('/')[0]}/{text.rpartition('/')[2].replace('-', '_')}"
        raise Rejected("a role's id has no hyphens", expected, f" Perhaps you meant `{legal}`.")
    return text


def repository_connection(text: str) -> str:
    """The full name of a repository connected the second-generation way."""
    if not re.fullmatch(
        rf"projects/({PROJECT}|[0-9]+)/locations/[a-z0-9-]+/connections/\w[\w.-]*/repositories/\w[\w.-]*",
        text,
        re.ASCII,
    ):
        raise Rejected(expected="projects/PROJECT/locations/REGION/connections/CONNECTION/repositories/REPOSITORY")
    return text


def service_id(text: str) -> str:
    """A service's UUID, also where the topic's id is given."""
    try:
        parsed = uuid.UUID(text.removeprefix(TOPIC_PREFIX)) if text.isascii() else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise Rejected(expected="a UUID, such as 0df08f9f-30ad-4db3-8029-ea584b4290b7")
    return str(parsed)


def image(text: str) -> str:
    """A container image's reference."""
    if len(text) > 512 or not _IMAGE.fullmatch(text):  # noqa: PLR2004 - longer than any registry's names, tags and digests
        scheme = re.match(r"(https?://|docker://)", text)
        hint = " Leave out the address's beginning." if scheme else ""
        raise Rejected(expected="an image such as europe-west1-docker.pkg.dev/my-project/sum/sum:1.0", hint=hint)
    return text


def branch_pattern(text: str) -> str:
    """A regular expression for branch names.

    Cloud Build reads RE2: what only Python knows is refused, and what only RE2 knows is let through.
    """
    expected = "a regular expression such as ^main$"
    if len(text) > MAXIMUM_PATTERN or not text.isprintable():
        raise Rejected("it is too long or has a character that does not belong in a branch's name", expected)
    if re.search(NOT_RE2, text):
        raise Rejected("Cloud Build knows no look-ahead, look-behind or back-reference", expected)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what Python's patterns may mean one day, RE2's do not
            re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        if not str(error).startswith("bad escape"):
            raise Rejected("it is not a regular expression", expected) from None
    return text


def memory(text: str) -> str:
    """A quantity of memory that Cloud Run takes, as it is written."""
    expected = f"a quantity with its unit from {LEAST_MEMORY} to {MOST_MEMORY}, such as 512Mi or 2Gi"
    if not _MEMORY.fullmatch(text):
        raise Rejected("it has no unit" if text.isdigit() else "", expected, _memory_hint(text))
    if not memory_bytes(LEAST_MEMORY) <= memory_bytes(text) <= memory_bytes(MOST_MEMORY):
        raise Rejected("Cloud Run has no instance of that size", expected)
    return text


def memory_bytes(memory: str) -> int:
    """How many bytes a quantity of memory is.

    :param memory: one that ``memory`` accepted
    """
    parts = _MEMORY.fullmatch(memory)
    return int(parts[1]) * _MEMORY_UNITS[parts[2]] if parts else 0


def _memory_hint(text: str) -> str:
    parts = re.fullmatch(r"([1-9][0-9]{0,4}) *([mMgG])?[iI]?[bB]?", text)
    unit = {"g": "Gi"}.get((parts[2] or "m").lower(), "Mi") if parts else ""
    return f" Perhaps you meant `{parts[1]}{unit}`." if parts else ""


def cpu(text: str) -> str:
    """CPUs of an instance, in the shortest form (``1``, not ``1.0``).

    The limits are those of cloud.google.com/run/docs/configuring/services/cpu.
    """
    expected = "1, 2, 4, 6 or 8, or a number from 0.08 to less than 1"
    if thousandths := re.fullmatch("([1-9][0-9]{0,3})m", text):
        meant = f"{(Decimal(thousandths[1]) / 1000).normalize():f}"
        raise Rejected("thousandths are not taken", expected, f" Perhaps you meant `{meant}`.")
    if not re.fullmatch(r"[0-9]|0?\.[0-9]{1,3}|[0-9]\.0", text):
        raise Rejected(expected=expected)
    number = Decimal(text)
    if number not in {1, 2, 4, 6, 8} and not Decimal("0.08") <= number < 1:
        raise Rejected(expected=expected)
    return f"{number.normalize():f}"


def variable_name(text: str) -> str:
    """The name of an environment variable that is free to be set."""
    if not re.fullmatch(VARIABLE, text):
        raise Rejected(expected="letters, digits and _, not beginning with a digit")
    prefixes = [reason for prefix, reason in RESERVED_PREFIXES.items() if text.startswith(prefix)]
    if text in RESERVED or prefixes:
        raise Rejected(
            f"{RESERVED.get(text) or prefixes[0]}, so it cannot be set here", expected="another name, or nothing"
        )
    return text


def variable_value(text: str) -> str:
    """The value of an environment variable."""
    if UNPRINTABLE.search(text):
        raise Rejected("it has a character that cannot be used", "text in UTF-8")
    if len(text.encode()) > MAXIMUM_VARIABLE:
        raise Rejected("it is too long", f"at most {MAXIMUM_VARIABLE // 1024} KiB")
    return text


def secret(text: str) -> SecretReference:
    """A reference to a version of a secret."""
    parts = _SECRET.fullmatch(text)
    if not parts:
        raise Rejected(expected="secret-name:version or projects/PROJECT/secrets/NAME/versions/VERSION")
    return SecretReference(secret=f"{parts[1] or ''}{parts[2]}", version=parts[3] or "latest")


def secret_name(text: str) -> str:
    """The name of a secret, without a version."""
    if not re.fullmatch(SECRET_NAME, text):
        raise Rejected(expected="a secret's name: letters, digits, _ and -")
    return text


def label_key(text: str) -> str:
    """The key of a label that is free to be set (cloud.google.com/resource-manager/docs/labels-overview)."""
    if not _LABEL_KEY.fullmatch(text):
        raise Rejected(expected="lower case letters, digits, _ and -, beginning with a letter, at most 63")
    if text in _RESERVED_LABELS:
        raise Rejected("the action sets this label itself", expected="another key, or nothing")
    return text


def label_value(text: str) -> str:
    """The value of a label."""
    if not _LABEL_VALUE.fullmatch(text):
        raise Rejected(expected="lower case letters, digits, _ and -, at most 63")
    return text


def revision(text: str) -> str:
    """A Cloud Run revision's name."""
    if not re.fullmatch("[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", text):
        raise Rejected(expected="a revision's name, such as my-service-00003-abc")
    return text


def emulator(text: str) -> str:
    """The address of an emulator on this machine."""
    parts = _LOOPBACK.fullmatch(text)
    numbers = [int(it) for it in re.findall("[0-9]+", text)] if parts else []
    if not parts or not 0 < int(parts[2]) < 2**16 or (text[0] == "1" and max(numbers[:4]) > 255):  # noqa: PLR2004 - a byte
        raise Rejected("only an emulator on this machine is accepted", "127.0.0.1:PORT")
    return text


def json_value(text: str) -> object:
    """Any JSON."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Rejected("it is not JSON", 'JSON, such as {"a": 1}') from None


def question(text: str) -> object:
    """The input values of a question: any JSON but null, with which Octue has no question to ask."""
    asked = json_value(text)
    if asked is None:
        raise Rejected("it asks nothing", 'the input values as JSON, such as {"a": 1}')
    return asked


def pairs(text: str) -> list[tuple[str, str]]:
    """``NAME=value`` lines, or one JSON object of texts. Blank lines and lines that begin with ``#`` are skipped."""
    return _json_pairs(text) if text.startswith("{") else list(_line_pairs(text.split("\n")))


def _line_pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.rstrip("\r").partition("=")
        if not equals:
            raise Rejected(f"its line {number} has no `=`", "lines of NAME=value, or one JSON object")
        yield key.strip(), value


def _json_pairs(text: str) -> list[tuple[str, str]]:
    expected = 'a JSON object of texts, such as {"NAME": "value"}'
    try:
        found: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Rejected("it is not JSON", expected) from None
    for key, value in found:
        if not isinstance(value, str):
            which = shown(key) if LIKE_A_NAME.fullmatch(key) else "a name that is not shown here"
            raise Rejected(f"the value of {which} is not text", expected, " Put the value in quotes.")
    return [(key, str(value)) for key, value in found]


def _no_constant(word: str) -> None:
    raise ValueError(word)
