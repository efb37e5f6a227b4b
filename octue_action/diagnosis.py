"""What a failure means in plain words, and the one thing to do about it, as the ``catalogue`` says. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octue_action import names
from octue_action.catalogue import ACCOUNT, CONDITIONS, KNOWN, NAME, OF_BUILDS, OF_CONTAINERS, ROLES, Entry
from octue_action.failure import Failure, Fault, GoogleError, fault, report_url
from octue_action.permissions import OF_METHODS

if TYPE_CHECKING:
    from octue_action.logs import Log

LONGEST_TEXT = 10_000
"""Characters of Google's text that are looked at."""

SHOWN_TEXT = 800
"""Characters of Google's text that are shown: an annotation has 4096, and the remedy comes last."""

_ESSENCE = 4
"""Lines of a log that an annotation shows."""

_LONGEST_LINE = 300
"""Characters of each."""

_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 24576, 32768)
"""MiB of memory that are recommended."""

_CPUS = ((24576, 8), (16384, 6), (8192, 4), (4096, 2))
"""With more MiB than this, Cloud Run wants so many CPUs: cloud.google.com/run/docs/configuring/memory-limits."""


@dataclass(frozen=True)
class Diagnosis:
    """What a failure means.

    :param cause: in plain words.
    :param remedy: one command, one link, or something to paste.
    :param known: the entry that says so.
    :param essence: the lines of the log that show it.
    """

    cause: str
    remedy: str
    known: Entry
    essence: tuple[str, ...] = ()


def explain(
    error: GoogleError,
    *,
    project_id: str,
    region: str = "",
    caller: str = "",
    octue_role: str = "",
    log: Iterable[str] = (),
) -> Diagnosis | None:
    """What a refusal of Google's means; None where it is not known.

    :param project_id: of the project that is deployed to.
    :param region: that is deployed to; empty where it is not known.
    :param caller: who deploys, as IAM has it, ``serviceAccount:E``; empty where it is not known.
    :param octue_role: the role that services' accounts get on the project; the usual one where empty.
    :param log: the newest lines of the log of the build or the container that failed.
    """
    text = _printable(error.said)[:LONGEST_TEXT]
    lacking = _LACKING.search(text)
    given = {
        **({"permission": OF_METHODS[error.method]} if error.method in OF_METHODS else {}),
        **(lacking.groupdict("") if lacking else {}),
        **{_OF_METADATA.get(name, name): value for name, value in error.metadata.items()},
        "project": project_id,
        "region": region,
        "caller": member(caller, project_id),
        "who": who(caller),
        "deployer_role": names.deployer_role_of(caller),
        "octue_role": octue_role or f"projects/{project_id}/roles/octue_service_user",
    }
    of_log = _of_log([*log], given, error.said, is_build=error.method == "build")
    return of_log or _of_refusal(error, given, text)


def _of_refusal(error: GoogleError, given: Mapping[str, str], text: str) -> Diagnosis | None:
    for known in KNOWN:
        found = known.match(error, text)
        places = _derived({**given, **(found or {})})
        if found is not None and known.places <= places.keys():
            return _filled(known, places)
    return None


def _of_log(
    lines: Sequence[str], given: Mapping[str, str], said: str = "", *, is_build: bool = False
) -> Diagnosis | None:
    """What the log shows; what is not known of is left to what Google says of the failure.

    :param said: Google's words, if any.
    """
    if not lines:
        return None
    log = "\n".join(map(_printable_line, lines))
    given = {**given, **({} if is_build else _ending(log, said))}
    for sign in OF_BUILDS if is_build else OF_CONTAINERS:
        match = sign.match(log)
        places = _derived({**given, **(match.groupdict("") if match else {})})
        if match is not None and sign.places <= places.keys():
            end = match.end() if sign.says else _end_of(log)
            return _filled(sign, places, _essence(log, end))
    return None


def _filled(entry: Entry, places: Mapping[str, str], essence: tuple[str, ...] = ()) -> Diagnosis:
    is_link = entry.remedy.startswith(("https://", "{log_url}"))
    is_text = entry.remedy == "{more_memory}"
    quoted = places if is_link or is_text else {name: shlex.quote(value) for name, value in places.items()}
    return Diagnosis(entry.cause.format_map(places), entry.remedy.format_map(quoted), entry, essence)


