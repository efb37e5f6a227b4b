"""Logs of containers and builds that failed, as Cloud Logging shows them: the programs' own lines and Google's.

Google's are from GoogleCloudPlatform/jit-groups#270, Unstructured-IO/unstructured-api#354, dart-lang/pub-dev#9554,
1Password/scim-examples#309 and cloud.google.com/run/docs/troubleshooting; the programs' are what they print.
"""

from __future__ import annotations

from octue_action.failure import GoogleError

SERVICE_LOG = "https://console.cloud.google.com/run/detail/europe-west1/my-org-sum/logs?project=my-project"
BUILD_LOG = "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/6c1b?project=123456789012"


def not_ready(said: str = "") -> GoogleError:
    """How an operation ends whose revision does not listen."""
    said = said or (
        "Revision 'my-org-sum-00001-abc' is not ready and cannot serve traffic. The user-provided container failed to "
        "start and listen on the port defined provided by the PORT=8080 environment variable."
    )
    error = GoogleError(
        "operation", "FAILED_PRECONDITION", said, metadata={"log_url": SERVICE_LOG}, is_of_operation=True
    )
    error.log_url = SERVICE_LOG
    return error


def failed_build() -> GoogleError:
    """How a build ends one of whose steps fails."""
    about = {"log_url": BUILD_LOG, "account": "builder@my-project.iam.gserviceaccount.com"}
    error = GoogleError("build", "FAILURE", "", "USER_BUILD_STEP", metadata=about, is_of_operation=True)
    error.message = "The build of the image ended with FAILURE at the step `build`."
    error.log_url = BUILD_LOG
    return error


def probe(status: str) -> tuple[str, str]:
    return (
        (
            'Default STARTUP TCP probe failed 1 time consecutively for container "my-org-sum-1" on port 8080. The '
            "instance was not started."
        ),
        f"Connection failed with status {status}.",
    )


CANCELLED = probe("CANCELLED")
LATE = probe("DEADLINE_EXCEEDED")


def crash(*frames: str, code: int = 1) -> tuple[str, ...]:
    return ("Traceback (most recent call last):", *frames, f"Container called exit({code}).", *CANCELLED)


FRAME = ('  File "/app/server.py", line 3, in <module>', "    import numpy")

