#!/usr/bin/env python3
"""docs/job.schema.json against the program: schema_check.py DECANT

The program is asked, not its source read: its refusals list the members, choices and ranges it takes, and these must be
the schema's. Then jobs, right and wrong, must get the same verdict from both. Standard library only, so the part of JSON
Schema that the file uses is evaluated here; a keyword that is not known here is an error.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOTES = {"$schema", "$comment", "$defs", "title", "description", "default", "examples"}
SHA = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
BLOB, PREFIX = "https://s.example/cont/b", "https://s.example/cont/p/"
KID = "https://v.example/keys/k"
FILE_KEYS = [{"kid": "a", "file": "f"}, {"kid": "b", "file": "g"}]

with open(os.path.join(ROOT, "docs", "job.schema.json"), encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)


# ---- JSON Schema, as far as it is used ----

def is_type(value, name):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"object": isinstance(value, dict), "array": isinstance(value, list), "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": number and value == int(value)}[name]


def resolve(schema):
    while "$ref" in schema:
        schema = {**SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")],
                  **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def objects(value, schema):
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return (all(name in value for name in schema.get("required", [])) and
            all(valid(value[name], part) for name, part in known.items() if name in value) and
            (schema.get("additionalProperties", True) or set(value) <= set(known)))


def arrays(value, schema):
    if not isinstance(value, list):
        return True
    return (len(value) >= schema.get("minItems", 0) and len(value) <= schema.get("maxItems", len(value)) and
            all(valid(each, schema.get("items", {})) for each in value) and
            ("contains" not in schema or any(valid(each, schema["contains"]) for each in value)))


def scalars(value, schema):
    if isinstance(value, str):
        return (len(value) >= schema.get("minLength", 0) and len(value) <= schema.get("maxLength", len(value)) and
                re.search(schema.get("pattern", ""), value.replace("\n", "\0")) is not None)
    if is_type(value, "integer"):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def combined(value, schema):
    branch = schema.get("then", {}) if "if" in schema and valid(value, schema["if"]) else schema.get("else", {})
    return (all(valid(value, part) for part in schema.get("allOf", [])) and
            ("anyOf" not in schema or any(valid(value, part) for part in schema["anyOf"])) and
            ("not" not in schema or not valid(value, schema["not"])) and
            ("if" not in schema or valid(value, branch)))


USED = {"type", "enum", "const", "$ref", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
        "contains", "minLength", "maxLength", "pattern", "minimum", "maximum", "allOf", "anyOf", "not", "if", "then", "else"}


def valid(value, schema):
    if "$ref" in schema and not valid(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]):
        return False
    unknown = set(schema) - USED - NOTES
    assert not unknown, f"this script does not know the keywords {unknown}"
    return (("type" not in schema or is_type(value, schema["type"])) and
            ("enum" not in schema or value in schema["enum"]) and
            ("const" not in schema or value == schema["const"]) and
            objects(value, schema) and arrays(value, schema) and scalars(value, schema) and combined(value, schema))


# ---- The program ----

class Program:
    """Answers with its refusal of a job ("PATH: …"), or None if the job's text passes."""

    def __init__(self, path):
        self.path, self.asked = path, 0

    def refusal(self, job):
        self.asked += 1
        result = subprocess.run([self.path, "run", "-c", "-", "--dry-run", "--log-format", "text"], input=json.dumps(job),
                                capture_output=True, text=True, timeout=60, check=False, env={"PATH": "/usr/bin:/bin"})
        assert result.returncode not in (0, 1), f"exit {result.returncode}: {result.stderr}"
        last = result.stderr.strip().splitlines()[-1]
        _, mark, text = last.partition("decant run: standard input: ")
        return text if mark else None


# ---- Every member by itself ----

def base():
    """A job that both take; its volume does not exist, so the program goes no further than that."""
    return {"attestation": {"provider": "https://p.example"}, "identity": {}, "keys": [{"kid": KID}],
            "inputs": [{"from": PREFIX, "manifest": {"from": BLOB, "sha256": SHA}}],
            "outputs": [{"from": "r", "to": PREFIX, "key": KID}], "volume": {"path": "/nonexistent/volume"},
            "network": {}, "limits": {}}


def members(schema, path=()):
    """Each object of the schema, with the way there."""
    schema = resolve(schema)
    if "properties" in schema:
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from members(part, (*path, name))
    if "items" in schema:
        yield from members(schema["items"], (*path, 0))


