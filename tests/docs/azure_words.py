#!/usr/bin/python3
"""Writes azure.json: the options that Azure's command line knows for each command that the documentation uses.

usage: azure_words.py AZ > azure.json      AZ: the program of the package azure-cli, such as venv/bin/az

What the confcom extension knows is added by hand (its page in Microsoft's documentation), and so is kubectl: neither is in a
package that this project's tests can install.
"""

import json
import re
import subprocess
import sys

import blocks

BY_HAND = {
    "az confcom acipolicygen": ["--template-file", "-a", "--parameters", "-p", "--print-policy", "--outraw", "--outraw-pretty-print", "--disable-stdio",
                                "--debug-mode", "--approve-wildcards", "-y", "--tar", "--input", "-i", "--save-to-file", "-s",
                                "--virtual-node-yaml", "--diff", "-d", "--infrastructure-svn", "--exclude-default-fragments"],
    "az extension add": ["--name", "-n", "--upgrade", "-U"],
    "kubectl annotate": ["-n", "--namespace", "--overwrite"],
    "kubectl apply": ["-f", "--filename", "-n", "--namespace"],
    "kubectl create": ["-f", "--filename", "-n", "--namespace", "--from-file", "--from-literal"],
    "kubectl delete": ["-f", "--filename", "-n", "--namespace"],
    "kubectl get": ["-o", "--output", "-n", "--namespace", "-w", "--watch", "-l"],
    "kubectl logs": ["-c", "--container", "-f", "--follow", "-n", "--namespace", "-l", "--tail"],
    "kubectl wait": ["--for", "--timeout", "-n", "--namespace"],
    "kubectl describe": ["-n", "--namespace"],
}


def used():
    """The az commands in all pages and in the scripts of deploy/."""
    words = set()
    texts = [command.text for page in blocks.pages() for command in blocks.commands(page)]
    texts += [open(path, encoding="utf-8").read() for path in sys.argv[2:]]
    for text in texts:
        for match in re.finditer(r"(?m)(?:^|[\s(`])az((?: [a-z][a-z-]*)+)", text.replace("\\\n", " ")):
            words.add("az" + match[1])
    return words


def options_of(az, command):
    """What `COMMAND --help` lists; a trailing word may be an argument, then the command is shorter."""
    words = command.split()[1:]
    while words:  # from elsewhere: az is a Python module, and azure.py lies here
        done = subprocess.run([az, *words, "--help"], cwd="/", capture_output=True, text=True, check=False)
        if done.returncode == 0 and "\nArguments" in done.stdout:
            return "az " + " ".join(words), sorted(set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)(?=[ :\]])",
                    "\n".join(line.split(" : ")[0].split("  :")[0] + " " for line in done.stdout.split("\n")
                              if re.match(r"\s+-", line)))))
        words.pop()
    return command, None


def main():
    table = dict(BY_HAND)
    for command in sorted(used()):
        if any(command.startswith(known) for known in BY_HAND):
            continue
        name, options = options_of(sys.argv[1], command)
        if options is None:
            sys.exit(f"azure-cli does not know: {command}")
        table[name] = options
    print("{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(table[name])}" for name in sorted(table)) + "\n}")


if __name__ == "__main__":
    main()
