"""The commands: each verb is a module that loads what it needs when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from io import StringIO
from typing import Any

import click

from netspec.cli import console
from netspec.diagnostics import Code, Diagnostic, NetspecError, Place, SetupError
from netspec.version import VERSION

VERBS = ("validate", "build", "data", "train", "evaluate", "export", "predict", "verify", "schema")

# Which extra brings a package that is missing.
EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "safetensors": "train",
    "filelock": "train",
    "tensorboard": "train",
    "webdataset": "shards",
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "runtime",
    "numpy": "runtime",
    "PIL": "runtime",
}


class _Verbs(click.Group):
    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args and not context.resilient_parsing:  # click before 8.2 takes it for success
            click.echo(context.get_help(), err=True)
            context.exit(2)
        return super().parse_args(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"netspec.cli.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from netspec.diagnostics import suggestion

        name = args[0]
        if name not in VERBS and (near := suggestion(name, VERBS)):
            raise click.UsageError(f"No such command '{name}': {near}", context)
        return super().resolve_command(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # The reader went away, as `| head` does. What is still to be flushed goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="netspec")
def netspec() -> None:
    """One YAML file to a checked, trained and exported neural network."""


def main() -> None:
    """The command line's entry: every failure is a diagnostic and an exit status."""
    console.prepare()
    gc.set_threshold(50_000)  # to start makes many objects and no garbage
    try:
        # click catches its own Exit, and returns the status in it.
        status = netspec.main(prog_name="netspec", standalone_mode=False) or 0
    except click.ClickException as error:
        usage = StringIO()
        error.show(usage)
        for line in usage.getvalue().splitlines():
            console.say(line, err=True)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        console.say("interrupted", err=True)
        status = 130
    except NetspecError as error:
        status = _report(error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        status = _report(_missing(error))
    except MemoryError:
        status = _report(SetupError.of(Code.ENVIRONMENT, "this machine has not enough memory"))
    except OSError as error:  # a full disk, a folder that may not be read
        file = str(error.filename or "netspec")
        status = _report(SetupError.of(Code.ENVIRONMENT, error.strerror or str(error), file=file))
    sys.exit(status)


def _report(error: NetspecError) -> int:
    console.report(error.diagnostics)
    return error.exit_status


def _missing(error: ModuleNotFoundError) -> SetupError:
    package = (error.name or "").partition(".")[0]
    return SetupError(
        [
            Diagnostic(
                Code.ENVIRONMENT,
                f"this command needs {package}, which is not installed",
                Place("netspec"),
                f"pip install 'netspec-compiler[{EXTRAS[package]}]'",
            )
        ]
    )
