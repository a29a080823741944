"""What a command line that typer refuses was meant to be: told as a line that can be typed."""

import difflib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kdcli.cli.other_names import ARGUMENTS, COMMANDS, IN_GROUPS, OPTIONS, SAID
from kdcli.core.errors import UsageError
from kdcli.core.other_names import called, nearly_called, spelling


def meant(error: Any, given: Sequence[str]) -> UsageError:
    """typer's refusal of `given`, with the line that was meant; of what nobody can tell, the help.

    `error` is click's UsageError, of whichever package; nothing but its name, message and context
    is looked at, so that a wording that changes costs no more than the better line.
    """
    context = getattr(error, "ctx", None)
    help_line = f"{getattr(context, 'command_path', 'kd')} --help"
    what = error.format_message().replace(" Value error, ", " ")  # pydantic's
    if context is None:
        return UsageError(what, help_line)
    fixes: list[str] = []
    if type(error).__name__ == "NoSuchOption":
        what = f"no such option: {error.option_name}"
        fixes = list(_for_option(context, error.option_name, list(given)))
    elif what.startswith("Got unexpected extra argument"):
        fixes = list(_for_arguments(context, list(given)))
    elif what.startswith("No such command"):
        what, fixes = what.split(". Did")[0].rstrip("."), list(_for_command(context, list(given)))
    return UsageError(what, "\n".join(fixes[:1] or [help_line]))


# An option --------------------------------------------------------------------------------------


def _for_option(context: Any, option: str, given: list[str]) -> Iterator[str]:
    at = next((i for i, w in enumerate(given) if _is(w, option)), None)
    if at is None:
        return
    if hasattr(context.command, "commands"):
        yield from _behind(context, given)
        return
    mended, depth = given, len(context.command_path.split()) - 1
    while at is not None:  # `-t resnet18 -s mobilenetv3`: all of them at once
        found = next(_replaced(context.command, mended, at, depth), None)
        if found is None:
            break
        mended = found
        at = next((i for i, w in enumerate(mended) if _unknown(context.command, mended, i)), None)
    if mended != given:
        yield _line(*mended)
    word = given[at or 0].partition("=")[0] if mended == given else option
    if (plain := spelling(word)) in SAID:
        yield SAID[plain]
    others = _commands(context.find_root().command)
    if whose := [f"kd {path}" for path, one in others.items() if word in _options(one)]:
        yield f"{word} is an option of {', '.join(whose)}"


def _replaced(command: Any, given: list[str], at: int, depth: int) -> Iterator[list[str]]:
    """The words with the option at this place replaced by what it may have been meant to be.

    `depth`: so many of them name the command.
    """
    word, equals, value = given[at].partition("=")
    plain = spelling(word)
    values = [value] if equals else [w for w in given[at + 1 : at + 2] if _is_value(w)]
    before, rest = given[:at], given[at + 1 + (len(values) and not equals) :]
    own = _options(command)
    near = difflib.get_close_matches(plain, map(spelling, own), n=1, cutoff=0.75)
    also = called(plain, OPTIONS) if word != "--T" and word != "-T" else ()  # the temperature
    for name in [*also, *(o for o in own if spelling(o) in (plain, *near))]:
        if name in own and own[name].is_flag:
            yield [*before, name, *values, *rest]
        elif name in own:
            told = _device(plain, values) if name == "--device" else values
            yield [*before, name, *told, *rest]
    loose = len(_loose(given, own)) - depth
    free = [one.name for i, one in enumerate(_arguments(command)) if i >= loose or one.nargs < 0]
    for argument in free:
        if plain in (argument, *ARGUMENTS.get(argument, ())) and values:
            yield [*before, *values, *rest]
    if "--set" in own:
        for setting in _settings(plain, values, given):
            yield [*before, "--set", setting, *rest]


def _unknown(command: Any, words: list[str], at: int) -> bool:
    """Whether an option stands there that the command has not."""
    own = _options(command)
    before = own.get(words[at - 1]) if at else None
    is_value = before is not None and not before.is_flag
    return words[at].startswith("-") and words[at].partition("=")[0] not in own and not is_value


def _behind(context: Any, given: list[str]) -> Iterator[str]:
    """Flags come behind their command: `kd --data photos distill`."""
    commands = _commands(context.find_root().command)
    for path, command in commands.items():
        words = path.split()
        for i in range(1, len(given) - len(words) + 1):
            before = _options(command).get(given[i - 1])
            if given[i : i + len(words)] == words and (before is None or before.is_flag):
                yield _line(*words, *given[i + len(words) :], *given[:i])
    if spelling(given[0]) in ("v", "version"):
        yield "kd --version"
    asked = {word.partition("=")[0] for word in given if word.startswith("--")}
    for path, command in commands.items():
        if asked and asked <= set(_options(command)):
            yield _line(*path.split(), *given)


