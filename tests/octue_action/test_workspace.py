from __future__ import annotations

import os
from pathlib import Path

import pytest

from octue_action import workspace as room
from octue_action.problems import Rejected


def test_a_path_is_told_from_the_root_with_slashes(workspace: Path) -> None:
    assert room.relative(workspace, "./docker//Dockerfile", "Dockerfile") == "docker/Dockerfile"


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "a/../../b", "a\nb", "C:\\Dockerfile", "a\x00b", "\udcff"])
def test_a_path_that_leads_out_or_is_none_is_rejected(workspace: Path, path: str) -> None:
    with pytest.raises(Rejected):
        room.relative(workspace, path, "Dockerfile")


def test_a_missing_file_is_told_from_a_wrong_one(workspace: Path) -> None:
    with pytest.raises(room.Missing):
        room.existing_file(workspace, "nowhere", "Dockerfile")
    with pytest.raises(Rejected) as caught:
        room.existing_file(workspace, "Dockerfile/below", "Dockerfile")
    assert not isinstance(caught.value, room.Missing)


def test_no_more_of_a_file_is_read_than_may_be(workspace: Path) -> None:
    (workspace / "large").write_bytes(b"x" * 100)
    assert room.read(workspace, "large", 10) == b"x" * 11


def test_a_pipe_put_in_the_files_place_is_not_waited_for(workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    with pytest.raises(Rejected, match="not a regular file"):
        room.read(workspace, "pipe", 10)


def test_a_file_gone_meanwhile_is_rejected(workspace: Path) -> None:
    with pytest.raises(Rejected, match="cannot be read"):
        room.read(workspace, "nowhere", 10)
