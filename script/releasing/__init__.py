"""Makes a release of the action: the steps of .github/workflows/release.yml, each of which anyone can try.

A maintainer pushes the tag source/v1.2.3. The commit that people get, v1.2.3, is its child and differs in one line: its
action.yml names the image that was built from source/v1.2.3, by digest. Why: docs/decisions/0011-releases.md.

Python's own library is enough for it: it runs where a token may write, and nothing is installed there.
"""
