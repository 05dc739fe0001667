"""The JSON schema of ``x-netlab``, for editors: made from the shapes that check it.

::

    python -m netlab.scenario.schema > docs/x-netlab.schema.json
"""

from __future__ import annotations

import json

from netlab.model.scenario import JsonValue
from netlab.scenario.netlab_shapes import NETLAB


def json_schema() -> dict[str, JsonValue]:
    """A schema of a whole Compose file that says everything of ``x-netlab`` and nothing of the rest."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netlab scenario",
        "description": "A Compose file whose x-netlab block says what Compose cannot.",
        "type": "object",
        "properties": {"x-netlab": NETLAB.schema()},
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
