"""The web process serves and reduces without numpy, scipy or rapidfuzz: they cost memory in every process."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import microtasks.web, microtasks.engine.assignment.submit, microtasks.engine.assignment.serve
import microtasks.web.exports.download, microtasks.web.api.read, microtasks.web.owner
from microtasks import tasktypes
from microtasks.core.values import Answer
q = tasktypes.get("question")
c = q.parse_config({"fields": [{"id": "a", "choices": [{"id": "y"}, {"id": "n"}]}]})
q.reduce([Answer("1", "value", {"a": "y"})], c)
t = tasktypes.get("tagging")
t.reduce([Answer("1", "value", {"tags": ["x"]})], t.parse_config({"tags": [{"id": "x"}]}))
m = tasktypes.get("marking")
c = m.parse_config({})
v = m.parse_value({"marks": [{"x": 1.0, "y": 1.0, "r": 5.0}]}, m.Payload(), c)
m.glance([Answer("1", "value", v)], c)
m.score(v, v, c)
print(sorted({"numpy", "scipy", "rapidfuzz", "pandas"} & set(sys.modules)))
"""


def test_the_web_process_never_loads_numpy():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
