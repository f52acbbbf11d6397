"""The patterns below deploy/ run for real: the container groups' commands, variables, mounts and users as their templates
say, under podman run; the Kubernetes pod under podman kube play; the cloud is the sandbox. DECANT_IMAGE: decant's image.

What the sandbox cannot be asked through a file is the device: the evidence comes from its stand-in for the SKR sidecar.
"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from demo import control, make_key, start_sandbox  # noqa: E402

IMAGE = os.environ["DECANT_IMAGE"]
WORKLOAD = "localhost/decant-workload:test"
REFUSED_KEY = 14  # a blob names a key that the job does not list
LARGE = 40 << 20
START = """#!/bin/busybox sh
say() { /bin/busybox echo "$@"; }
say "uid $(/bin/busybox id -u)"
say "capabilities $(/bin/busybox awk '/^CapEff/ { print $2 }' /proc/self/status)"
say "kind $(/bin/busybox awk '$2 == "/mnt/plain" { print $3 }' /proc/mounts)"
/bin/busybox touch /probe 2>/dev/null && say "root writable" || say "root read-only"
/bin/busybox touch /mnt/plain/probe 2>/dev/null && say "volume writable" || say "volume read-only"
say "job ${DECANT_JOB-withheld}"
cd /mnt/plain/train && /bin/busybox find . -type f -exec /bin/busybox sha256sum {} +
exit ${WORKLOAD_EXIT-0}
"""


def command(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, **options)


def must(*words, **options):
    result = command(*words, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def make_workload(folder):
    """decant, a shell, and a program that says what it sees."""
    (folder / "app").mkdir()
    (folder / "app/start").write_text(START)
    (folder / "app/start").chmod(0o755)
    shutil.copy("/bin/busybox", folder / "busybox")
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY busybox /bin/busybox\nCOPY app /app\nENTRYPOINT [\"/app/start\"]\n")
    must("buildah", "bud", "--isolation", "chroot", "--pull-never", "--tag", WORKLOAD, folder)


class Group:
    """A container group as its template says, under podman. The emptyDir is a tmpfs that the containers share."""

    def __init__(self, name, folder, world, parameters, *, memory="512m"):
        text = (ROOT / "deploy/aci" / f"{name}.json").read_text()
        for parameter, value in parameters.items():
            text = text.replace(f"[parameters('{parameter}')]", value)
        self.group = json.loads(text)["resources"][0]["properties"]
        self.folder, self.world, self.memory = folder, world, memory
        self.started, self.results, self.volumes = [], {}, {}

    def __enter__(self):
        for volume in self.group["volumes"]:
            path = self.folder / volume["name"]
            path.mkdir()
            if "emptyDir" in volume:
                must("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", path)
            for name, content in volume.get("secret", {}).items():
                (path / name).write_bytes(base64.b64decode(content))
            self.volumes[volume["name"]] = path
        return self

    def __exit__(self, *_):
        for volume in self.group["volumes"]:
            if "emptyDir" in volume:
                must("umount", "-l", self.folder / volume["name"])

    def words(self, each, extra):
        made = each["properties"]
        context = made["securityContext"]
        assert context["capabilities"]["drop"] == ["ALL"] and not context["privileged"]
        words = ["podman", "run", "--rm", "--network", "host", "--read-only", "--cap-drop", "all", "--memory", self.memory,
                 "--security-opt", "no-new-privileges", "--user", f"{context['runAsUser']}:{context['runAsGroup']}",
                 "-v", f"{self.world['ca_file']}:/run/ca.pem:ro"]
        for mount in made["volumeMounts"]:
            words += ["-v", f"{self.volumes[mount['name']]}:{mount['mountPath']}{':ro' if mount['readOnly'] else ''}"]
        for row in made["environmentVariables"]:
            words += ["-e", f"{row['name']}={row.get('value', row.get('secureValue'))}"]
        for name, value in extra.items():
            words += ["-e", f"{name}={value}"]
        return [*words, "--entrypoint", made["command"][0], made["image"], *made["command"][1:]]

    def run(self, **extra):
        """As ACI does it: init containers one after another, each must exit 0; then all others at once."""
        for each in self.group.get("initContainers", []):
            self.started.append(each["name"])
            self.results[each["name"]] = command(*self.words(each, extra))
            if self.results[each["name"]].returncode != 0:
                return self
        running = {}
        for each in reversed(self.group["containers"]):  # the workload first: it must be able to wait
            self.started.append(each["name"])
            running[each["name"]] = subprocess.Popen(self.words(each, extra), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name, process in running.items():
            out, err = process.communicate(timeout=120)
            self.results[name] = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        return self


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="decant-pods-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.work.chmod(0o755)
        sandbox, cls.world = start_sandbox(cls.work / "sandbox")
        cls.addClassCleanup(sandbox.wait)
        cls.addClassCleanup(sandbox.terminate)
        cls.key = make_key(cls.world, cls.work)
        shutil.copy(cls.world["ca_file"], cls.work / "ca.pem")
        (cls.work / "ca.pem").chmod(0o444)
        cls.world["ca_file"] = str(cls.work / "ca.pem")
        (cls.work / "large").mkdir()
        (cls.work / "large/data.bin").write_bytes(os.urandom(LARGE))
        cls.upload("data", ROOT / "samples/dataset")
        cls.upload("large", cls.work / "large")
        (cls.work / "context").mkdir()
        make_workload(cls.work / "context")

    @classmethod
    def upload(cls, container, folder):
        control(cls.world, "container", name=container)
        sas = control(cls.world, "sas", container=container, permissions="rwl")["sas"]
        must(sys.executable, ROOT / "sandbox/owner.py", "upload", "--url", f"{cls.world['storage']}/{container}", "--sas", sas,
             "--kek-pem", cls.work / "kek.pem", "--kid", cls.key["kid"], folder, "train/")

    def job(self, identity="managed", *, container="data", kid=None):
        return {"attestation": {"provider": self.world["attestation"], "evidence": "sidecar", "sidecar": self.world["sidecar"]},
                "identity": {"type": identity}, "keys": [{"kid": kid or self.key["versionless"]}],
                "inputs": [{"from": f"{self.world['storage']}/{container}/train/", "to": "train"}],
                "volume": {"path": "/mnt/plain", "require": "tmpfs"}, "network": {"ca_file": "/run/ca.pem"},
                "limits": {"memory_mib": 32}}

    def group(self, name, job, *, memory="512m", **more):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        folder.chmod(0o755)
        parameters = {"image": WORKLOAD, "decantImage": IMAGE, "job": base64.b64encode(json.dumps(job).encode()).decode(), **more}
        return Group(name, folder, self.world, parameters, memory=memory)

    def managed(self):
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.world["identity"]}

    def assert_poured(self, output, *, volume, kind="tmpfs"):
        lines = output.splitlines()
        for line in ("uid 65532", "capabilities 0000000000000000", f"kind {kind}", "root read-only", f"volume {volume}"):
            self.assertIn(line, lines, output)
        for path in (ROOT / "samples/dataset").rglob("*"):
            if path.is_file():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                self.assertIn(f"{digest}  ./{path.relative_to(ROOT / 'samples/dataset')}", lines, output)


class ContainerGroups(Case):
    def test_exec(self):
        with self.group("exec", self.job()) as group:
            result = group.run(**self.managed()).results["workload"]
        self.assertEqual(0, result.returncode, result.stderr)
        self.assert_poured(result.stdout, volume="writable")
        self.assertIn("job withheld", result.stdout)

    def test_exec_passes_the_status_on(self):
        with self.group("exec", self.job()) as group:
            self.assertEqual(77, group.run(WORKLOAD_EXIT=77, **self.managed()).results["workload"].returncode)

    def test_exec_that_fails_starts_nothing(self):
        with self.group("exec", self.job(kid=self.key["versionless"] + "x")) as group:
            result = group.run(**self.managed()).results["workload"]
        self.assertEqual(REFUSED_KEY, result.returncode, result.stderr)
        self.assertNotIn("uid", result.stdout)

    def test_beside(self):
        with self.group("beside", self.job()) as group:
            results = group.run(**self.managed()).results
        self.assertEqual(0, results["decant"].returncode, results["decant"].stderr)
        self.assertEqual(0, results["workload"].returncode, results["workload"].stderr)
        self.assert_poured(results["workload"].stdout, volume="read-only")
        self.assertIn('"seccomp":"filter"', results["decant"].stderr)  # the static program has it, and podman lets it

    def test_beside_that_fails_ends_the_wait(self):
        with self.group("beside", self.job(kid=self.key["versionless"] + "x")) as group:
            results = group.run(**self.managed()).results
        for each in results.values():
            self.assertEqual(REFUSED_KEY, each.returncode, each.stderr)
        self.assertNotIn("uid", results["workload"].stdout)

    def test_init_with_a_secret(self):
        with self.group("init-secret", self.job("client_secret"), tenant=self.world["tenant"], client=self.world["client_id"],
                        clientSecret=self.world["client_secret"]) as group:
            group.run(AZURE_AUTHORITY_HOST=self.world["entra"])
        self.assertEqual(0, group.results["decant"].returncode, group.results["decant"].stderr)
        self.assert_poured(group.results["workload"].stdout, volume="read-only")

    def test_init_with_workload_identity(self):
        token = base64.b64encode(pathlib.Path(self.world["federated_token_file"]).read_bytes()).decode()
        with self.group("init-workload", self.job("workload"), tenant=self.world["tenant"], client=self.world["client_id"],
                        federatedToken=token) as group:
            group.run(AZURE_AUTHORITY_HOST=self.world["entra"])
        self.assertEqual(0, group.results["decant"].returncode, group.results["decant"].stderr)
        self.assert_poured(group.results["workload"].stdout, volume="read-only")

    def test_init_that_fails_keeps_the_workload_from_starting(self):
        with self.group("init-secret", self.job("client_secret"), tenant=self.world["tenant"], client=self.world["client_id"],
                        clientSecret="wrong") as group:
            group.run(AZURE_AUTHORITY_HOST=self.world["entra"])
        self.assertEqual(12, group.results["decant"].returncode, group.results["decant"].stderr)
        self.assertEqual(["decant"], group.started)

    def test_memory_limit(self):
        """40 MiB of plaintext in memory count, too: with them and decant's 32 MiB, 96 MiB are enough."""
        with self.group("beside", self.job(container="large"), memory="96m") as group:
            results = group.run(**self.managed()).results
            self.assertEqual(0, results["decant"].returncode, results["decant"].stderr)
            self.assertEqual(LARGE, (group.volumes["plain"] / "train/data.bin").stat().st_size)


