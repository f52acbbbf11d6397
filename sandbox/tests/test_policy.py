"""Grammar and evaluation of release policies."""

import unittest

from common import SandboxTest

from sandbox import jose, policy

CLAIMS = {
    "iss": "https://a.example",
    "s": "x",
    "t": True,
    "f": False,
    "n": 0,
    "o": {"p": {"q": 1}},
    "x.y": "dotted",
    "l": [1],
    "z": None,
}


def one(claim, equals, authority="https://a.example"):
    return {"version": "1.0.0", "anyOf": [{"authority": authority, "allOf": [{"claim": claim, "equals": equals}]}]}


class Evaluation(unittest.TestCase):
    def test_table(self):
        for claim, equals, expected in (
            ("s", "x", True),
            ("s", "y", False),
            ("s", "X", False),
            ("t", True, True),
            ("t", "true", True),
            ("f", "false", True),
            ("f", False, True),
            ("f", True, False),
            ("n", "0", True),
            ("n", 0, True),
            ("n", False, False),
            ("t", 1, False),
            ("o.p.q", 1, True),
            ("o.p.r", 1, False),
            ("o", "x", False),
            ("x.y", "dotted", True),
            ("missing", "x", False),
            ("l", "[1]", False),
            ("z", "null", False),
        ):
            self.assertIs(policy.allows(one(claim, equals), CLAIMS), expected, (claim, equals))

    def test_authority(self):
        self.assertTrue(policy.allows(one("s", "x", "https://a.example/"), CLAIMS))
        self.assertFalse(policy.allows(one("s", "x", "https://b.example"), CLAIMS))

    def test_nesting(self):
        inner = {"anyOf": [{"claim": "s", "equals": "no"}, {"allOf": [{"claim": "n", "equals": 0}]}]}
        rule = {
            "version": "1.0.0",
            "anyOf": [{"authority": "https://a.example", "allOf": [inner, {"claim": "t", "equals": True}]}],
        }
        policy.check(rule)
        self.assertTrue(policy.allows(rule, CLAIMS))
        rule["anyOf"][0]["allOf"][1]["equals"] = False
        self.assertFalse(policy.allows(rule, CLAIMS))


class Grammar(unittest.TestCase):
    def test_refused(self):
        good = one("s", "x")
        policy.check(good)
        environment = good["anyOf"][0]
        for bad in (
            [],
            {},
            {"version": "1.0.0"},
            {**good, "more": 1},
            {**good, "version": "9"},
            {**good, "anyOf": []},
            {**good, "anyOf": [{"allOf": environment["allOf"]}]},
            {**good, "anyOf": [{"authority": "a"}]},
            {**good, "anyOf": [{**environment, "anyOf": environment["allOf"]}]},
            {**good, "anyOf": [{"authority": "a", "allOf": [{"claim": "s", "notEquals": "x"}]}]},
            {**good, "anyOf": [{"authority": "a", "allOf": [{"claim": "s", "equals": None}]}]},
        ):
            with self.assertRaises(policy.BadPolicy, msg=bad):
                policy.check(bad)

    def test_decode(self):
        data = jose.b64u(jose.compact(one("s", "x")))
        self.assertEqual(policy.decode({"data": data}), one("s", "x"))
        for bad in (None, {}, {"data": ""}, {"data": "***"}, {"data": jose.b64u(b"[")}):
            with self.assertRaises(policy.BadPolicy, msg=bad):
                policy.decode(bad)


class Platform(SandboxTest):
    def test_policy_of_the_platform_is_good(self):
        policy.check(self.world.release_policy())


if __name__ == "__main__":
    unittest.main()
