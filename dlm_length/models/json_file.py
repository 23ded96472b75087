"""Reading a checkpoint's JSON files, naming the file in every error."""

import json
from pathlib import Path
from typing import Any

from dlm_length.models.errors import CheckpointError


def read_json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises CheckpointError for a file that cannot be read, is not UTF-8 JSON, is nested too deeply or is not an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"checkpoint {file}: cannot be read ({error.strerror}).") from error
    except RecursionError:
        raise CheckpointError(f"checkpoint {file}: not usable JSON (nested too deeply).") from None
    except ValueError as error:
        raise CheckpointError(f"checkpoint {file}: not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint {file}: expected a JSON object, found {_KINDS[type(content)]}.")
    return content


_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}