class KubernetesPod(Case):
    """deploy/kubernetes/pod.yaml under podman kube play, which makes an emptyDir of any medium an ordinary directory below the
    store's volumes: so a tmpfs is mounted there first."""

    def setUp(self):
        volumes = must("podman", "info", "--format", "{{.Store.VolumePath}}").strip()
        os.makedirs(volumes, exist_ok=True)
        must("mount", "-t", "tmpfs", "tmpfs", volumes)
        self.addCleanup(must, "umount", "-l", volumes)

    def play(self, job):
        pod = yaml.safe_load((ROOT / "deploy/kubernetes/pod.yaml").read_text())
        spec = pod["spec"]
        spec["hostNetwork"] = True
        spec["volumes"].append({"name": "ca", "hostPath": {"path": self.world["ca_file"], "type": "File"}})
        init, workload = spec["initContainers"][0], spec["containers"][0]
        init["image"], workload["image"] = IMAGE, WORKLOAD
        init["env"] = [{"name": "DECANT_JOB", "value": json.dumps(job)}]
        init["env"] += [{"name": name, "value": value} for name, value in self.managed().items()]
        init["volumeMounts"].append({"name": "ca", "mountPath": "/run/ca.pem", "readOnly": True})
        path = self.work / "pod.yaml"
        path.write_text(yaml.safe_dump(pod))
        self.addCleanup(must, "podman", "kube", "down", path)
        return command("podman", "kube", "play", path)

    def test_pod(self):
        result = self.play(self.job())
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual("0", must("podman", "wait", "training-workload").strip())
        self.assert_poured(must("podman", "logs", "training-workload"), volume="read-only")

    def test_init_that_fails_keeps_the_workload_from_starting(self):
        result = self.play(self.job(kid=self.key["versionless"] + "x"))
        self.assertNotEqual(0, result.returncode)
        self.assertIn(f"exited with code {REFUSED_KEY}", result.stdout + result.stderr)
        state = json.loads(must("podman", "inspect", "training-workload"))[0]["State"]
        self.assertEqual("created", state["Status"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
