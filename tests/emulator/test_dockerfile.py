"""The builder of Dockerfiles: what it builds, what it keeps, what it refuses."""

import threading
from pathlib import Path

import pytest

from emulator import dockerfile, processes
from emulator.images import Image


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


def build(context: Path, cache: Path, text: str, lines: list[str] | None = None, **arguments: str) -> Image:
    (context / "Dockerfile").write_text(text)
    return dockerfile.build(
        context, cache=cache, write=(lines if lines is not None else []).append, arguments=arguments
    )


def run(image: Image, command: tuple[str, ...] = ()) -> list[str]:
    lines: list[str] = []
    processes.run(
        processes.program_command(command or image.command, image.files),
        directory=processes.program_directory(image.working_directory, image.files),
        variables=processes.program_variables(image, image.files),
        write=lines.append,
    )
    return lines


def test_an_image_runs_its_command_in_its_working_directory_with_its_variables(context: Path, cache: Path) -> None:
    (context / "say.py").write_text("import os\nprint(os.environ['GREETING'], os.path.basename(os.getcwd()))\n")
    image = build(
        context,
        cache,
        'FROM python:3.11-slim\nARG WHO=nobody\nENV GREETING="hello ${WHO}"\nWORKDIR /app\nCOPY say.py .\n'
        'ENTRYPOINT ["python"]\nCMD ["say.py"]\n',
        WHO="you",
    )
    assert run(image) == ["hello you app"]


def test_absolute_paths_inside_the_image_are_found(context: Path, cache: Path) -> None:
    (context / "package").mkdir()
    (context / "package" / "greeting.py").write_text("TEXT = 'found'\n")
    (context / "say.py").write_text("import greeting\nprint(greeting.TEXT)\n")
    image = build(
        context,
        cache,
        "FROM python:3.11\nCOPY package /code/lib/\nCOPY say.py /code/\nENV PYTHONPATH=/code/lib\n"
        'CMD ["python", "/code/say.py"]\n',
    )
    assert run(image) == ["found"]


def test_a_layer_is_built_once_as_long_as_nothing_before_it_changed(context: Path, cache: Path) -> None:
    text = "FROM python:3.11\nWORKDIR /app\nCOPY need.txt .\nRUN echo building; cat need.txt\nCOPY . .\n"
    (context / "need.txt").write_text("one\n")
    lines: list[str] = []
    first = build(context, cache, text, lines)
    assert "building" in lines

    (context / "other.txt").write_text("new\n")
    lines = []
    second = build(context, cache, text, lines)
    assert "building" not in lines
    assert second.digest != first.digest
    assert second.environment == first.environment

    (context / "need.txt").write_text("two\n")
    lines = []
    build(context, cache, text, lines)
    assert "building" in lines


def test_the_same_source_gives_the_same_digest_in_another_cache(context: Path, cache: Path, tmp_path: Path) -> None:
    (context / "a.txt").write_text("a")
    text = "FROM python:3.11\nCOPY a.txt /\n"
    assert build(context, cache, text).digest == build(context, tmp_path / "other", text).digest


