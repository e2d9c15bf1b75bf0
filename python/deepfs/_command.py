"""What a command needs of its surroundings: options with names, streams, errors in one line."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import IO, Any, NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C: 128 and the number of SIGINT, as of shells
# What messages of the library say, and what it is called on the command line.
OPTIONS = {
    "give image_size=": "give --image-size, such as --image-size 64",
    'give color_mode="rgb" or "grayscale"': "give --color-mode rgb or grayscale",
    "validation_split=": "--validation-split ",
    "a larger share, or validation_data=, has them": "a larger share has them",
    "write 1 - x": "try --invert",
}
CLOSE = 0.6  # least similarity (difflib's ratio) of a word that a message suggests


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the nearest word; options are never cut."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings | {"allow_abbrev": False})

    def parse(self, given: Sequence[str]) -> argparse.Namespace:
        """Return the options. A misspelt one is named before what follows it is misunderstood."""
        commands = self._commands()
        for number, word in enumerate(given):
            if word in commands:
                commands[word].check_options(given[number + 1 :])
                break
            if word[:1] != "-":
                break
            self.check_options([word])
        return self.parse_args(given)

    def check_options(self, given: Sequence[str]) -> None:
        """Exit with an error if a word looks like an option and is none of this command."""
        known = self._option_string_actions
        for word in given:
            name = word.partition("=")[0]
            if word == "--":
                return
            if name[:1] != "-" or name in known or self._is_number(word) or name == "-":
                continue
            if name[:2] != "--" and name[:2] in known:  # -h and more, which argparse knows
                continue
            self.error(f"there is no option {name}{near(name, list(known))}")

    def error(self, message: str) -> NoReturn:
        """Print one line, with the nearest word if one was misspelt, and exit with 2."""
        found = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if found and not message.endswith("?"):  # it has not been said yet
            message += near(found[1], re.findall(r"[\w-]+", found[2]))
        if "required: COMMAND" in message:
            message += f": {', '.join(self._commands())}"
        line = printable(" ".join(message.split()))
        self.exit(2, f"{self.prog}: error: {line} ({self.prog} --help)\n")

    def _commands(self) -> dict[str, Parser]:
        found: dict[str, Parser] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= action.choices
        return found

    @staticmethod
    def _is_number(word: str) -> bool:
        try:
            float(word)
        except ValueError:
            return False
        return True


class Stream:
    """A stream that goes nowhere once its reader has gone away, or its disk is full.

    A training ``goes_on`` then: it is worth more than its lines. What has nothing to do without a
    reader ends at a BrokenPipeError.
    """

    def __init__(self, stream: IO[str], goes_on: bool, lost: list[OSError]) -> None:
        self._stream, self._goes_on, self._lost = stream, goes_on, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text; if that fails, send it and all that follows nowhere."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._to_nowhere(error)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or send it nowhere."""
        try:
            self._stream.flush()
        except OSError as error:
            self._to_nowhere(error)

    def _to_nowhere(self, error: OSError) -> None:
        with contextlib.suppress(OSError, ValueError):  # a stream that is no file of the system
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            if not self._goes_on:
                raise error
        else:
            self._lost.append(error)


@contextlib.contextmanager
def streams(goes_on: bool) -> Iterator[list[OSError]]:
    """Make stdout and stderr safe to print to; yield a list of errors, empty so far.

    Either may be None, a pipe without a reader, a full disk, or unable to write some letters.
    """
    lost: list[OSError] = []
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, sys, "stdout", sys.stdout)
        stack.callback(setattr, sys, "stderr", sys.stderr)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # the process began without it
                stream = stack.enter_context(open(os.devnull, "w"))
            with contextlib.suppress(AttributeError, OSError, ValueError):
                before = stream.errors
                stream.reconfigure(errors="backslashreplace")
                stack.callback(stream.reconfigure, errors=before)
            setattr(sys, name, Stream(stream, goes_on or name == "stderr", lost))
            stack.callback(_flush, getattr(sys, name))
        yield lost


def _flush(stream: Stream) -> None:
    with contextlib.suppress(BrokenPipeError):
        stream.flush()


def near(word: str, known: Sequence[str]) -> str:
    """Return the end of a message that asks whether a known word was meant, or ""."""
    found = get_close_matches(word.lower().replace("_", "-"), known, 1, CLOSE)
    found = found or get_close_matches(word.lower().replace("-", "_"), known, 1, CLOSE)
    return f": did you mean {found[0]}?" if found else ""


def say(line: object) -> None:
    """Print one line to stderr."""
    print(printable(" ".join(str(line).split())), file=sys.stderr)


def printable(text: object) -> str:
    """Return text without letters that a terminal would obey, such as those of a file's name."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


def in_words(error: BaseException) -> str:
    """Return an error and its notes as one line: what went wrong, and with which file."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None:
            text = f"{error.filename}: {text}"
    return "; ".join([in_options(" ".join(text.split())), *getattr(error, "__notes__", ())])


def in_options(text: str) -> str:
    """Return a message of the library with the options in place of arguments."""
    for argument, option in OPTIONS.items():
        text = text.replace(argument, option)
    return re.sub(r"load\(path, layers=\[(.*?)\]\)", _layers_option, text)


def _layers_option(found: re.Match[str]) -> str:
    """Return the options that give a command the classes that `load` was not given."""
    options = (f"--layer MODULE:{name}" for name in found[1].split(", "))
    return f"add {' '.join(options)}, with the module that defines it"
