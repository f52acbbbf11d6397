"""Every manifest below deploy/, member by member, against models that others made: Microsoft's for container groups
(azure-mgmt-containerinstance), the Kubernetes client's for pods and jobs. A name they do not know, or a value of another
type, is an error. And: the jobs in the manifests are jobs, the exit codes are those of docs/operations.md.
"""

import copy
import json
import os
import re
import subprocess
import sys
import unittest

import yaml
from azure.mgmt.containerinstance import models as azure
from kubernetes.client import models as kubernetes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEPLOY = os.path.join(ROOT, "deploy")
ACI = ("exec", "beside", "init-secret", "init-workload")
PODS = ("pod", "job", "virtual-nodes")


def text_of(*path):
    with open(os.path.join(DEPLOY, *path), encoding="utf-8") as file:
        return file.read()


def template(name):
    return json.loads(text_of("aci", f"{name}.json"))


def manifest(name):
    return yaml.safe_load(text_of("kubernetes", f"{name}.yaml"))


def scalar(value, kind, where):
    fits = {"str": isinstance(value, str), "bool": isinstance(value, bool), "object": True,
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, (int, float)) and not isinstance(value, bool)}
    return [] if fits[kind] else [f"{where}: {value!r} is no {kind}"]


def azure_value(value, kind, where):
    if kind.startswith("[") or kind.startswith("{"):
        many, of = (list, value) if kind[0] == "[" else (dict, value.values() if isinstance(value, dict) else ())
        if not isinstance(value, many):
            return [f"{where}: {value!r} is no {many.__name__}"]
        return [wrong for i, part in enumerate(of) for wrong in azure_value(part, kind[1:-1], f"{where}[{i}]")]
    if hasattr(azure, kind):
        return azure_members(value, getattr(azure, kind), where)
    return scalar(value, kind, where)


def azure_members(value, model, where):
    """`properties.image` in the model's map is a member of the member `properties`."""
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    names, inside, wrong = {}, {}, []
    for row in model._attribute_map.values():
        outer, _, rest = row["key"].partition(".")
        (inside.setdefault(outer, {}) if rest else names)[rest or outer] = row["type"]
    for name, part in value.items():
        if name in inside:
            wrong += [f"{where}.{name}.{inner}: no such member" for inner in part if inner not in inside[name]]
            for inner, deep in part.items():
                if inner in inside[name]:
                    wrong += azure_value(deep, inside[name][inner], f"{where}.{name}.{inner}")
        elif name in names:
            wrong += azure_value(part, names[name], f"{where}.{name}")
        else:
            wrong.append(f"{where}.{name}: no such member")
    return wrong


def group_errors(resource):
    own = {name: part for name, part in resource.items() if name != "apiVersion"}
    return azure_members(own, azure.ContainerGroup, "group")


def kubernetes_value(value, kind, where):
    found = re.fullmatch(r"([Ll]ist|[Dd]ict)\[(?:str, ?)?(.+)\]", kind)
    if found:
        many = list if found[1].lower() == "list" else dict
        if not isinstance(value, many):
            return [f"{where}: {value!r} is no {found[1]}"]
        parts = enumerate(value) if many is list else value.items()
        return [wrong for name, part in parts for wrong in kubernetes_value(part, found[2], f"{where}[{name}]")]
    model = getattr(kubernetes, kind, None)
    if model is None:
        return scalar(value, kind, where)
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    names = {name: model.openapi_types[ours] for ours, name in model.attribute_map.items()}
    wrong = [f"{where}.{name}: no such member" for name in value if name not in names]
    return wrong + [each for name, part in value.items() if name in names
                    for each in kubernetes_value(part, names[name], f"{where}.{name}")]


