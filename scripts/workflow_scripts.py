"""Writes the shell of each `run:` in workflows into files of its own, for shellcheck: FOLDER WORKFLOW…

A script stands on the lines that it has in its workflow, so that what shellcheck says can be looked up there.
"""

import pathlib
import re
import sys

import yaml

EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)


def scripts(node):
    """Every value of a key `run`, with the place where it stands."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from scripts(item)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "run" and isinstance(value, yaml.ScalarNode):
                yield value
            else:
                yield from scripts(value)


def main(folder, workflows):
    for workflow in map(pathlib.Path, workflows):
        for script in scripts(yaml.compose(workflow.read_text())):
            line = script.start_mark.line + (script.style == "|")
            # An expression is replaced before the shell sees the line; what it becomes is one word at best.
            text = EXPRESSION.sub("EXPRESSION", script.value)
            head = "# shellcheck shell=bash"
            path = pathlib.Path(folder) / f"{workflow.name}:{line + 1}"
            path.write_text(head + "\n" * line + text + "\n")


main(sys.argv[1], sys.argv[2:])
