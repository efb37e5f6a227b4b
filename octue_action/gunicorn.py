"""What gunicorn is told on its command line, where a container starts Octue's Flask app with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from octue_action.dockerfile import split

MODULE = "octue.cloud.deployment.google.cloud_run"
"""Where Octue's Flask app is, or is below."""


@dataclass(frozen=True)
class Gunicorn:
    """What gunicorn is told on its command line. docs.gunicorn.org/en/stable/settings.html.

    :param timeout: seconds; None where it is not known.
    :param is_sync: whether a worker that works too long on one question is ended.
    """

    binds: tuple[str, ...]
    timeout: int | None
    says_timeout: bool
    is_sync: bool
    has_configuration: bool

    @classmethod
    def in_text(cls, text: str) -> Gunicorn | None:
        """Gunicorn's command line, in a command or a script; None where there is none."""
        lines = re.sub(r"\\\r?\n", " ", text).split("\n")
        line = next((it for it in lines if "gunicorn" in it and MODULE in it and not it.lstrip().startswith("#")), None)
        if line is None:
            return None
        words = split(line)
        timeouts = list(_values(words, "-t", "--timeout"))
        threads, kinds = list(_values(words, "--threads", "--threads")), list(_values(words, "-k", "--worker-class"))
        said = timeouts[-1] if timeouts else "30"
        return cls(
            binds=tuple(_values(words, "-b", "--bind")),
            timeout=int(said) if re.fullmatch("[0-9]{1,9}", said) else None,
            says_timeout=bool(timeouts),
            is_sync=all(it == "sync" for it in kinds) and all(it == "1" for it in threads),
            has_configuration=any(_values(words, "-c", "--config")),
        )


def _values(words: list[str], short: str, long: str) -> Iterator[str]:
    """The values of an option."""
    for place, word in enumerate(words):
        if word in {short, long}:
            yield words[place + 1] if place + 1 < len(words) else ""
        elif word.startswith(f"{long}="):
            yield word.partition("=")[2]
        elif len(short) == len("-b") and word.startswith(short) and not word.startswith("--"):
            yield word[len(short) :].removeprefix("=")


def is_reached(bind: str) -> bool:
    """Whether Cloud Run reaches what listens there: on all addresses, and on its port, 8080 unless told otherwise."""
    host, colon, port = bind.rpartition(":")
    on_all = host in {"", "0.0.0.0", "[::]", "*"}  # noqa: S104 - looked for, not bound to
    return "$" in bind or (bool(colon) and on_all and port == "8080")
