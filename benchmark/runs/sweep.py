"""A small sweep: a setting that is given several values, separated by commas, is several runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from pydantic import ValidationError

from benchmark.method import Method
from benchmark.registries import find_method
from benchmark.utils.errors import UserError


def grid(method: str | type[Method], settings: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the settings of each run: every combination of the values of those that were given several.

    What a comma means is decided by the setting: if it takes the whole text as one value (a text, a list), it is one;
    otherwise the text is several values.

    Args:
        method: Name of a method, `path/to/file.py:Class`, or the class itself.
        settings: Texts by setting, as `--set` takes them.

    Raises:
        UserError: There is no such method, or a value between two commas is empty.
    """
    if not any("," in text for text in settings.values()):
        return [dict(settings)]
    found = find_method(method) if isinstance(method, str) else method
    values = {key: [text] if _is_one(found, key, text) else _split(key, text) for key, text in settings.items()}
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def _is_one(method: type[Method], key: str, text: str) -> bool:
    if "," not in text or key not in method.Settings.model_fields:
        return True  # an unknown setting is refused by its name, once
    try:
        method.Settings.model_validate({key: text})
    except ValidationError as error:
        return not any(fault["loc"][:1] == (key,) for fault in error.errors())
    except UserError:
        pass  # the value was read; the whole is judged where the run is planned
    return True


def _split(key: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(",")]
    if not all(values):
        raise UserError(f"--set {key}={text}: a value between the commas is missing")
    return list(dict.fromkeys(values))
