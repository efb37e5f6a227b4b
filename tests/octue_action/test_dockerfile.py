from __future__ import annotations

import pytest

from octue_action import dockerfile
from octue_action.dockerfile import NEWEST


def read(text: str) -> dockerfile.Dockerfile:
    return dockerfile.parse(text.encode())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("python:3.12", (3, 12)),
        ("python:3.9.18-slim-bookworm", (3, 9)),
        ("docker.io/library/python:3.13-alpine", (3, 13)),
        ("localhost:5000/mirror/python:3.11", (3, 11)),
        ("python", (3, NEWEST)),
        ("python:slim", (3, NEWEST)),
        ("python:3-slim", (3, NEWEST)),
        ("python:3.12@sha256:00", None),
        ("python:my-own", None),
        ("localhost:5000/python-base", None),
        ("my-org/app:3.12", None),
    ],
)
def test_the_python_of_an_image_is_in_the_tag_of_pythons_own(image: str, expected: tuple[int, int] | None) -> None:
    assert dockerfile.python_of(image) == expected


@pytest.mark.parametrize(
    ("text", "words", "is_exec"),
    [
        ("CMD gunicorn app", ("gunicorn", "app"), False),
        ('CMD ["gunicorn", "app"]', ("gunicorn", "app"), True),
        ('ENTRYPOINT ["gunicorn"]\nCMD ["app"]', ("gunicorn", "app"), True),
        ('CMD ["old"]\nENTRYPOINT ["gunicorn"]', ("gunicorn",), True),
        ("CMD old\nCMD new", ("new",), False),
        ('CMD ["bash", "-c", "gunicorn $PORT"]', ("bash", "-c", "gunicorn $PORT"), False),
        ("CMD exec gunicorn \\\n  # why\n  app", ("exec", "gunicorn", "app"), False),
        ("cmd gunicorn 'app", ("gunicorn", "'app"), False),
    ],
)
def test_what_a_container_starts(text: str, words: tuple[str, ...], is_exec: bool) -> None:
    start = read(f"FROM python:3.11\n{text}\n").start

    assert start is not None
    assert (start.words, start.is_exec) == (words, is_exec)


def test_what_the_base_image_starts_is_not_known() -> None:
    assert read("FROM python:3.11\nENTRYPOINT []\n").start is None
    assert read("").start is None


def test_the_image_begins_where_its_first_stage_does_and_keeps_its_start() -> None:
    file = read("ARG V=3.11\nFROM python:$V AS Base\nCMD app\nFROM node\nCMD other\nFROM base\nRUN make\n")

    assert file.python == (3, 11)
    assert file.start is not None
    assert file.start.words == ("app",)


def test_a_stage_that_names_itself_ends_there() -> None:
    assert [stage.line for stage in read("FROM a AS a\n").chain] == [1]


def test_commands_are_told_apart_also_in_a_heredoc() -> None:
    run, start = read("FROM a\nRUN --mount=type=cache,target=/x <<EOF\npip install b\nmake && c\nEOF\nCMD d\n").all(
        "RUN", "CMD"
    )

    assert [it for it in run.commands if it] == [["pip", "install", "b"], ["make"], ["c"]]
    assert run.flags == "--mount=type=cache,target=/x "
    assert (start.line, start.text) == (6, "d")


def test_a_dockerfile_for_windows_goes_on_after_another_sign() -> None:
    (run,) = read("# escape=`\nFROM a\nRUN b `\n  c\\\n").all("RUN")

    assert run.text == "b c\\"
