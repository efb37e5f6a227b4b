"""Versions, and the tags they are known by."""

from __future__ import annotations

import re
from typing import NamedTuple

from script.releasing.shell import Refusal

NUMBER = r"(?:0|[1-9]\d*)"
_VERSION = re.compile(rf"(?:source/)?v?({NUMBER})\.({NUMBER})\.({NUMBER})")


class Version(NamedTuple):
    """A version without pre-releases, in the order of https://semver.org."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, text: str) -> Version:
        """Read ``1.2.3``, the tag ``v1.2.3`` or the tag ``source/v1.2.3``.

        :raises Refusal: where it is none of these
        """
        if not (match := _VERSION.fullmatch(text)):
            raise Refusal(f"{text!r} is no version: write it as 1.2.3, v1.2.3 or source/v1.2.3.")
        return cls(*(int(number) for number in match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        """The tag that people use."""
        return f"v{self}"

    @property
    def source(self) -> str:
        """The tag that starts the release."""
        return f"source/v{self}"

    @property
    def major_tag(self) -> str:
        """The tag that moves with every release of the same major version."""
        return f"v{self.major}"