def place(job, path):
    for step in path:
        job = job[step]
    return job


def changed(path, name, value):
    job = base()
    place(job, path)[name] = value
    return job


def spoken(path):
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def check_names(program, path, schema):
    answer = program.refusal(changed(path, "no-such-member", 1)) or ""
    listed = re.search(r": unknown member; expected one of: (.*?)\. ", answer)
    assert listed, f"{spoken(path)}: {answer}"
    assert set(listed[1].split(", ")) == set(schema["properties"]), f"{spoken(path)}: the program knows {listed[1]}"
    assert schema["additionalProperties"] is False, spoken(path)
    for name in place(base(), path):
        job = base()
        del place(job, path)[name]
        missing = f"{spoken((*path, name))}: missing." in (program.refusal(job) or "")
        assert missing == (name in schema.get("required", [])), f"{spoken((*path, name))}: required, or not"
    assert set(schema.get("required", [])) <= set(place(base(), path)), f"{spoken(path)}: the base lacks a required member"


def check_member(program, path, name, schema):
    where = spoken((*path, name))
    schema = resolve(schema)
    wrong = "1" if schema.get("type") == "integer" else 1
    answer = program.refusal(changed(path, name, wrong)) or ""
    assert answer.startswith(f"{where}: expected "), f"{where}: {answer}"
    choices = re.search(r"expected one of: (.*?)\. ", answer)
    assert set(re.findall(r'"(.*?)"', choices[1]) if choices else []) == set(schema.get("enum", [])), f"{where}: {answer}"
    span = re.search(r"a whole number from (\d+) to (\d+)", answer)
    assert (tuple(map(int, span.groups())) if span else (None, None)) == (schema.get("minimum"), schema.get("maximum")), where
    if schema.get("type") in ("object", "array"):
        assert f"expected {'an object' if schema['type'] == 'object' else 'a list'}" in answer, f"{where}: {answer}"
    assert not valid(changed(path, name, wrong), SCHEMA), f"{where}: the schema takes a wrong type"


# ---- Both verdicts ----