def explained(
    failure: Failure,
    *,
    project_id: str,
    region: str = "",
    caller: str = "",
    octue_role: str = "",
    log: Log | None = None,
    version: str = "",
    mode: str = "",
) -> Failure:
    """The failure as a person is told it: first the cause, then what shows it, and one thing to do.

    The other parameters are those of ``explain``.

    :param log: of the build or the container that failed.
    :param version: of this action, for reports.
    :param mode: of this run, for reports.
    """
    if isinstance(failure, Fault):
        return fault(failure.error, version, mode)
    diagnosis, why_no_log = None, ""
    if isinstance(failure, GoogleError) and not failure.remedy:
        lines = log.lines if log else ()
        about = {"project_id": project_id, "region": region, "caller": caller, "octue_role": octue_role}
        diagnosis = explain(failure, log=lines, **about)
        diagnosis = diagnosis or _unknown(failure, version, mode, hidden=(project_id, caller))
        if log is not None and log.refusal is not None:
            refused = explain(log.refusal, **about)
            why_no_log = _unread(log.url, refused.remedy if refused else "")
    elif log is not None and _has_died(log.lines):
        diagnosis = _of_log(log.lines, {"log_url": log.url, "project": project_id, "region": region})
    if diagnosis is None and not failure.aftermath and not (log and log.lines):
        return failure
    answer = failure.message[:SHOWN_TEXT] + ("…" if len(failure.message) > SHOWN_TEXT else "")
    essence = diagnosis.essence if diagnosis else ()
    if log and log.lines and not essence:
        text = "\n".join(map(_printable_line, log.lines))
        essence = _essence(text, len(text))
    parts = [
        "" if isinstance(failure, GoogleError) and diagnosis else failure.message,
        diagnosis.cause if diagnosis else "",
        failure.aftermath,
        "From its log:\n" + "\n".join(f"  {line}" for line in essence) if essence else "",
        f"Google's answer: {answer}" if diagnosis and isinstance(failure, GoogleError) else "",
        why_no_log or _whole_log(failure.log_url, diagnosis),
    ]
    told = Failure("\n".join(filter(None, parts)), diagnosis.remedy if diagnosis else failure.remedy, failure.log_url)
    told.log = log.lines if log else ()
    told.__cause__ = failure.__cause__
    return told


@dataclass(frozen=True)
class _Unknown(Entry):
    """What nobody has met yet."""


def _unknown(failure: GoogleError, version: str, mode: str, hidden: Iterable[str]) -> Diagnosis:
    """All there is to know of an error, and a report that is written already."""
    facts = {
        "Version": version,
        "Mode": mode,
        "Error": type(failure).__name__,
        "Status": failure.status,
        "Reason": failure.reason,
        "Method": failure.method,
        "Text": failure.said,
    }
    details = "".join(f", {name}: {value}" for name, value in failure.metadata.items())
    cause = (
        "Google Cloud refused something, and this action does not know yet what that means. If its answer does not "
        "tell you, please report it: the link below has written the report, without your names in it.\n"
        f"Status: {failure.status}, reason: {failure.reason or 'none'}, method: {failure.method}{details}"
    )
    url = report_url(f"Not explained: {failure.status} from {failure.method}", facts, hidden)
    return Diagnosis(cause, url, _Unknown(cause="", remedy=""))


def _unread(url: str, remedy: str) -> str:
    """Why there is no log to see here, in a sentence and with what to do."""
    if remedy.startswith("gcloud "):
        return (
            f"Its log, {url} , cannot be read by this workflow. Whoever owns the project has its last lines shown here "
            f"from the next time on with:\n{remedy}"
        )
    return f"Its log could not be read just now; it is here: {url}"


def _whole_log(url: str, diagnosis: Diagnosis | None) -> str:
    """Where all of a log is, unless what is to be done says so."""
    return f"All of its log: {url}" if url and diagnosis and url not in diagnosis.remedy else ""


def member(caller: str, project_id: str) -> str:
    """Who deploys, for a command; a name to be filled in where it is not known.

    :param caller: as for ``explain``.
    """
    return caller or f"serviceAccount:DEPLOYER@{project_id}.iam.gserviceaccount.com"


