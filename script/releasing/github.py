"""Makes the commit and the release that people get."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from script.releasing.checkout import IMAGE, committed_at, notes, pinned, remote_tags
from script.releasing.shell import Refusal, Shell
from script.releasing.version import Version

# GitHub's own bot, under the id and name it has there: github.com/actions/checkout, README, "Push a commit".
BOT_NAME, BOT_EMAIL = "github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com"


def release_commit(shell: Shell, version: Version, digest: str) -> str:
    """Make the commit that people get: the child of the tagged one, in which action.yml names the image.

    Its date is the tagged commit's, so the same digest gives the same commit however often it is made. No branch,
    tag or file of the checkout is touched.
    """
    source = shell.line("git", "rev-parse", f"refs/tags/{version.source}^{{commit}}")
    action = pinned(shell.read("git", "show", f"{source}:action.yml"), digest)
    blob = shell.line("git", "hash-object", "-w", "--stdin", given=action)
    when = committed_at(shell, source)
    environment = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in {"NAME": BOT_NAME, "EMAIL": BOT_EMAIL, "DATE": when}.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        shell.read("git", "read-tree", source, environment=index)
        shell.read("git", "update-index", "--cacheinfo", f"100644,{blob},action.yml", environment=index)
        tree = shell.line("git", "write-tree", environment=index)
    message = f"Release {version}\n\nThe image of {version.source}: {IMAGE}@{digest}\n"
    command = ("git", "commit-tree", "--no-gpg-sign", tree, "-p", source)
    return shell.line(*command, given=message, environment=environment)


def tag(shell: Shell, version: Version, digest: str) -> None:
    """Make the release commit and push it under the tag that people use; nothing is forced."""
    commit = release_commit(shell, version, digest)
    shell.change("git", "push", "origin", f"{commit}:refs/tags/{version.tag}")


def publish(shell: Shell, version: Version, files: Sequence[str]) -> None:
    """Make the release on GitHub, with these files, and see that nobody can change it any more.

    ``gh`` makes a draft, adds the files and publishes it only then, which is when GitHub locks it and its tag.
    """
    text = notes(shell.root, version)
    state = "" if shell.dry_run else _state(shell, version)
    if state == "draft":  # of a run that was ended in between
        shell.change("gh", "release", "delete", version.tag, "--yes")
    if state != "published":
        options = ("--verify-tag", "--title", version.tag, "--notes-file", "-")
        shell.change("gh", "release", "create", version.tag, *options, *files, given=text)
    if not shell.dry_run:
        see_that_it_is_locked(shell, version)


def see_that_it_is_locked(shell: Shell, version: Version, *, wait: Callable[[float], None] = time.sleep) -> None:
    """See that GitHub has attested the release, as it does with those that are immutable and only with them.

    :param wait: told the seconds until the next try
    :raises Refusal: where it has not within a minute
    """
    for _ in range(6):
        if shell.succeeds("gh", "release", "verify", version.tag):
            return
        wait(10)
    raise Refusal(
        f"The release {version.tag} is not immutable, so {version.major_tag} stays where it is. On GitHub, tick "
        "`Enable release immutability` in the general settings of the repository, then release the next version. "
        "If it is ticked already, re-run the failed job."
    )


def move_major(shell: Shell, version: Version) -> None:
    """Move the major version's tag to this release, unless a newer one of the same major version is out."""
    tags = remote_tags(shell, f"{version.major_tag}*")
    newest = max(Version.of(name) for name in tags if name.startswith(f"{version.major_tag}."))
    if newest != version:
        print(f"{version.major_tag} stays at {newest}, which is newer.")
        return
    commit, before = tags[version.tag], tags.get(version.major_tag, "")
    if commit == before:
        print(f"{version.major_tag} is at {version.tag} already.")
        return
    shell.read("git", "fetch", "--quiet", "origin", f"refs/tags/{version.tag}")
    lease = f"--force-with-lease=refs/tags/{version.major_tag}:{before}"
    shell.change("git", "push", lease, "origin", f"{commit}:refs/tags/{version.major_tag}")


def _state(shell: Shell, version: Version) -> str:
    command = ("gh", "release", "view", version.tag, "--json", "isDraft", "--jq", ".isDraft")
    if not shell.succeeds(*command):
        return ""
    return "draft" if shell.line(*command) == "true" else "published"
