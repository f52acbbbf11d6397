#!/usr/bin/python3
"""Stand-in for az and kubectl: refuses commands and options that azure.json does not know, and prints what pages go on with."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def command_of(words, table):
    """The longest known command at the head of WORDS."""
    for size in range(min(5, len(words)), 0, -1):
        if " ".join(words[:size]) in table:
            return " ".join(words[:size]), words[size:]
    sys.exit(f"no such command is known to azure.json: {' '.join(words[:4])}")


def main():
    with open(os.path.join(HERE, "azure.json"), encoding="utf-8") as file:
        table = json.load(file)
    command, rest = command_of(sys.argv[1:], table)
    for word in rest:
        option = word.split("=")[0]
        if word.startswith("-") and len(word) > 1 and option not in table[command]:
            sys.exit(f"{command} has no option {option}")
        if word.startswith("@") and not os.path.exists(word[1:]):
            sys.exit(f"{command}: no file {word[1:]}")
    for option, value in zip(rest, rest[1:]):
        if option in ("--template-file", "--policy", "-f", "--filename", "-a") and not os.path.exists(value):
            sys.exit(f"{command}: no file {value}")
    print(os.environ.get("AZURE_ANSWER", "00000000-0000-4000-8000-000000000000"))


if __name__ == "__main__":
    main()