def who(caller: str) -> str:
    """Who deploys, as a sentence begins.

    :param caller: as for ``explain``.
    """
    kind, _, name = caller.partition(":")
    if not caller:
        return "This workflow"
    return name if kind == "serviceAccount" else f"This repository, which comes as {caller},"


def _printable(text: str) -> str:
    """The text on one line, without control characters and those that change how others are read."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _printable_line(line: str) -> str:
    return "".join(c for c in line.expandtabs(4) if c.isprintable())


def _end_of(log: str) -> int:
    """Where Cloud Run says how the container ended; what comes behind says it once more."""
    ended = [match.end() for match in _ENDED.finditer(log)]
    return ended[-1] if ended else len(log)


def keeps_dying(lines: Iterable[str]) -> bool:
    """Whether a container ends with errors again and again, as its log shows."""
    return len(_deaths(lines)) > 1


def _has_died(lines: Sequence[str]) -> bool:
    """Whether the container ended with an error and did not come again, or does so again and again.

    Of one that goes on, an error in its log says nothing of why it should have ended.
    """
    deaths = _deaths(lines)
    came_again = any(_STARTED.search(line) for line in lines[deaths[-1] :]) if deaths else False
    return keeps_dying(lines) or (bool(deaths) and not came_again)


def _deaths(lines: Iterable[str]) -> list[int]:
    """The places of the lines that say that the container ended with an error."""
    ended = ((place, _ENDED.search(line)) for place, line in enumerate(lines))
    return [place for place, match in ended if match and match["code"] != "0"]


_STARTED = re.compile(r"Listening at:|[Rr]unning on http|Application startup complete")
"""What gunicorn, Flask and uvicorn say when they are there."""

_ENDED = re.compile(
    r"^Container (?:called exit\((?P<code>\d{1,3})\)|terminated on signal (?P<signal>\d{1,3}))", re.MULTILINE
)


def _essence(log: str, end: int) -> tuple[str, ...]:
    """The few lines that end with the one that shows it.

    :param end: somewhere in that line.
    """
    count = log[:end].count("\n") + 1
    shown = [line for line in log.split("\n")[:count] if line.strip(" ^~-")]
    return tuple(line[:_LONGEST_LINE] for line in shown[-_ESSENCE:])


def _ending(log: str, said: str) -> dict[str, str]:
    """How a container ended, and on which port it was to listen."""
    ended = [*_ENDED.finditer(log)][-1:]
    asked = re.findall(r"on port (\d+)\. The instance was not started", log) or re.findall(r"PORT=(\d+)", said)
    # A shell says so of a program that a signal ends, too.
    code = "".join(it["code"] or str(128 + int(it["signal"])) for it in ended)
    return {
        "exit": f", with exit code {code}" if code else "",
        **({"code": code, f"code_{code}": f" (exit code {code})"} if code else {}),
        **({"asked": asked[-1]} if asked else {}),
    }


def _derived(places: Mapping[str, str]) -> dict[str, str]:
    """The places that look like what they are called, and those that follow from them."""
    sound = {name: value for name, value in places.items() if re.fullmatch(_SOUND.get(name, "(?!)"), value)}
    if "provider" in sound:
        sound["pool"] = sound["provider"].rpartition("/providers/")[0].rpartition("/")[2]
    if "package" in sound:
        sound["package_name"] = re.split(r"[^\w.-]", sound["package"])[0]
    return sound | _derived_port(sound) | _derived_memory(sound) | _derived_role(sound)


def _derived_port(sound: Mapping[str, str]) -> dict[str, str]:
    """That a program listens on another port than it should, or for nobody else."""
    if not {"port", "asked", "host"} <= sound.keys():
        return {}
    if sound["port"] != sound["asked"]:
        return {"other_port": sound["port"]}
    is_loopback = sound["host"].startswith("127.") or sound["host"] in {"localhost", "[::1]"}
    return {"loopback": sound["host"]} if is_loopback else {}


def _derived_memory(sound: Mapping[str, str]) -> dict[str, str]:
    """The lines of octue.yaml that give a container more memory, and with it the CPUs that Cloud Run asks for."""
    if not {"limit", "used"} <= sound.keys():
        return {}
    limit, used = (_mebibytes(sound[name]) for name in ("limit", "used"))
    size = next((size for size in _SIZES if size > limit and size >= 1.25 * used), None)
    if size is None:
        return {}
    cpus = next((f"\ncpus: {cpus}" for least, cpus in _CPUS if size > least), "")
    return {"more_memory": f"memory: {f'{size // 1024}Gi' if size >= 1024 else f'{size}Mi'}{cpus}"}  # noqa: PLR2004 - MiB


def _mebibytes(amount: str) -> float:
    """What Cloud Run's log calls ``512 MiB``, or ``953M``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMG])(i?)B?", amount)
    number, unit, binary = match.groups() if match else ("0", "M", "i")
    power = "KMG".index(unit) + 1
    return float(number) * float(1024 if binary else 1000) ** power / float(2**20)


