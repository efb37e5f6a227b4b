# The action's image. The base is Python 3.13.15 on Debian trixie; a build may name another of its kind.
ARG BASE_IMAGE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

# What the final image gets is laid out under /install. Bytecode is compiled here, as the container lives for one run
# only and would compile everything each time. Of the libraries it takes the place of the sources, which is a quarter of
# the image; of the action both are there, so that the trace of an error shows the line. It is not checked against the
# sources, which do not change either.
FROM ${BASE_IMAGE} AS build
COPY requirements/action.txt requirements/prune.py /requirements/
RUN python -m pip install --root=/install --root-user-action=ignore --disable-pip-version-check --no-cache-dir \
      --no-compile --no-deps --require-hashes --only-binary=:all: --requirement=/requirements/action.txt \
    && python /requirements/prune.py /install \
    && python -m compileall -q -j 0 -b --invalidation-mode=unchecked-hash -s /install -p / /install \
    && find /install -name '*.py' -delete \
    && rm -r /install/usr/local/bin
COPY entrypoint.py /install/action/
COPY octue_action /install/action/octue_action
RUN python -m compileall -q --invalidation-mode=unchecked-hash -s /install -p / /install/action

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Deploy an Octue service to Cloud Run" \
      org.opencontainers.image.description="The GitHub Action that puts Octue services on Google Cloud Run" \
      org.opencontainers.image.vendor="Octue" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"
# No pip, and nothing that would bring it back.
RUN python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && find /usr -xdev -type d -name ensurepip -prune -exec rm -r {} +
COPY --from=build /install /

# Root, as GitHub asks of an action's container: the workspace and the files that the runner mounts are root's.
#
# The container starts in the workspace, with the environment of the workflow and the home folder of the job. None of
# these may bring a Python or modules of their own: Python and its script are called by their full names, and Python
# looks neither at PYTHONPATH and its like (-E) nor for packages in the home folder (-s). Exec form: Python itself is
# told of a cancellation.
ENTRYPOINT ["/usr/local/bin/python", "-E", "-s", "/action/entrypoint.py"]
