"""Requests over HTTP: the session that they are made in, and what a token is asked for."""

from __future__ import annotations

import requests

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def session_for(*, emulator: bool) -> requests.Session:
    """A session for requests over HTTP; an emulator is asked itself, whatever the variables say of proxies."""
    session = requests.Session()
    session.trust_env = not emulator
    return session
