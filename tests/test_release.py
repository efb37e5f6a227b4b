"""What a release is made of, and every step of making one that needs neither GitHub nor a registry.

Not run here: a push to GHCR and the index made there, the attestations, the release on GitHub itself (stand-ins for
``docker`` and ``gh`` take note of what they are told), and the runner with arm64.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from script.releasing import checkout, github, image
from script.releasing.__main__ import arguments, main
from script.releasing.checkout import IMAGE, pinned
from script.releasing.sbom import sbom
from script.releasing.shell import Refusal, Shell
from script.releasing.version import Version

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / "action.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
VERSION = Version(1, 2, 3)
DIGEST = f"sha256:{'1' * 64}"
OTHER_DIGEST = f"sha256:{'2' * 64}"


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=A maintainer", "-c", "user.email=maintainer@example.org")
    return subprocess.run(
        ["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository in the place of GitHub's."""
    folder = tmp_path / "github.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    return folder


@pytest.fixture
def clone(tmp_path: Path, remote: Path) -> Path:
    """A checkout of this project in which a maintainer has prepared 1.2.3 and tagged it."""
    folder = tmp_path / "clone"
    examples = (*ROOT.glob("examples/*/.github/workflows/*.yml"), *ROOT.glob("examples/*/octue.yaml"))
    for file in (*(ROOT / name for name in ("README.md", "CHANGELOG.md", "action.yml", "pyproject.toml")), *examples):
        target = folder / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    edit(folder / "pyproject.toml", r'(?m)^version = ".*?"', 'version = "1.2.3"')
    edit(folder / "CHANGELOG.md", r"(?s)\A(.*?\n)## .*", r"\1## 1.2.3 - 2026-01-31\n\n- One thing.\n")
    for file in (folder / "README.md", *(folder / file.relative_to(ROOT) for file in examples)):
        edit(file, rf"(uses: {checkout.ACTION}\S*@|schema=\S*{checkout.ACTION}/)v\d+", r"\1v1")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", str(remote))
    commit(folder)
    return folder


def commit(clone: Path) -> None:
    """Commit everything to main and tag it as the source of 1.2.3, here and on GitHub."""
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Prepare 1.2.3")
    git(clone, "tag", "--force", "source/v1.2.3")
    git(clone, "push", "--quiet", "--force", "origin", "main", "source/v1.2.3")


