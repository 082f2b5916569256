"""The compile driver: from a traced function to a program, by way of the caches."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from kgraph.codegen import Array, Backend, Executable, NativeImage, Options
from kgraph.ir import Function, IRError, TensorType
from kgraph.runtime.cache import disk_cache
from kgraph.runtime.collection import no_collection
from kgraph.runtime.digest import Key, key_of
from kgraph.runtime.freed import give_back
from kgraph.runtime.functions import FunctionStore, forget_functions
from kgraph.runtime.memory import MemoryCache
from kgraph.runtime.options import default_options, notice
from kgraph.runtime.program import Program, Runner
from kgraph.runtime.progress import told_if_slow
from kgraph.runtime.signature import Signature
from kgraph.runtime.threads import thread_count

_Runners: TypeAlias = "tuple[Runner, Runner | None]"
_memory: MemoryCache[_Runners] = MemoryCache(256)


class BackendError(ImportError):
    """A backend that was asked for and is not installed."""


class ExecutableRunner:
    """An `Executable` as a program's runner."""

    plain = False

    def __init__(self, executable: Executable) -> None:
        self._executable = executable

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        return self._executable.accept(value, type_, name)

    def run(
        self,
        state: list[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]:
        arrays = [*state, *inputs]
        try:
            return self._executable.run(arrays, sizes, in_place)
        finally:
            state[:] = arrays[: len(state)]


def compile(
    fn: Function,
    *,
    state: int = 0,
    donate: Mapping[int, int] | None = None,
    options: Options | None = None,
    name: str = "",
) -> Program:
    """Compiles a function, or finds it compiled in memory or on disk.

    Args:
        fn: a verified function.
        state: so many first parameters are state.
        donate: result -> the state parameter that it replaces and whose memory it may take.
        options: what to compile with; default: what the environment asks for.
        name: for messages and listings; default: the function's.

    Raises:
        BackendError: the backend is not installed; the message says how to.
        IRError: `donate` and the types do not fit, or a size stands in no parameter.
    """
    options = options or default_options()
    donate = dict(donate or {})
    _check_donation(fn, state, donate)
    signature = Signature.of(fn)
    name = name or fn.name
    main, prepare = _runners(fn, state, donate, options, name)
    return Program(name, signature, state, donate, options, main, prepare)


def _runners(
    fn: Function, state: int, donate: Mapping[int, int], options: Options, name: str
) -> _Runners:
    """What runs the function and what prepares its state: from a cache, or compiled now."""
    backend = load_backend(options.backend)
    key = key_of(fn, state, donate, options, backend.fingerprint(options))
    if (found := _memory.get(key.digest)) is not None:
        return found
    native = options.backend == "llvm"
    found = _restored(key, donate, options, name) if native else None
    if found is None:
        ops = f"{len(fn.ops):,} op{'s' * (len(fn.ops) != 1)}"
        disk = disk_cache()
        store = FunctionStore(disk)
        with told_if_slow(f"compiling {name or 'a program'}, {ops}"), no_collection():
            compiled = backend.compile(
                fn, state=state, donate=donate, options=options, threads=thread_count(), store=store
            )
        if isinstance(compiled, NativeImage):
            disk.put(key, [compiled.to_bytes()], name, (store.found, store.made))
            found = _native(compiled, donate, options)
        else:
            found = (ExecutableRunner(compiled), None)
    if native and options.find_nan:
        found = _with_search(found, fn.param_names)
    _memory.put(key.digest, found)
    give_back()
    return found


def _restored(key: Key, donate: Mapping[int, int], options: Options, name: str) -> _Runners | None:
    """From disk: no pass runs, and the compiler is not imported."""
    stored = disk_cache().get(key, name)
    if stored is None:
        return None
    try:
        return _native(NativeImage.from_bytes(stored[0]), donate, options)
    except (ValueError, KeyError, TypeError) as error:
        notice(f"kgraph: a cached program cannot be loaded ({error}); compiling again")
        return None


def _native(image: NativeImage, donate: Mapping[int, int], options: Options) -> _Runners:
    from kgraph.runtime.native import NativeRunner

    def runner(image: NativeImage, donate: Mapping[int, int]) -> NativeRunner:
        if options.guard:
            from kgraph.runtime.guard import GuardedRunner

            return GuardedRunner(image, donate, options.poison, options.guard == "start")
        return NativeRunner(image, donate, options.poison)

    return runner(image, donate), None if image.prepare is None else runner(image.prepare, {})


def _with_search(runners: _Runners, names: Sequence[str]) -> _Runners:
    """The runner that raises where the code found a NaN."""
    from kgraph.runtime.nan import NanRunner
    from kgraph.runtime.native import NativeRunner

    runner, prepare = runners
    if not isinstance(runner, NativeRunner) or not runner.image.probes:
        return runners  # it computes nothing
    return NanRunner(runner, names), prepare


def clear_memory_cache() -> None:
    """Forgets compiled programs and their functions; those in use go on."""
    _memory.clear()
    forget_functions()


def load_backend(name: str) -> Backend:
    """The module of a backend.

    Raises:
        BackendError: a package that it needs is not installed.
    """
    if name == "jax" and importlib.util.find_spec("jax") is None:
        raise BackendError(
            "the jax backend needs jax, which is not installed: pip install 'kgraph[jax]', "
            "or choose another backend (KGRAPH_BACKEND=llvm)"
        )
    return cast("Backend", importlib.import_module(f"kgraph.codegen.{name}"))


def _check_donation(fn: Function, state: int, donate: Mapping[int, int]) -> None:
    if not 0 <= state <= len(fn.params):
        raise IRError(f"state must be between 0 and the {len(fn.params)} parameters; got {state}")
    for result, param in donate.items():
        if not (0 <= result < len(fn.results) and 0 <= param < state):
            raise IRError(
                f"donate must map one of {len(fn.results)} results to one of {state} state "
                f"parameters; got {result}: {param}"
            )
        if fn.results[result].type is not fn.params[param].type:
            raise IRError(
                f"result {result} replaces the state {fn.param_names[param]} and must have its "
                f"type {fn.params[param].type}; got {fn.results[result].type}"
            )
    if len(set(donate.values())) != len(donate):
        raise IRError(f"two results replace one state parameter: {dict(donate)}")
