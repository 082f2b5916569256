"""What can be turned on and off."""

from __future__ import annotations

_switches = {
    "flash_attention": True,
    "interactive_logging": True,
    "traceback_filtering": True,
    "unsafe_deserialization": False,
}


def enable_interactive_logging() -> None:
    """Progress is shown on the terminal (the default)."""
    _switches["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """Progress goes to the log, a line at a time."""
    _switches["interactive_logging"] = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress is shown on the terminal."""
    return _switches["interactive_logging"]


def enable_traceback_filtering() -> None:
    """Tracebacks leave out kgraph's own frames (the default)."""
    _switches["traceback_filtering"] = True


def disable_traceback_filtering() -> None:
    """Tracebacks are whole."""
    _switches["traceback_filtering"] = False


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks leave out kgraph's own frames."""
    return _switches["traceback_filtering"]


def enable_flash_attention() -> None:
    """Attention may be computed block by block (the default)."""
    _switches["flash_attention"] = True


def disable_flash_attention() -> None:
    """Attention is computed as it is written."""
    _switches["flash_attention"] = False


def is_flash_attention_enabled() -> bool:
    """Whether attention may be computed block by block."""
    return _switches["flash_attention"]


def enable_unsafe_deserialization() -> None:
    """Turns safe mode off for the whole process.

    kgraph runs no code from a file either way; this only lets objects through that Keras's own
    safe mode refuses, and that a registered class can build.
    """
    _switches["unsafe_deserialization"] = True


def is_unsafe_deserialization_enabled() -> bool:
    """Whether safe mode is off."""
    return _switches["unsafe_deserialization"]


def is_nnx_enabled() -> bool:
    """False: there are no Flax NNX modules here."""
    return False
