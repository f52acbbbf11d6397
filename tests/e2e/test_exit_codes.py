"""The table of exit codes, each met once: what scripts and restart policies rely on."""

import json
import os

from harness import ALL_CODES, Case, signal


class Table(Case):
    def setUp(self):
        super().setUp()
        self.put("a", self.plain())
        self.put("none-of-ours", self.plain(), kid="https://elsewhere.vault.azure.net/keys/k")
        self.store("unencrypted", self.plain())
        stored, metadata = self.encrypt(self.plain(1000))
        self.store("broken", stored[:-1] + b"!", metadata)

    def quick(self, name="a", **parts):
        return self.quick_job(self.url(name), **parts)

    def blob(self, **members):
        return self.quick_job({"from": self.url("a"), **members})

    def fault(self, **action):
        return lambda: self.box.fault(action, path="/a", times=-1)

    def cases(self):
        """code, job, environment, what comes first."""
        yield 1, self.quick(), {}, self.hold_the_volume
        yield 2, {"volume": {}}, {}, None
        yield 10, self.job(self.url("a")), {"DOUBLE_SEV": ""}, None
        yield 11, self.job(self.url("a")), {}, lambda: self.box.control("platform", other_measurement=True)
        yield 12, self.quick(identity={"type": "client_secret"}), {}, None
        yield 13, self.job(self.url("a")), {}, lambda: self.box.control("platform", other_host_data=True)
        yield 14, self.quick("none-of-ours"), {}, None
        yield 20, self.quick("absent"), {}, None
        yield 21, self.quick(identity={"type": "none"}), {}, None
        yield 22, self.quick(limits={"timeout_s": 1}), {}, self.fault(status=503)
        yield 30, self.quick("broken"), {}, None
        yield 30, self.quick("unencrypted"), {}, None
        yield 31, self.blob(size=7), {}, None
        yield 40, self.quick(), {"DOUBLE_STATFS_PATH": self.volume, "DOUBLE_STATFS_TYPE": "ef53"}, None
        yield 41, self.quick_job({"from": self.url("big"), "format": "plain"}), {}, self.huge_blob
        yield 42, self.blob(to="../a"), {}, None

    def hold_the_volume(self):
        """Another run that takes its time."""
        self.box.fault({"delay_ms": 3000}, method="HEAD", path="/a")
        other = self.start([], self.quick())
        self.addCleanup(other.communicate)
        self.addCleanup(other.kill)
        while not self.locked():
            self.assertIsNone(other.poll())

    def locked(self):
        return os.path.exists(os.path.join(self.volume, ".decant", "stage", "tree"))

    def huge_blob(self):
        self.box.control("blob", container=self.container, name="big", zeros=1 << 42)

    def test_all(self):
        seen = {130, 143}
        for code, job, environment, first in self.cases():
            with self.subTest(code=code):
                self.box.control("reset")
                self.empty()
                self.volume = self.temporary("/dev/shm")
                if "path" in job.get("volume", {}):
                    job["volume"]["path"] = self.volume
                if "DOUBLE_STATFS_PATH" in environment:
                    environment["DOUBLE_STATFS_PATH"] = self.volume
                if first:
                    first()
                result = self.bad(code, job=job, environment=environment, untouched=code != 1)
                event = json.loads(result.last)
                self.assertEqual(event["exit_code"], code)
                self.assertGreater(len(result.sentence), 30)
                seen.add(code)
        self.assertEqual(seen, set(ALL_CODES))

    def test_signals(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            self.box.control("reset")
            self.empty()
            self.box.fault({"delay_ms": 10000}, path="/a", times=-1)
            process = self.start([], self.quick())
            while not self.locked():
                self.assertIsNone(process.poll())
            process.send_signal(number)
            self.check_failure(self.finish(process), code, "interrupted|stopped|signal")