def jobs():
    """Jobs, most of them the base with one part exchanged."""
    def with_(**parts):
        return {name: value for name, value in {**base(), **parts}.items() if value is not None}

    def item(of, **parts):
        return with_(inputs=[{"from": of, **parts}])

    pinned = {"from": BLOB, "sha256": SHA}
    yield from (base(), *SCHEMA["examples"], {}, [], {"volume": {"path": "v"}}, with_(volume=None))
    for value in ("", "440", "0440", "777", "0777", "1777", "0448", "44", "00440", " 440", "u=r"):
        yield with_(volume={"path": "v", "mode": value})
    for value in ("", "x" * 8192, "x" * 8193):
        yield with_(volume={"path": value})
    for value in (-1, 0, 1.5, 16, 256, 257, 1 << 20, 4294967294, 4294967295, 1 << 40, (1 << 40) + 1, "1", None, True):
        yield from (with_(limits={name: value}) for name in SCHEMA["properties"]["limits"]["properties"])
        yield from (with_(volume={"path": "v", name: value}) for name in ("uid", "gid"))
        yield item(BLOB, size=value)
    for url in ("", "x", "https://h", "https://h/", "http://h/", "https://u@h/", "https://h/#f", "ftp://h/", "http://localhost",
                "http://LOCALHOST:80/", "http://127.0.0.1", "http://127.8.9.1:8080/x?y", "http://169.254.1.1/", "http://[::1]:1/x",
                "http://[fe80::1]", "http://10.0.0.1/", "http://localhost.example/", "http://127.0.0.1.example/", "http://[::2]/"):
        yield with_(attestation={"provider": url})
        yield with_(attestation={"provider": "https://p.example", "certificates": url})
        yield with_(attestation={"provider": "https://p.example", "sidecar": url})
        yield from (with_(network={"proxy": url}), with_(keys=[{"kid": url}]), with_(keys=[{"kid": url or "k", "file": "f"}]))
        yield from (item(url or "x"), item(PREFIX, manifest={"from": url, "sha256": SHA}))
        yield with_(outputs=[{"from": "r", "to": url, "key": KID}])
        yield from (with_(outputs=[{"from": "r", "to": PREFIX, "key": url, **more}])
                    for more in ({}, {"key_file": "f"}, {"key_inline": "{}"}, {"key_file": "f", "key_inline": "{}"}))
    for digest in (SHA, SHA.upper(), SHA[1:], SHA + "0", "g" + SHA[1:], ""):
        yield from (item(BLOB, sha256=digest), item(PREFIX, manifest={"from": BLOB, "sha256": digest}))
    for of in (BLOB, PREFIX, BLOB + "?sr=/", PREFIX + "?sr=c", "https://s.example", "https://s.example/"):
        yield from (item(of), item(of, match="*"), item(of, manifest=pinned), item(of, sha256=SHA), item(of, size=1),
                    item(of, sas_env="S"), item(of, sas_file="S"), item(of, sas_env="S", sas_file="S"))
    for form in (*SCHEMA["$defs"]["input"]["properties"]["format"]["enum"], "CSE"):
        for keys in (None, [], [{"kid": KID}], FILE_KEYS):
            yield from (with_(inputs=[{"from": BLOB, "format": form}], keys=keys),
                        with_(inputs=[{"from": BLOB, "format": form, "key": "a"}], keys=keys))
    for place_ in ({"sas_env": "S"}, {"sas_file": "S"}, {"sas_env": "S", "sas_file": "S"}):
        yield with_(outputs=[{"from": "r", "to": PREFIX, "key": KID, **place_}])
    for name in ("overwrite", "receipt", "manifest", "compress"):
        for value in (True, False, None, 0, 1, "", "x", "gzip", {}, []):
            yield with_(outputs=[{"from": "r", "to": PREFIX, "key": KID, name: value}])
    for evidence in (None, {}, {"provider": "https://p.example"}):
        yield with_(attestation=evidence, keys=FILE_KEYS, outputs=[{"from": "r", "to": PREFIX, "key": KID, "receipt": True}])
    for kind in (*SCHEMA["properties"]["identity"]["properties"]["type"]["enum"], None):
        for names in ([], ["vault_token_env"], ["vault_token_file"], ["storage_token_env"], ["storage_token_file"],
                      ["vault_token_env", "vault_token_file"], ["storage_token_env", "storage_token_file"],
                      ["vault_token_env", "storage_token_file"]):
            yield with_(identity={**({"type": kind} if kind else {}), **{name: "x" for name in names}})
    for evidence in (None, {}, {"provider": "https://p.example"}, {"sidecar": "http://[::1]"},
                     {"provider": "https://p.example", "evidence": "sidecar"},
                     {"provider": "https://p.example", "evidence": "sidecar", "sidecar": "http://[::1]"}):
        for keys in ([{"kid": KID}], [{"kid": KID, "source": "vault"}], [{"kid": KID, "source": "sidecar"}], FILE_KEYS,
                     [*FILE_KEYS, {"kid": KID}], [{"kid": "a", "file": "f", "source": "vault"}],
                     [{"kid": "a", "file": "f", "source": "sidecar"}], [{"kid": KID, "aliases": ["x"]}],
                     [{"kid": KID, "aliases": [""]}]):
            yield with_(attestation=evidence, keys=keys)


def check_samples(program):
    """The samples are good jobs."""
    for path in sorted(pathlib.Path(__file__).parent.parent.glob("samples/jobs/*.json")):
        job = json.loads(path.read_text(encoding="utf-8"))
        assert valid(job, SCHEMA), f"{path.name}: the schema refuses it"
        refusal = program.refusal(job)
        assert refusal is None, f"{path.name}: {refusal}"


def main():
    program = Program(os.path.abspath(sys.argv[1]))
    assert program.refusal(base()) is None and valid(base(), SCHEMA), "the base is not good"
    for path, schema in members(SCHEMA):
        check_names(program, path, schema)
        for name, part in schema["properties"].items():
            check_member(program, path, name, part)
    check_samples(program)
    good = bad = 0
    for job in jobs():
        answer = program.refusal(job)
        if valid(job, SCHEMA) != (answer is None):
            sys.exit(f"the schema {'takes' if answer else 'refuses'} what the program "
                     f"{'refuses: ' + answer if answer else 'takes'}\n{json.dumps(job)}")
        good, bad = good + (answer is None), bad + (answer is not None)
    print(f"the schema and the program agree: {good} good and {bad} bad jobs, {program.asked} questions in all")


main()
