"""Who is measured where files are encrypted and uploaded. Same keys as their downloading halves: a row has one of each."""

import json
import os
import subprocess

import data
from competitors import HERE, SIGNED, Azcopy, Decant, Sdk, digest, largest
from measure import Command, Failed


class Upload:
    """Right results: what Azurite was given is read back, once. The sink forgets, so there is nothing to look at."""
    seals = True

    def concerns(self, row):
        return True

    def target(self, run):
        return f"{run.base}/out/" + ("" if run.row.count > 1 else run.data.names[0])

    def check(self, run):
        if not run.row.azurite:
            return
        reader = Decant()
        job = {"identity": {"type": "none"}, "keys": [{"kid": data.KID, "file": run.data.kek_file}],
               "inputs": [{"from": self.target(run), "sas_env": "BENCH_SAS", "format": "auto" if self.decrypts else "plain"}],
               "volume": {"path": run.out}}
        done = subprocess.run(reader.argv(run), capture_output=True, text=True, check=False,
                              env={**os.environ, "DECANT_JOB": json.dumps(job), "BENCH_SAS": run.sas})
        if done.returncode != 0 or digest(largest(run.out)) != run.data.sha256:
            raise Failed(f"what was uploaded is wrong: {done.stderr.strip()[-200:]}")


class DecantSeal(Upload, Decant):
    def commands(self, run):
        wish = {"from": run.data.folder if run.row.count > 1 else os.path.join(run.data.folder, run.data.names[0]),
                "to": self.target(run), "key": data.KID, "key_file": run.data.public_file}
        if run.sas:
            wish.update(sas_env="BENCH_SAS", overwrite=True)
        job = {"identity": {"type": "none"}, "outputs": [wish], "volume": {"path": run.out}}
        return [Command(self.argv(run, "seal"), {"DECANT_JOB": json.dumps(job), "BENCH_SAS": run.sas})]

    def refine(self, run, sample):
        if json.loads(sample.output)["files"] != run.row.count:
            raise Failed("not all files were sealed")
        return sample


class SdkSeal(Upload, Sdk):
    label = "Azure SDK for Python, encrypting"

    def commands(self, run):
        wish = {"base": run.base, "sas": run.sas, "kid": data.KID, "kek": run.data.kek_file, "folder": run.data.folder,
                "names": run.data.names[:self.most]}
        path = os.path.join(run.work, "sdk.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(wish, file)
        return [Command([os.path.join(run.tools, "venv", "bin", "python"), os.path.join(HERE, "sdk.py"), "seal", path])]


class AzcopySeal(Upload, Azcopy):
    label = "azcopy, not encrypting"

    def commands(self, run):
        source = f"{run.data.folder}/" + ("*" if run.row.count > 1 else run.data.names[0])
        return [self.copy(run, source, f"{self.target(run)}?{run.sas or SIGNED}", "LocalBlob", "--overwrite", "true",
                          f"--check-length={'true' if run.row.azurite else 'false'}")] # the sink could not answer


def all_competitors(also):
    return [DecantSeal(), *(DecantSeal(name, program) for name, program in also.items()), SdkSeal(), AzcopySeal()]
