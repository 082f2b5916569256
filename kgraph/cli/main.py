"""The command line: a file for each command; an error is one line and an exit code."""

import os
import sys
from typing import Annotated, NoReturn

from kgraph.ir import KGraphError


def main() -> NoReturn:
    """Runs the command of the process's arguments and exits."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command; the exit code. What goes wrong is told in one line on stderr."""
    import typer

    app = _app()
    try:
        app(args=arguments or ["--help"], prog_name="kgraph", standalone_mode=False)
    except typer.Exit as e:
        return e.exit_code
    except typer.Abort:
        return _fail("stopped")
    except typer._click.exceptions.ClickException as e:  # typer carries its own copy of click
        return _fail(e.format_message(), 2)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # `kgraph dump ... | head` ends early, and well
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except OSError as e:
        return _fail(f"{e.filename}: {e.strerror}" if e.filename and e.strerror else str(e))
    except (
        KGraphError,
        ValueError,
        TypeError,
        KeyError,
        ImportError,
        AttributeError,
    ) as e:
        return _fail(str(e))
    except Exception as e:  # a bug of ours: still one line, and told apart from a user's error
        return _fail(f"internal error: {type(e).__name__}: {e}", 70)
    return 0


def _fail(message: str, code: int = 1) -> int:
    first = " ".join(line.strip() for line in message.splitlines()[:3] if line.strip())
    sys.stderr.write(f"kgraph: {first}\n")
    return code


def _app() -> "typer.Typer":  # noqa: F821  # typer is imported when a command runs
    import typer

    from kgraph.cli import bench, cache, demo, dump, opt, profile, tables

    app = typer.Typer(
        help="kgraph: see, rewrite and run the programs behind Keras-style models.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("dump")(dump.dump)
    app.command("profile")(profile.profile)
    app.command("bench")(bench.bench)
    app.command("opt")(opt.opt)
    app.command("run")(opt.run_file)
    app.command("ops")(tables.ops)
    app.command("passes")(tables.passes)
    app.command("demo")(demo.demo)
    caches = typer.Typer(
        help="The cache of compiled programs.", no_args_is_help=True, rich_markup_mode=None
    )
    caches.command("list")(cache.list_entries)
    caches.command("explain")(cache.explain)
    caches.command("clear")(cache.clear)
    app.add_typer(caches, name="cache")

    @app.callback(invoke_without_command=True)
    def version(
        show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    ) -> None:
        if show:
            from kgraph.version import __version__

            sys.stdout.write(f"kgraph {__version__}\n")
            raise typer.Exit

    return app