def test_two_builders_at_once_build_a_layer_once(context: Path, cache: Path) -> None:
    text = "FROM python:3.11\nENV AT=once\nRUN python -c \"import time; time.sleep(0.3); print('slow step')\"\n"
    lines: list[str] = []
    threads = [threading.Thread(target=build, args=(context, cache, text, lines)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines.count("slow step") == 1
    assert sum(line.startswith("Successfully built") for line in lines) == 2


def test_installed_scripts_run_in_the_environment_of_their_own_layer(context: Path, cache: Path) -> None:
    (context / "install.py").write_text(
        "import pathlib, sys\n"
        "script = pathlib.Path(sys.prefix, 'bin', 'where')\n"
        "script.write_text(f'#!{sys.executable}\\nimport sys\\nprint(sys.prefix)\\n')\n"
        "script.chmod(0o755)\n"
    )
    image = build(
        context,
        cache,
        'FROM python:3.11\nCOPY install.py /\nRUN python install.py\nRUN echo later layer\nCMD ["where"]\n',
    )
    assert run(image) == [str(image.environment)]


def test_dockerignore_leaves_files_out_and_takes_them_back(context: Path, cache: Path) -> None:
    (context / ".dockerignore").write_text("# comment\n.git\n**/*.log\nsecret\n!secret/open.txt\n")
    for name in (".git/config", "a.log", "deep/b.log", "secret/key.txt", "secret/open.txt", "kept.txt"):
        (context / name).parent.mkdir(exist_ok=True)
        (context / name).write_text(name)
    image = build(context, cache, "FROM python:3.11\nCOPY . /app/\n")
    found = {path.relative_to(image.files / "app").as_posix() for path in image.files.rglob("*") if path.is_file()}
    assert found == {".dockerignore", "Dockerfile", "kept.txt", "secret/open.txt"}


def test_users_and_owners_are_passed_over(context: Path, cache: Path) -> None:
    lines: list[str] = []
    build(context, cache, "FROM python:3.11\nRUN useradd me && chown me /app\nUSER me\n", lines)
    assert lines[-1].startswith("Successfully built")


def test_run_sees_nothing_of_the_machine_but_what_pip_needs(
    context: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "7")
    monkeypatch.setenv("HOST_SECRET", "hush")
    lines: list[str] = []
    build(context, cache, "FROM python:3.11\nENV TEST=host\nRUN env\n", lines)
    assert "PIP_DEFAULT_TIMEOUT=7" in lines
    assert not any("hush" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file with no instructions"),
        ("FROM scratch\n", "Python images only"),
        ("FROM debian:12\n", "Python images only"),
        ("FROM python:3.99-slim\n", "needs python3.99 on this machine"),
        ("RUN true\n", "RUN stands before FROM"),
        ("FROM python:3.11\nFROM python:3.11\n", "one stage"),
        ("FROM python:3.11\nCOPY --from=builder /a /b\n", "one stage"),
        ("FROM python:3.11\nONBUILD RUN true\n", "does not build ONBUILD"),
        ("FROM python:3.11\nCOPY nothing.txt .\n", "file not found in build context"),
        ("FROM python:3.11\nCOPY ../secret .\n", "outside the build context"),
        ("FROM python:3.11\nCOPY link .\n", "outside the build context"),
        ("FROM python:3.11\nADD https://example.org/x.tar.gz .\n", "no address and no archive"),
        (
            "FROM python:3.11\nRUN apt-get update && apt-get install -y curl\n",
            "RUN apt-get: the emulator has no container",
        ),
        ("FROM python:3.11\nRUN rm -rf /tmp/anything\n", "write the path relative to WORKDIR"),
        ("FROM python:3.11\nRUN echo x > /etc/x\n", "write the path relative to WORKDIR"),
        ("FROM python:3.11\nRUN --mount=type=secret,id=x pip list\n", "does not know RUN --mount"),
        ("FROM python:3.11\nRUN exit 3\n", "returned a non-zero code: 3"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_plain_line(context: Path, cache: Path, text: str, message: str) -> None:
    (context / "link").symlink_to("/etc/hostname")
    with pytest.raises(dockerfile.BuildError, match=message) as error:
        build(context, cache, text)
    assert "\n" not in str(error.value)


def test_a_context_without_dockerfile_is_refused(context: Path, cache: Path) -> None:
    with pytest.raises(dockerfile.BuildError, match="open Dockerfile: no such file or directory"):
        dockerfile.build(context, cache=cache, write=print)


def test_a_failed_layer_is_not_kept(context: Path, cache: Path) -> None:
    text = "FROM python:3.11\nWORKDIR /app\nCOPY go .\nRUN cat missing.txt\n"
    (context / "go").write_text("")
    with pytest.raises(dockerfile.BuildError):
        build(context, cache, text)
    with pytest.raises(dockerfile.BuildError):
        build(context, cache, text)