def pod_of(document):
    return document["spec"]["template"]["spec"] if document["kind"] == "Job" else document["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


class ContainerGroups(unittest.TestCase):
    def test_every_member_is_known(self):
        for name in ACI:
            made = template(name)
            self.assertEqual(made["resources"][0]["apiVersion"], "2023-05-01")
            self.assertEqual([], group_errors(made["resources"][0]), name)

    def test_wrong_ones_are_found(self):
        """The check itself: a misspelt member, a wrong type, at each depth."""
        good = template("exec")["resources"][0]
        for path, value in ((("properties", "sku2"), "Confidential"), (("properties", "osType"), 7), (("zone",), "1"),
                            (("properties", "containers", 0, "properties", "imagee"), "x"),
                            (("properties", "containers", 0, "properties", "securityContext", "runAsUser"), "65532"),
                            (("properties", "volumes", 0, "emptydir"), {})):
            bad = copy.deepcopy(good)
            place = bad
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
            self.assertEqual(1, len(group_errors(bad)), path)

    def test_written_by_make(self):
        result = subprocess.run([sys.executable, os.path.join(DEPLOY, "make.py"), "--check"], capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)

    def test_parameters_are_declared_and_used(self):
        for name in ACI:
            made = template(name)
            used = set(re.findall(r"\[parameters\('(\w+)'\)\]", json.dumps(made["resources"])))
            self.assertEqual(set(made["parameters"]), used, name)
            self.assertEqual(used, set(re.findall(r"^param (\w+) string", text_of("aci", f"{name}.bicep"), re.MULTILINE)))

    def test_mounts_have_volumes(self):
        for name in ACI:
            group = template(name)["resources"][0]["properties"]
            volumes = {volume["name"] for volume in group["volumes"]}
            for each in group.get("initContainers", []) + group["containers"]:
                self.assertLessEqual({mount["name"] for mount in each["properties"]["volumeMounts"]}, volumes, name)

    def test_secrets_are_secure(self):
        for name in ACI:
            for parameter, row in template(name)["parameters"].items():
                secret = "secret" in parameter.lower() or "token" in parameter.lower()
                self.assertEqual("securestring" if secret else "string", row["type"], f"{name} {parameter}")

    def test_init_templates_say_what_aci_does_not_give(self):
        for name in ("init-secret", "init-workload"):
            for text in (text_of("aci", f"{name}.bicep"), text_of("aci", f"{name}.json")):
                self.assertIn("ACI gives init containers NO managed identity", text)


class Pods(unittest.TestCase):
    kinds = {"Pod": "V1Pod", "Job": "V1Job"}

    def test_every_member_is_known(self):
        for name in PODS:
            made = manifest(name)
            self.assertEqual([], kubernetes_value(made, self.kinds[made["kind"]], name))

    def test_wrong_ones_are_found(self):
        for path, value in ((("spec", "initContainer"), []), (("spec", "containers", 0, "tty"), "yes"),
                            (("spec", "securityContext", "runAsUser"), "65532"), (("spec", "restartPolicy"), False),
                            (("metadata", "labels", "x"), 1), (("spec", "volumes", 0, "emptyDir", "mediums"), "Memory")):
            bad = manifest("pod")
            place = bad
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
            self.assertEqual(1, len(kubernetes_value(bad, "V1Pod", "pod")), path)

    def test_required_members(self):
        """What the client's models insist on: they raise on a missing name, image or values."""
        for name in PODS:
            for each in containers(pod_of(manifest(name))):
                self.assertTrue(each["name"] and each["image"])

    def test_nobody_is_root(self):
        for name in PODS:
            pod = pod_of(manifest(name))
            self.assertEqual(65532, pod["securityContext"]["runAsUser"])
            for each in containers(pod):
                self.assertEqual(["ALL"], each["securityContext"]["capabilities"]["drop"], name)
                self.assertIs(False, each["securityContext"]["allowPrivilegeEscalation"], name)

    def test_exit_codes_are_those_of_the_table(self):
        with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| ([\d, ]+) \|", file.read(), re.MULTILINE)
        known = {int(code) for row in rows for code in row.split(",") if code.strip()} - {0}
        rules = {rule["action"]: rule for rule in manifest("job")["spec"]["podFailurePolicy"]["rules"]}
        again, never = (set(rules[action]["onExitCodes"]["values"]) for action in ("Count", "FailJob"))
        self.assertEqual({22, 130, 143}, again)
        self.assertEqual(known | {50}, again | never)
        self.assertEqual(set(), again & never)
        for action in ("Count", "FailJob"):
            names = [each["name"] for each in pod_of(manifest("job"))["containers"]]
            self.assertIn(rules[action]["onExitCodes"]["containerName"], names)

    def test_virtual_nodes(self):
        made = manifest("virtual-nodes")
        variables = {row["name"]: row["value"] for row in made["spec"]["initContainers"][0]["env"]}
        self.assertEqual("===VIRTUALNODE2.CC.THIM.ENDPOINT===", variables["THIM_ENDPOINT"])
        self.assertIn("microsoft.containerinstance.virtualnode.ccepolicy", made["metadata"]["annotations"])


class Jobs(unittest.TestCase):
    def test_the_program_takes_each_job(self):
        """Up to the volume, which is not there: exit code 2 would name the member that is wrong."""
        decant = os.environ["DECANT"]
        for name in PODS:
            for each in containers(pod_of(manifest(name))):
                for row in each.get("env", []):
                    if row["name"] != "DECANT_JOB":
                        continue
                    job = json.loads(row["value"])
                    job["volume"]["path"] = "/nonexistent/plain"
                    result = subprocess.run([decant, "run"], env={"DECANT_JOB": json.dumps(job), "JOB_COMPLETION_INDEX": "0"},
                                            capture_output=True, text=True, timeout=60)
                    self.assertIn("/nonexistent/plain", result.stderr, f"{name}: {result.stderr}")


if __name__ == "__main__":
    unittest.main()
