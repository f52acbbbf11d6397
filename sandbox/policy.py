"""The key release policy: its grammar and its evaluation (version 1.0.0, `equals` only)."""

import json

from sandbox import jose

MAX_DEPTH = 8
MISSING = object()


class BadPolicy(ValueError):
    """The policy does not follow the grammar."""


def decode(release_policy):
    """The policy inside {contentType, data, immutable}; data may be base64url, or base64 as some clients send it."""
    data = release_policy.get("data") if isinstance(release_policy, dict) else None
    if not isinstance(data, str) or not data:
        raise BadPolicy("release_policy.data is missing")
    try:
        policy = json.loads(jose.b64u_decode(data.replace("+", "-").replace("/", "_")))
    except ValueError as error:
        raise BadPolicy(f"release_policy.data is not base64url of JSON: {error}") from None
    check(policy)
    return policy


def check(policy):
    if not isinstance(policy, dict) or set(policy) != {"version", "anyOf"}:
        raise BadPolicy("a policy has exactly the members version and anyOf")
    if policy["version"] not in ("1.0.0", "0.2"):
        raise BadPolicy("the policy's version is not supported")
    if not isinstance(policy["anyOf"], list) or not policy["anyOf"]:
        raise BadPolicy("anyOf is not a list of conditions")
    for environment in policy["anyOf"]:
        if not isinstance(environment, dict) or not isinstance(environment.get("authority"), str):
            raise BadPolicy("an element of the outer anyOf has no authority")
        rest = {name: value for name, value in environment.items() if name != "authority"}
        check_group(rest, 0)


def check_group(group, depth):
    """{"allOf": […]} or {"anyOf": […]}"""
    if depth > MAX_DEPTH:
        raise BadPolicy("the policy is nested too deeply")
    if not isinstance(group, dict) or len(group) != 1 or next(iter(group)) not in ("allOf", "anyOf"):
        raise BadPolicy("a condition has exactly one of allOf and anyOf")
    conditions = next(iter(group.values()))
    if not isinstance(conditions, list) or not conditions:
        raise BadPolicy("allOf and anyOf are lists that are not empty")
    for condition in conditions:
        if not isinstance(condition, dict):
            raise BadPolicy("a condition is no object")
        if "claim" not in condition:
            check_group(condition, depth + 1)
        elif set(condition) != {"claim", "equals"} or not isinstance(condition["claim"], str):
            raise BadPolicy("a claim condition has exactly claim and equals")
        elif not isinstance(condition["equals"], (str, int, float, bool)):
            raise BadPolicy("equals is no string, number or boolean")


def claim(claims, path):
    """A claim by dots; names that hold dots themselves are found too."""
    if path in claims:
        return claims[path]
    for at, letter in enumerate(path):
        inner = claims.get(path[:at]) if letter == "." else None
        if isinstance(inner, dict):
            found = claim(inner, path[at + 1 :])
            if found is not MISSING:
                return found
    return MISSING


def text(value):
    """How a value looks in JSON, strings without quotes: both forms are in public use."""
    return value if isinstance(value, str) else json.dumps(value)


def holds(condition, claims):
    if "claim" in condition:
        value = claim(claims, condition["claim"])
        return isinstance(value, (str, int, float, bool)) and text(value) == text(condition["equals"])
    if "allOf" in condition:
        return all(holds(each, claims) for each in condition["allOf"])
    return any(holds(each, claims) for each in condition["anyOf"])


def allows(policy, claims):
    """Whether the claims of a (verified) token meet the policy."""
    issuer = str(claims.get("iss", "")).rstrip("/")
    return any(
        environment["authority"].rstrip("/") == issuer and holds(environment, claims)
        for environment in policy["anyOf"]
    )