def _derived_role(sound: Mapping[str, str]) -> dict[str, str]:
    """The least role that has a permission."""
    if "permission" not in sound:
        return {}
    lacking = " on ".join(sound[name] for name in ("permission", "resource") if name in sound)
    role = next((role for pattern, role in ROLES if re.fullmatch(pattern, sound["permission"])), None)
    if role is None:
        return {"lacking": lacking}
    return {"lacking": lacking, "role": role, "condition": CONDITIONS.get(role, "None").format_map(sound)}


_AMOUNT = r"\d{1,9}(\.\d{1,6})? ?[KMG]i?B?"
_WORDS = r"[^\n]{1,300}"
"""What is only shown, and in no command."""

_SOUND: Mapping[str, str] = {
    "account": ACCOUNT,
    "agent": r"service-\d+@[a-z-]+\.iam\.gserviceaccount\.com",
    "api": r"[a-z0-9-]+\.googleapis\.com",
    "asked": r"\d{1,5}",
    "caller": r"(serviceAccount|user|principal|principalSet):[\w./:@=~+%*-]+",
    "code": r"\d{1,3}",
    **{f"code_{code}": rf" \(exit code {code}\)" for code in (0, 126, 127, 132, 137, 139)},
    "command": _WORDS,
    "deployer": ACCOUNT,
    "deployer_role": r"octue_\w+",
    "exception": _WORDS,
    "exit": r"(, with exit code \d+)?",
    "host": r"[\w.:\[\]]+",
    "image": r"\w[\w./:@-]*",
    "issuer": r"https://[\w./:-]+",
    "limit": _AMOUNT,
    "location": NAME,
    "log_url": r"https://console\.cloud\.google\.com/[!-~]*",
    "module": r"\w[\w.]*",
    "name": r"\w+",
    "octue_role": r"(projects/[\w.:-]+/|organizations/\d+/)?roles/[\w.]+",
    "package": r"\w[^\s'\"`$\\]{0,100}",
    "path": r"[\w.][\w./@+~-]*",
    "permission": r"[A-Za-z]+(\.[A-Za-z]+)+",
    "port": r"\d{1,5}",
    "program": r"[\w./][\w./@+~-]*",
    "project": r"\w[\w.:-]*",
    "provider": r"projects/[\w./-]+",
    "region": NAME,
    "repository": NAME,
    "role_id": r"[\w.]+",
    "resource": r"\w[\w./:@-]*",
    "revision": NAME,
    "service": NAME,
    "image_project": r"\w[\w.:-]*",
    "topic": r"\w[\w./~+%-]*",
    "used": _AMOUNT,
    "who": _WORDS,
}
"""What each place looks like. What looks otherwise is taken for unknown: refusals repeat what others have named."""

_OF_METADATA = {"service": "api"}
"""Google's own names in ``ErrorInfo.metadata`` for what has another name here."""

_LACKING = re.compile(
    r"permission\W{1,2}(?P<permission>[a-z]+(?:\.[a-z]+)+)\W{1,2}denied on "
    r"(?:resource:? \W?(?P<resource>\w[\w./:@-]*/[\w./:@-]*))?",
    re.IGNORECASE,
)
"""How Google names a permission, and at times what it is lacking on."""