def _device(word: str, values: list[str]) -> list[str]:
    """`--gpu 1` is cuda:1."""
    if word in ("cpu", "no_cuda", "mps"):
        return [word.removeprefix("no_").replace("cuda", "cpu")]
    number = values[0] if values and values[0].isdecimal() else "0"
    return ["cuda" if number == "0" else f"cuda:{number}"]


def _settings(word: str, values: list[str], given: list[str]) -> Iterator[str]:
    """`train.lr=0.1`, of `--lr 0.1`."""
    from kdcli.recipe.load import recipe_keys
    from kdcli.recipe.other_names import likely

    off = word.startswith("no_")
    asked = [given[i + 1] for i, w in enumerate(given[:-1]) if w == "--recipe"]
    for key in likely(word.removeprefix("no_"), recipe_keys(*asked[-1:])):
        if "." in key and " " not in key:
            yield f"{key}={values[0] if values else _flag(key, not off)}"


def _flag(key: str, on: bool) -> str:
    from kdcli.recipe.places import field_at

    field = field_at(key)
    return str(on).lower() if field and "bool" in str(field.annotation) else "..."


# Arguments --------------------------------------------------------------------------------------


def _for_arguments(context: Any, given: list[str]) -> Iterator[str]:
    own = _options(context.command)
    for i, word in enumerate(given[:-2]):  # `--set train.epochs 3`
        key, value = given[i + 1], [w for w in given[i + 2 :] if w != "="][:1]
        if word == "--set" and "=" not in key and value and not value[0].startswith("-"):
            behind = i + 2 + given[i + 2 :].index(value[0]) + 1
            yield _line(*given[: i + 1], f"{key}={value[0]}", *given[behind:])
    path = context.command_path.split()[1:]
    loose = _loose(given[len(path) :], own)
    allowed = len(_arguments(context.command))
    extra = loose[allowed:]
    kept = given[len(path) :]
    for word in extra:
        kept.remove(word)
    free = [o for o in ("--teacher", "--student") if o in own and o not in given]
    added: list[str] = []
    for word in extra:
        data = "--data" in own and "--data" not in (*given, *added)
        if data and (_is_data(word) or ("--recipe" in own and not free)):
            added += ["--data", word]
        elif free:
            added += [free.pop(0), word]
    if extra and len(added) == 2 * len(extra):
        yield _line(*path, *kept[:allowed], *added, *kept[allowed:])
    elif extra and allowed == 1:
        yield "one at a time: " + _line(*path, *kept)


def _loose(words: Sequence[str], own: dict[str, Any]) -> list[str]:
    """Those that belong to no option; what stands behind an unknown one is taken for its value."""
    found, skip = [], False
    for word in words:
        is_option = word.startswith("-") and not skip
        if not skip and not is_option:
            found.append(word)
        skip = is_option and "=" not in word and not (word in own and own[word].is_flag)
    return found


def _is_data(word: str) -> bool:
    return word == "digits" or word.startswith(("torch/", "hfds/")) or Path(word).exists()


# Commands ---------------------------------------------------------------------------------------


def _for_command(context: Any, given: list[str]) -> Iterator[str]:
    path = context.command_path.split()[1:]
    word, rest = given[len(path)], given[len(path) + 1 :]
    commands = _commands(context.find_root().command)
    if word == "kd" and rest:  # typed twice
        yield _line(*rest)
    elif not path:
        inside = [p for p in commands if p.split()[1:] == [word]]  # `kd models`
        near = difflib.get_close_matches(word, context.command.commands, n=1, cutoff=0.7)
        for name in [*inside, *called(word, COMMANDS), *near, *nearly_called(word, COMMANDS)]:
            if name.startswith("--"):  # `kd help train`
                yield _line(*(w for w in rest[:2] if not w.startswith("-")), name)
            yield _line(*name.split(), *rest)
    else:
        near = difflib.get_close_matches(word, context.command.commands, n=1, cutoff=0.6)
        if word in ("data", "dataset", "datasets"):
            yield "--data takes a folder, a table, torch/NAME or hfds/NAME; kd doctor looks at it"
        for name in called("_".join((*path, word)), IN_GROUPS):
            yield _line(*name.split(), *rest)
        for name in near:
            yield _line(*path, name, *rest)


# What typer knows -------------------------------------------------------------------------------


def _commands(root: Any) -> dict[str, Any]:
    """`train`, `list models`, ...: the command."""
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in inner.items()} if inner else {name: command}
    return found


def _options(command: Any) -> dict[str, Any]:
    """By every spelling."""
    params = [one for one in command.params if one.param_type_name == "option"]
    return {name: one for one in params for name in one.opts} | {"--help": _HELP}


class _HELP:
    is_flag = True


def _arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument"]


def _is(word: str, option: str) -> bool:
    """`-lr` is refused as `-l`."""
    short = not option.startswith("--")
    name = word.partition("=")[0]
    return name == option or (short and word.startswith(option) and not word.startswith("--"))


def _is_value(word: str) -> bool:
    return not word.startswith("-") or word[1:2].isdecimal()


def _line(*words: str) -> str:
    return shlex.join(["kd", *words])
