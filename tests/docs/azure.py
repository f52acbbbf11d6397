#!/usr/bin/python3
"""Stand-in for az and kubectl: refuses commands and options that azure.json does not know, and prints what pages go on with.

What a page goes on with is real: access tokens and keys are the sandbox's, the container policy is the one that its chip reports, and
a container group's deployment is a run of decant with the job in its parameters.
"""

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request

NOTHING = "00000000-0000-4000-8000-000000000000"
HERE = os.path.dirname(os.path.abspath(__file__))


def command_of(words, table):
    """The longest known command at the head of WORDS."""
    for size in range(min(5, len(words)), 0, -1):
        if " ".join(words[:size]) in table:
            return " ".join(words[:size]), words[size:]
    sys.exit(f"no such command is known to azure.json: {' '.join(words[:4])}")


def value_of(words, option):
    return words[words.index(option) + 1]


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def access_token(words):
    query = urllib.parse.urlencode({"api-version": "2018-02-01", "resource": value_of(words, "--resource")})
    url = f"{os.environ['AZURE_POD_IDENTITY_AUTHORITY_HOST']}/metadata/identity/oauth2/token?{query}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Metadata": "true"})) as answer:
        return json.load(answer)["access_token"]


def container_policy(_):
    with open(os.path.join(os.environ["UVM_SECURITY_CONTEXT_DIR"], "security-policy-base64"), encoding="ascii") as file:
        return file.read().strip()


def make_key(words):
    """An RSA key of the sandbox: in software, 2048 bits, which nobody sees."""
    wish = {"name": value_of(words, "-n"), "kty": "RSA", "size": 2048, "host": value_of(words, "--vault-name") + ".vault.azure.net",
            "policy": load(value_of(words, "--policy"))}
    with urllib.request.urlopen(f"{os.environ['SANDBOX_CONTROL']}/key", json.dumps(wish).encode()) as answer:
        return json.dumps({"key": {"kid": json.load(answer)["kid"]}})


def deploy(words):
    job = load(value_of(words, "--parameters"))["parameters"]["job"]["value"]
    subprocess.run(["decant", "run"], env={**os.environ, "DECANT_JOB": job}, check=True)
    return NOTHING


ANSWERS = {"az account get-access-token": access_token, "az confcom acipolicygen": container_policy,
           "az keyvault key create": make_key, "az deployment group create": deploy}


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
        if option in ("--template-file", "--policy", "-f", "--filename", "-a", "-p", "--virtual-node-yaml") and not os.path.exists(value):
            sys.exit(f"{command}: no file {value}")
    print(ANSWERS.get(command, lambda _: NOTHING)(rest))


if __name__ == "__main__":
    main()
