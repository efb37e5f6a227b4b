"""Google's client libraries without what no run of this action needs, and connected ahead.

All that reaches into what is private of these libraries, or into Python's imports, for a fast start is here.

A run that has nothing to do is mostly importing. Each generated client brings an asyncio client and two more
transports, and each package all of its services and messages; the collector of cyclic garbage looks through all of it
again and again, and finds nothing. With all of it such a run takes about 1.5 times as long, and 1.4 times the memory:
``script/benchmark`` measures that anew, in turns with all else, and docs/performance.md has it as "The same commit
again, with nothing pruned". No library is changed: a module that is left out is not looked for, and a name that is not
asked for is not imported. The tests hold it against the versions that are pinned.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc

LEFT_OUT = (
    # The asyncio and REST halves of Google's clients, and what only they need.
    r"google\.(\w+\.)*\w+_v\d+\.services\.\w+\.(async_client|transports\.(grpc_asyncio|rest))",
    r"google\.api_core\.(operation_async|grpc_helpers_async|retry_async)",
    r"google\.api_core\.gapic_v1\.(config_async|method_async)",
    r"google\.api_core\.retry\.retry_(streaming|unary)_async",
    r"google\.api_core\.operations_v1\.(abstract_operations_client|operations_async_client)",
    r"google\.api_core\.operations_v1\.operations_rest_client_async",
    r"google\.api_core\.operations_v1\.transports\.rest(_asyncio)?",
    r"grpc\.aio",
    r"grpc_status\._async",
    # What grpcio is made with imports it, for its own asyncio half.
    r"asyncio",
    # Warnings about old versions, for which all that is installed is looked through; ours are pinned.
    r"google\.api_core\._python_(package|version)_support",
)
"""Names of modules that are imported by others, and never used here."""

OF_KEYS = (r"google\.auth\.crypt\.(es|es256|rsa)",)
"""What signs with a key, for which all of cryptography is imported; only a credentials file can have a key."""

CREDENTIALS_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "GOOGLE_GHA_CREDS_PATH",
)
"""Where google-github-actions/auth says which credentials file it has made."""

_GENERATED = re.compile(r"google\.(?!api_core\.)(?:\w+\.)*\w+_v\d+(?:\.types)?")
"""Packages that are made by Google's generator, and say themselves what may be imported later."""


def install(environment: Mapping[str, str]) -> None:
    """Prune what this process imports from now on.

    :param environment: says whether there is a credentials file.
    """
    gc.disable()
    has_file = any(environment.get(variable) for variable in CREDENTIALS_VARIABLES)
    left_out = LEFT_OUT if has_file else (*LEFT_OUT, *OF_KEYS)
    sys.meta_path.insert(0, _Pruner(left_out))


def settle() -> None:
    """Collect garbage again, but not among what is imported by now."""
    gc.freeze()
    gc.enable()


def connect(channel: grpc.Channel) -> None:
    """Have a channel connect now, while a token is fetched: otherwise it does with its first call, which waits for it.

    The public way, to subscribe to its state, begins a thread that fails where the channel is closed meanwhile.
    """
    from grpc._cython import cygrpc  # type: ignore[attr-defined]  # its types say nothing of what is private

    inner: Any = getattr(channel, "_channel", None)
    if isinstance(inner, cygrpc.Channel):
        inner.check_connectivity_state(True)


class LeftOut:
    """Stands for whatever a module that is left out would have had.

    What packages call of it while they are imported, a check of versions, does nothing.
    """

    def __init__(self, *_: object, **__: object) -> None:
        """Take whatever a check is given."""


class _Absent(ModuleType):
    """A module that is left out."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (LeftOut,), {})  # each another one, as a class may have two of them as bases


class _Pruner:
    """Finds modules in place of Python's own finder.

    :param left_out: patterns of the names of those that are left out.
    """

    def __init__(self, left_out: Sequence[str]) -> None:
        self._left_out = re.compile("|".join(left_out))

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Python calls this for each module that is imported for the first time."""
        if not name.startswith(("google.", "grpc", "asyncio")):
            return None
        if self._left_out.fullmatch(name):
            return ModuleSpec(name, _Nothing())  # type: ignore[arg-type]  # a loader needs no more than two methods
        if _GENERATED.fullmatch(name):
            spec = PathFinder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Lazily(spec.loader)  # type: ignore[assignment]  # as above
            return spec
        return None


class _Nothing:
    """Loads a module that is left out."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


class _Lazily:
    """Loads a package whose names are imported when they are first asked for.

    So Python 3.15 does with what a package says in ``__lazy_modules__`` (PEP 810), and Google's packages say it.

    :param loader: Python's own, of a source or of bytecode.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002 - Python's signature
        return None

    def exec_module(self, module: ModuleType) -> None:
        names = vars(module)
        names["__builtins__"] = {**vars(builtins), "__import__": _import_later}
        exec(self._loader.get_code(module.__name__), names)  # noqa: S102 - so do Python's own loaders
        later = {name: value for name, value in names.items() if isinstance(value, _Later)}
        for name in later:
            del names[name]

        def get(name: str) -> Any:
            if name not in later:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            value = names[name] = later[name].get()
            return value

        names["__getattr__"] = get


class _Later:
    """A name that a package imports from one of its modules, and that nobody has asked for yet."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def get(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)


class _Names:
    """A module of which names are imported later."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> _Later:
        return _Later(self._module, name)


def _import_later(
    name: str,
    names: Mapping[str, Any] | None = None,
    locals_: Mapping[str, Any] | None = None,
    wanted: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """``import``, as those packages are given it: what may be imported later is only noted."""
    if names is not None and wanted:
        full = resolve_name("." * level + name, names["__package__"]) if level else name
        package = sys.modules[names["__name__"].removesuffix(".types")]
        if full in vars(package).get("__lazy_modules__", ()):
            return _Names(full)
    return __import__(name, names, locals_, wanted or (), level)