def edit(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, file.read_text())
    assert count
    file.write_text(text)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a shell script in the place of a program, and gives the file in which the calls of all of them are noted."""
    programs, calls = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()
    calls.touch()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("CALLS", str(calls))

    def make(name: str, body: str) -> Path:
        program = programs / name
        program.write_text(f'#!/bin/bash\necho {name} "$*" >> "$CALLS"\n{body}\n')
        program.chmod(0o755)
        return calls

    return make


class TestCheckout:
    def test_of_this_project_holds_together(self) -> None:
        assert list(checkout.inconsistencies(ROOT)) == []

    def test_that_is_prepared_can_become_a_release(self, clone: Path) -> None:
        checkout.check(Shell(clone), VERSION)

    @pytest.mark.parametrize(
        ("file", "pattern", "replacement", "said"),
        [
            ("pyproject.toml", r"1\.2\.3", "1.2.4", "1.2.4 in pyproject.toml, but the newest in CHANGELOG.md is 1.2.3"),
            ("pyproject.toml", r'"1\.2\.3"', '"01.2.3"', "no version"),
            ("CHANGELOG.md", r"1\.2\.3", "1.3.0", "the newest in CHANGELOG.md is 1.3.0"),
            ("CHANGELOG.md", r" - 2026-01-31", "", "`## 1.2.3` is not like"),
            ("CHANGELOG.md", r"- One thing\.", "", "has no section `## 1.2.3"),
            ("CHANGELOG.md", r"## 1\.2\.3", "## Unreleased\n\n- More.\n\n## 1.2.3", "something under `Unreleased`"),
            ("CHANGELOG.md", r"\Z", "\n## 1.3.0 - 2026-01-01\n", "the newest first"),
            ("action.yml", r"image: Dockerfile", f"image: docker://{IMAGE}:1.2.3", "make it `Dockerfile`"),
            ("action.yml", r"image: Dockerfile", "main: index.js", "missing"),
            ("README.md", r"-action@v1\n", "-action@v0\n", "README.md uses @v0: make it @v1"),
            ("README.md", r"deploy\.yml@v1", "deploy.yml@main", "README.md uses @main"),
            ("README.md", r"action/v1/docs", "action/main/docs", "README.md uses @main"),
            ("examples/wind-yield/octue.yaml", r"/v1/", "/v0/", "octue.yaml uses @v0: make it @v1"),
        ],
    )
    def test_is_refused_with(self, clone: Path, file: str, pattern: str, replacement: str, said: str) -> None:
        edit(clone / file, pattern, replacement)
        commit(clone)
        with pytest.raises(Refusal, match=re.escape(said)):
            checkout.check(Shell(clone), VERSION)

    def test_is_refused_for_another_version_than_its_own(self, clone: Path) -> None:
        with pytest.raises(Refusal, match=r"The tag is for 1\.2\.4, but the version in pyproject.toml is 1\.2\.3"):
            checkout.check(Shell(clone), Version(1, 2, 4))

    def test_is_refused_where_the_tag_is_on_another_commit(self, clone: Path) -> None:
        git(clone, "commit", "--quiet", "--allow-empty", "--message", "After the tag")
        git(clone, "push", "--quiet", "origin", "main")
        with pytest.raises(Refusal, match="on another commit"):
            checkout.check(Shell(clone), VERSION)

    def test_is_refused_beside_the_branch_main(self, clone: Path) -> None:
        git(clone, "switch", "--quiet", "--create", "topic")
        git(clone, "commit", "--quiet", "--allow-empty", "--message", "Not reviewed")
        git(clone, "tag", "--force", "source/v1.2.3")
        with pytest.raises(Refusal, match="not on the branch main"):
            checkout.check(Shell(clone), VERSION)

    def test_is_refused_where_the_version_is_out(self, clone: Path) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        with pytest.raises(Refusal, match="re-run its failed jobs alone"):
            checkout.check(Shell(clone), VERSION)

    def test_is_refused_with_all_there_is_to_do_where_github_does_not_answer(self, clone: Path) -> None:
        edit(clone / "pyproject.toml", r"1\.2\.3", "1.2.4")
        git(clone, "remote", "set-url", "origin", str(clone / "nowhere"))
        with pytest.raises(Refusal, match=r"(?s)1\.2\.4 in pyproject\.toml.*does not answer"):
            checkout.check(Shell(clone), VERSION)

    def test_gives_the_notes_of_a_version_and_nothing_of_the_next(self, clone: Path) -> None:
        edit(clone / "CHANGELOG.md", r"\Z", "\n### Fixed\n\n- Two.\n\n## 1.2.2 - 2025-12-24\n\n- Old.\n")
        assert checkout.notes(clone, VERSION) == "- One thing.\n\n### Fixed\n\n- Two."


class TestVersion:
    @pytest.mark.parametrize("text", ["1.2.3", "v1.2.3", "source/v1.2.3"])
    def test_is_read_from_its_tags(self, text: str) -> None:
        assert Version.of(text) == VERSION

    @pytest.mark.parametrize("text", ["", "1.2", "v1", "1.2.3-rc.1", "1.02.3", "release/v1.2.3", "v1.2.3\n", "1.2.3 4"])
    def test_is_refused_in_another_form(self, text: str) -> None:
        with pytest.raises(Refusal):
            Version.of(text)


class TestPin:
    def test_changes_the_one_line_with_the_image(self) -> None:
        changed = difflib.ndiff(ACTION.splitlines(), pinned(ACTION, DIGEST).splitlines())
        assert [line for line in changed if line[0] in "+-"] == [
            "-   image: Dockerfile",
            f"+   image: docker://ghcr.io/octue/deploy-cloud-run-action@{DIGEST}",
        ]

    def test_leaves_everything_else_as_it_was_to_a_reader_of_yaml(self) -> None:
        before, after = yaml.safe_load(ACTION), yaml.safe_load(pinned(ACTION, DIGEST))
        assert after.pop("runs") == {**before.pop("runs"), "image": f"docker://{IMAGE}@{DIGEST}"}
        assert after == before

    @pytest.mark.parametrize(
        "digest",
        ["", "latest", "1" * 64, DIGEST[:-1], f"{DIGEST}1", DIGEST.upper(), f"{DIGEST}\n", "sha512:" + "1" * 64],
    )
    def test_refuses_what_is_no_digest(self, digest: str) -> None:
        with pytest.raises(Refusal, match="is no digest"):
            pinned(ACTION, digest)

    @pytest.mark.parametrize("action", ["", "runs:\n  using: node24\n", pinned(ACTION, DIGEST), ACTION + ACTION])
    def test_refuses_an_action_without_the_dockerfile(self, action: str) -> None:
        with pytest.raises(Refusal, match="image: Dockerfile"):
            pinned(action, OTHER_DIGEST)


class TestTag:
    def test_is_on_a_child_of_the_source_that_differs_in_the_image_alone(self, clone: Path, remote: Path) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        assert git(remote, "rev-parse", "v1.2.3^") == git(remote, "rev-parse", "source/v1.2.3")
        assert git(remote, "diff", "--numstat", "source/v1.2.3", "v1.2.3") == "1\t1\taction.yml"
        assert git(remote, "show", "v1.2.3:action.yml") == pinned(ACTION, DIGEST).strip()

    def test_leaves_checkout_and_branches_alone(self, clone: Path, remote: Path) -> None:
        before = git(remote, "rev-parse", "main")
        github.tag(Shell(clone), VERSION, DIGEST)
        assert git(remote, "rev-parse", "main") == git(clone, "rev-parse", "HEAD") == before
        assert git(clone, "status", "--porcelain") == ""

    def test_stays_where_it_is_when_it_is_made_again(self, clone: Path, remote: Path) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        first = git(remote, "rev-parse", "v1.2.3")
        github.tag(Shell(clone), VERSION, DIGEST)
        assert git(remote, "rev-parse", "v1.2.3") == first

    def test_is_never_moved_to_another_image(self, clone: Path, remote: Path) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        first = git(remote, "rev-parse", "v1.2.3")
        with pytest.raises(subprocess.CalledProcessError):
            github.tag(Shell(clone), VERSION, OTHER_DIGEST)
        assert git(remote, "rev-parse", "v1.2.3") == first

    def test_is_only_shown_in_a_dry_run(self, clone: Path, remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
        github.tag(Shell(clone, dry_run=True), VERSION, DIGEST)
        assert re.fullmatch(r"\$ git push origin [0-9a-f]{40}:refs/tags/v1\.2\.3\n", capsys.readouterr().out)
        assert git(remote, "tag", "--list", "v*") == ""


class TestMajorTag:
    def release(self, clone: Path, *version: int) -> None:
        """Tag a release of a commit of its own."""
        git(clone, "commit", "--quiet", "--allow-empty", "--message", "Prepare")
        git(clone, "tag", Version(*version).source)
        github.tag(Shell(clone), Version(*version), DIGEST)

    def test_is_made_with_the_first_release(self, clone: Path, remote: Path) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        github.move_major(Shell(clone), VERSION)
        assert git(remote, "rev-parse", "v1") == git(remote, "rev-parse", "v1.2.3")

    def test_moves_to_the_next(self, clone: Path, remote: Path) -> None:
        self.release(clone, 1, 9, 0)
        github.move_major(Shell(clone), Version(1, 9, 0))
        self.release(clone, 1, 10, 0)
        self.release(clone, 10, 0, 0)
        github.move_major(Shell(clone), Version(1, 10, 0))
        assert git(remote, "rev-parse", "v1") == git(remote, "rev-parse", "v1.10.0")

    def test_does_not_go_back(self, clone: Path, remote: Path) -> None:
        self.release(clone, 1, 3, 0)
        github.move_major(Shell(clone), Version(1, 3, 0))
        self.release(clone, 1, 2, 4)
        github.move_major(Shell(clone), Version(1, 2, 4))
        assert git(remote, "rev-parse", "v1") == git(remote, "rev-parse", "v1.3.0")

    def test_stays_when_it_is_moved_again(self, clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        github.move_major(Shell(clone), VERSION)
        github.move_major(Shell(clone), VERSION)
        assert "v1 is at v1.2.3 already" in capsys.readouterr().out

    def test_is_only_shown_in_a_dry_run(self, clone: Path, remote: Path) -> None:
        github.tag(Shell(clone), VERSION, DIGEST)
        github.move_major(Shell(clone, dry_run=True), VERSION)
        assert git(remote, "tag", "--list", "v1") == ""


class TestPublish:
    GH = """
    case "$1 $2" in
      "release view") [ -e state ] && cat state ;;
      "release create") cat > notes; echo false > state ;;
      "release delete") rm state ;;
      "release verify") [ ! -e open ] ;;
    esac"""

    def test_makes_a_release_of_the_notes_and_files(self, clone: Path, stand_in: Callable[[str, str], Path]) -> None:
        calls = stand_in("gh", self.GH)
        github.publish(Shell(clone), VERSION, ["sbom-amd64.cdx.json"])
        assert (clone / "notes").read_text() == "- One thing."
        assert calls.read_text().splitlines()[1:] == [
            "gh release create v1.2.3 --verify-tag --title v1.2.3 --notes-file - sbom-amd64.cdx.json",
            "gh release verify v1.2.3",
        ]

    def test_leaves_a_release_that_is_there(self, clone: Path, stand_in: Callable[[str, str], Path]) -> None:
        calls = stand_in("gh", self.GH)
        (clone / "state").write_text("false\n")
        github.publish(Shell(clone), VERSION, [])
        assert {call.split()[2] for call in calls.read_text().splitlines()} == {"view", "verify"}

    def test_begins_anew_where_a_draft_was_left(self, clone: Path, stand_in: Callable[[str, str], Path]) -> None:
        calls = stand_in("gh", self.GH)
        (clone / "state").write_text("true\n")
        github.publish(Shell(clone), VERSION, [])
        assert [call.split()[2] for call in calls.read_text().splitlines()][-3:] == ["delete", "create", "verify"]

    def test_says_what_to_do_where_the_release_can_be_changed(
        self, clone: Path, stand_in: Callable[[str, str], Path]
    ) -> None:
        stand_in("gh", self.GH)
        (clone / "open").touch()
        waited: list[float] = []
        with pytest.raises(Refusal, match="Enable release immutability"):
            github.see_that_it_is_locked(Shell(clone), VERSION, wait=waited.append)
        assert sum(waited) == 60

    def test_is_only_shown_in_a_dry_run(
        self,
        clone: Path,
        stand_in: Callable[[str, str], Path],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        calls = stand_in("gh", self.GH)
        monkeypatch.chdir(clone)
        assert main(["publish", "source/v1.2.3", "sbom.json", "--dry-run"]) == 0
        assert capsys.readouterr().out.startswith("$ gh release create v1.2.3 ")
        assert calls.read_text() == ""


class TestPush:
    DOCKER = f"""
    case "$*" in
      "image inspect"*amd64) echo '["elsewhere/it@sha256:{"0" * 64}", "{IMAGE}@sha256:{"a" * 64}"]' ;;
      "image inspect"*arm64) echo '["{IMAGE}@sha256:{"b" * 64}"]' ;;
      "buildx imagetools inspect --format {{{{json .Manifest.Digest}}}} "*:1.2.3) echo '"sha256:{"c" * 64}"' ;;
    esac"""

    def test_pushes_what_was_saved_and_one_index_of_it(
        self, clone: Path, stand_in: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = stand_in("docker", self.DOCKER)
        monkeypatch.setenv("GITHUB_OUTPUT", str(clone / "outputs"))
        image.push(Shell(clone), VERSION, clone / "built")
        made = [call for call in calls.read_text().splitlines() if "inspect" not in call]
        assert made == [
            f"docker load --input {clone}/built/image-amd64.tar",
            f"docker push {IMAGE}:1.2.3-amd64",
            f"docker load --input {clone}/built/image-arm64.tar",
            f"docker push {IMAGE}:1.2.3-arm64",
            f"docker buildx imagetools create --tag {IMAGE}:1.2.3 {IMAGE}@sha256:{'a' * 64} {IMAGE}@sha256:{'b' * 64}",
        ]
        outputs = dict(line.split("=") for line in (clone / "outputs").read_text().splitlines())
        assert outputs == {
            "digest": f"sha256:{'c' * 64}",
            "digest_amd64": f"sha256:{'a' * 64}",
            "digest_arm64": f"sha256:{'b' * 64}",
        }
        used = re.findall(r"steps\.push\.outputs\.(\w+)", (ROOT / ".github/workflows/release.yml").read_text())
        assert set(used) == set(outputs)

    def test_is_only_shown_in_a_dry_run(
        self, clone: Path, stand_in: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls = stand_in("docker", self.DOCKER)
        image.push(Shell(clone, dry_run=True), VERSION, clone / "built")
        assert capsys.readouterr().out.count("$ docker push ") == 2
        assert calls.read_text() == ""

    def test_is_seen_by_everyone(self, clone: Path, stand_in: Callable[[str, str], Path]) -> None:
        stand_in("docker", "")
        image.see_that_it_is_public(Shell(clone), DIGEST)

    def test_says_what_to_do_where_it_is_not(self, clone: Path, stand_in: Callable[[str, str], Path]) -> None:
        stand_in("docker", "exit 1")
        with pytest.raises(Refusal, match="Make the package public"):
            image.see_that_it_is_public(Shell(clone), DIGEST)


class TestBaseImage:
    def test_is_compared_with_the_newest_of_its_tag(self, stand_in: Callable[[str, str], Path], tmp_path: Path) -> None:
        shutil.copy(ROOT / "Dockerfile", tmp_path)
        calls = stand_in("docker", f"""echo '"{DIGEST}"'""")
        with pytest.raises(Refusal, match=rf"ARG BASE_IMAGE=python:3\.\d+-slim@{DIGEST}"):
            image.see_that_the_base_is_new(Shell(tmp_path))
        assert re.search(r" python:3\.\d+-slim\n", calls.read_text())

        edit(tmp_path / "Dockerfile", r"(?m)(?<=-slim@)sha256:\w+$", DIGEST)
        image.see_that_the_base_is_new(Shell(tmp_path))


@pytest.fixture(scope="module")
def built(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The name of an image that was built for a release, and the folder in which it was saved."""
    folder = tmp_path_factory.mktemp("built")
    name = image.build(Shell(ROOT), Version(0, 0, 1), folder, engine)
    try:
        yield name, folder
    finally:
        subprocess.run(["docker", "image", "rm", "--force", name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def listed(built: tuple[str, Path]) -> dict[str, Any]:
    """What is said to be in the image."""
    name, folder = built
    subprocess.run([ROOT / "script/environment", "--sbom"], check=True)
    sbom(Shell(ROOT), name, folder / "sbom.json")
    document: dict[str, Any] = json.loads((folder / "sbom.json").read_text())
    return document


class TestImage:
    def test_is_saved_for_the_architecture_it_is_built_for(self, built: tuple[str, Path]) -> None:
        name, folder = built
        architecture = name.rpartition("-")[2]
        assert architecture in image.ARCHITECTURES
        assert name == f"{IMAGE}:0.0.1-{architecture}"
        loaded = subprocess.run(
            ["docker", "load", "--quiet", "--input", folder / f"image-{architecture}.tar"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert loaded == f"Loaded image: {name}\n"  # as the release workflow reads it

    def test_says_what_it_was_built_from(self, built: tuple[str, Path]) -> None:
        command = ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", built[0]]
        labels = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert labels["org.opencontainers.image.revision"] == git(ROOT, "rev-parse", "HEAD")
        assert labels["org.opencontainers.image.version"] == "0.0.1"
        assert labels["org.opencontainers.image.source"] == f"https://github.com/{checkout.ACTION}"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["org.opencontainers.image.created"])

    def test_is_listed_with_every_debian_package_in_it(self, built: tuple[str, Path], listed: dict[str, Any]) -> None:
        packages = inside(built[0], "dpkg-query", "--show", "--showformat", "${Package} ${Version}\n").splitlines()
        assert set(packages) == {
            f"{component['name']} {component['version']}"
            for component in listed["components"]
            if component["purl"].startswith("pkg:deb/") and "arch=source" not in component["purl"]
        }

    def test_is_listed_with_python_and_every_package_of_it(
        self, built: tuple[str, Path], listed: dict[str, Any]
    ) -> None:
        ask = (
            "import importlib.metadata, platform\n"
            "print('python', platform.python_version())\n"
            "for found in importlib.metadata.distributions():\n"
            "    if str(found.locate_file('')).startswith('/usr/local/'): print(found.name, found.version)"
        )
        assert set(inside(built[0], "python", "-c", ask).splitlines()) == {
            f"{component['name']} {component['version']}"
            for component in listed["components"]
            if not component["purl"].startswith("pkg:deb/")
        }

    def test_is_listed_the_same_each_time(
        self, built: tuple[str, Path], listed: dict[str, Any], tmp_path: Path
    ) -> None:
        sbom(Shell(ROOT), built[0], tmp_path / "again.json")
        assert json.loads((tmp_path / "again.json").read_text()) == listed


def inside(name: str, program: str, *words: str) -> str:
    command = ["docker", "run", "--rm", "--entrypoint", program, name, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class TestWorkflow:
    def scripts(self, job: str) -> str:
        return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])

    def test_starts_on_the_tag_that_a_maintainer_pushes_and_on_nothing_else(self) -> None:
        assert set(WORKFLOW[True]) == {"push"}  # YAML 1.1 reads the key `on` as true
        (pattern,) = WORKFLOW[True]["push"]["tags"]
        assert fnmatch.fnmatchcase(VERSION.source, pattern.replace("+", ""))
        assert not fnmatch.fnmatchcase(VERSION.tag, pattern.replace("+", ""))

    def test_has_the_permissions_that_each_job_needs_and_no_others(self) -> None:
        assert {name: job["permissions"] for name, job in JOBS.items()} == {
            "check": {"contents": "read"},
            "image": {"contents": "read"},
            "test": {"contents": "read"},
            "push": {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"},
            "release": {"contents": "write", "attestations": "read"},
        }

    def test_goes_one_step_after_the_other(self) -> None:
        assert {name: job.get("needs") for name, job in JOBS.items()} == {
            "check": None,
            "image": "check",
            "test": "image",
            "push": ["image", "test"],
            "release": "push",
        }

    @pytest.mark.parametrize("job", ["image", "push", "release"])
    def test_installs_nothing_where_the_image_is_made_or_a_token_may_write(self, job: str) -> None:
        assert not re.search(r"\bpip\b|\bnpm\b|script/(test|environment)|\.ci/", self.scripts(job))
        assert not any("setup-" in step.get("uses", "") for step in JOBS[job]["steps"])

    def test_asks_a_person_before_the_release(self) -> None:
        assert [name for name, job in JOBS.items() if "environment" in job] == ["release"]

    @pytest.mark.parametrize("job", ["image", "test"])
    def test_has_a_machine_of_each_architecture(self, job: str) -> None:
        machines = {each["architecture"]: each["runner"] for each in JOBS[job]["strategy"]["matrix"]["include"]}
        assert tuple(machines) == image.ARCHITECTURES
        assert {name for name, runner in machines.items() if runner.endswith("-arm")} == {"arm64"}

    def test_calls_commands_that_there_are_with_what_they_need(self) -> None:
        called = set()
        for job in JOBS:
            for line in re.findall(r"^script/release .*", self.scripts(job), re.MULTILINE):
                called.add(arguments().parse_args(shlex.split(line)[1:]).command)
        assert called == {"check", "build", "sbom", "push", "public", "tag", "publish", "major"}

    def test_moves_the_major_tag_last(self) -> None:
        assert re.findall(r"script/release (\w+)", self.scripts("release")) == ["public", "tag", "publish", "major"]

    def test_attests_the_image_that_it_pushes(self) -> None:
        attested = [
            step["with"] for step in JOBS["push"]["steps"] if step.get("uses", "").startswith("actions/attest@")
        ]
        assert {each["subject-name"] for each in attested} == {IMAGE}
        assert {each["push-to-registry"] for each in attested} == {True}
        assert [(each["subject-digest"], each.get("sbom-path")) for each in attested] == [
            ("${{ steps.push.outputs.digest }}", None),
            ("${{ steps.push.outputs.digest_amd64 }}", "built/sbom-amd64.cdx.json"),
            ("${{ steps.push.outputs.digest_arm64 }}", "built/sbom-arm64.cdx.json"),
        ]

    def test_tests_and_lists_the_very_image_that_it_built(self) -> None:
        given = [step["env"] for step in JOBS["test"]["steps"] if "image" in str(step.get("env", {})).lower()]
        assert [value for each in given for name, value in each.items() if "IMAGE" in name] == [
            "${{ steps.load.outputs.image }}",
            "${{ steps.load.outputs.image }}",
        ]
        assert "script/test tests/container" in self.scripts("test")

    def test_gets_only_what_an_earlier_job_kept(self) -> None:
        kept: list[str] = []
        for job in JOBS.values():
            for step in job["steps"]:
                _, _, action = step.get("uses", "").partition("/")
                wanted = step.get("with", {}).get("name") or step.get("with", {}).get("pattern")
                if action.startswith("download-artifact@") and wanted:
                    assert fnmatch.filter(kept, wanted), wanted
                if action.startswith("upload-artifact@"):
                    kept.append(step["with"]["name"])

    def test_pushes_the_images_of_the_job_that_built_them_whatever_is_kept_under_their_names_later(self) -> None:
        (given,) = (step["with"] for step in JOBS["push"]["steps"] if "artifact-ids" in step.get("with", {}))
        assert re.findall(r"needs\.image\.outputs\.(\w+)", given["artifact-ids"]) == list(image.ARCHITECTURES)
        assert JOBS["image"]["outputs"] == {
            name: f"${{{{ matrix.architecture == '{name}' && steps.keep.outputs.artifact-id || '' }}}}"
            for name in image.ARCHITECTURES
        }


def test_the_image_has_one_name_everywhere() -> None:
    files = (ROOT / "README.md", ROOT / "docs/releasing.md", *ROOT.glob(".github/workflows/*.yml"))
    names = {name for file in files for name in re.findall(r"ghcr\.io/[\w./-]*\w", file.read_text())}
    assert names == {IMAGE}