CONTAINERS: dict[str, tuple[str, ...]] = {
    "memory": (
        "Loading the model",
        (
            "Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit, see "
            "https://cloud.google.com/run/docs/configuring/memory-limits"
        ),
        "Container terminated on signal 9.",
        *CANCELLED,
    ),
    "processor": ("terminated: Application failed to start: failed to load /usr/local/bin/python: exec format error",),
    "processor-or-script": (
        "terminated: Application failed to start: failed to load /app/start.sh: exec format error",
    ),
    "processor-unnamed": ("terminated: Application failed to start: exec format error",),
    "octue-version": crash(
        '  File "/usr/local/lib/python3.11/site-packages/gunicorn/util.py", line 371, in import_app',
        "    mod = importlib.import_module(module)",
        "ModuleNotFoundError: No module named 'octue.cloud.deployment.google.cloud_run'",
        "[2031-05-06 07:08:09 +0000] [1] [ERROR] Shutting down: Master",
        "[2031-05-06 07:08:09 +0000] [1] [ERROR] Reason: Worker failed to boot.",
        code=3,
    ),
    "pkg-resources": crash(*FRAME, "ModuleNotFoundError: No module named 'pkg_resources'"),
    "werkzeug": crash(
        *FRAME,
        "ImportError: cannot import name 'url_quote' from 'werkzeug.urls' "
        "(/usr/local/lib/python3.11/site-packages/werkzeug/urls.py)",
    ),
    "import": crash(*FRAME, "ModuleNotFoundError: No module named 'numpy'"),
    "exception": crash(
        '  File "/app/app.py", line 12, in <module>',
        '    TABLE = open("coefficients.csv")',
        "            ^^^^^^^^^^^^^^^^^^^^^^^^",
        "FileNotFoundError: [Errno 2] No such file or directory: 'coefficients.csv'",
    ),
    "syntax": (
        '  File "/app/server.py", line 4',
        "    def answer(",
        "              ^",
        "SyntaxError: '(' was never closed",
        "Container called exit(1).",
        *CANCELLED,
    ),
    "port-gunicorn": (
        "[2031-05-06 07:08:09 +0000] [1] [INFO] Starting gunicorn 20.1.0",
        "[2031-05-06 07:08:09 +0000] [1] [INFO] Listening at: http://0.0.0.0:5000 (1)",
        "[2031-05-06 07:08:09 +0000] [7] [INFO] Booting worker with pid: 7",
        *LATE,
    ),
    "port-flask": (
        " * Serving Flask app 'server'",
        " * Running on http://127.0.0.1:5000",
        "Press CTRL+C to quit",
        *LATE,
    ),
    "loopback": (
        "INFO:     Started server process [1]",
        "INFO:     Uvicorn running on http://127.0.0.1:8080 (Press CTRL+C to quit)",
        *LATE,
    ),
    "exit-127-named": ("/bin/sh: 1: gunicorn: not found", "Container called exit(127).", *CANCELLED),
    "not-started": (
        'terminated: Application failed to start: failed to find "/app/run" in the image',
        "Container called exit(1).",
    ),
    "exit-127": ("Container called exit(127).", *CANCELLED),
    "exit-126": ("/bin/sh: 1: ./start: Permission denied", "Container called exit(126).", *CANCELLED),
    "exit-137": ("Loading the model", "Container called exit(137).", *CANCELLED),
    "signal-4": ("Container terminated on signal 4.", *CANCELLED),
    "signal-11": ("Container terminated on signal 11.", *CANCELLED),
    "exit-0": ("Done", "Container called exit(0).", *CANCELLED),
    "exit-78": ("Bad configuration: no twine.json", "Container called exit(78).", *CANCELLED),
    "late": ("Reading 40 GB of weather", *LATE),
    "silent": LATE,
}

BUILDS: dict[str, tuple[str, ...]] = {
    "copy": (
        "Step 4/7 : COPY requirements.txt .",
        (
            "COPY failed: file not found in build context or excluded by .dockerignore: stat requirements.txt: file "
            "does not exist"
        ),
    ),
    "copy-buildkit": (
        "#7 [3/5] COPY model /app/model",
        '#7 ERROR: failed to calculate checksum of ref moby::2mpyaewng6523nff2m15ggthu: "/model": not found',
    ),
    "no-dockerfile": (
        (
            "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat /workspace/Dockerfile: "
            "no such file or directory"
        ),
    ),
    "pip": (
        "Step 5/7 : RUN pip install --no-cache-dir -r requirements.txt",
        "ERROR: Could not find a version that satisfies the requirement nunpy==1.26.4 (from versions: none)",
        "ERROR: No matching distribution found for nunpy==1.26.4",
        "The command '/bin/sh -c pip install --no-cache-dir -r requirements.txt' returned a non-zero code: 1",
    ),
    "pip-without-its-end": (
        "ERROR: Could not find a version that satisfies the requirement octue==9.9 (from versions: 0)",
    ),
    "pip-conflict": (
        "The conflict is caused by:",
        "    flask 3.0.0 depends on Werkzeug>=3.0.0",
        "    The user requested werkzeug<3",
        "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/",
    ),
    "base-image": ("Step 1/7 : FROM python:3.11-slin", "manifest for python:3.11-slin not found: manifest unknown"),
    "disk": ("write /var/lib/docker/tmp/layer: no space left on device",),
    "network": (
        "WARNING: Retrying after connection broken by 'NewConnectionError: Temporary failure in name resolution'",
    ),
    "command": (
        "Step 6/7 : RUN python prepare.py",
        "KeyError: 'turbine'",
        "The command '/bin/sh -c python prepare.py' returned a non-zero code: 1",
    ),
    "command-buildkit": (
        "#9 0.512 KeyError: 'turbine'",
        'ERROR: failed to solve: process "/bin/sh -c python prepare.py" did not complete successfully: exit code: 1',
    ),
    "unknown": ("Something that nobody knows", "BUILD FAILURE"),
}
