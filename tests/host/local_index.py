"""Indexes an app as the local host does and prints it in the shape of worker_library.py."""

import json
import os
import re
import sys
from pathlib import Path

from infra.local.host.indexing import load_functions
from infra.local.host.settings import HostConfig

root = Path(sys.argv[1]).resolve()
# A text for every %SETTING% that the app's bindings name: what they are set to is not the question here.
named = {name for file in root.rglob("*.py") for name in re.findall(r"%(\w+)%", file.read_text(encoding="utf-8"))}
functions = load_functions(root, HostConfig(), dict.fromkeys(named, "x") | dict(os.environ))
bindings = {
    function.name: sorted(
        str(binding.raw["type"])
        for binding in (*function.inputs, *function.outputs, *([function.returned] if function.returned else []))
        if binding.raw
    )
    for function in functions
}
print(json.dumps(bindings))
