"""One data set over many runs: together complete, nothing twice, also when the vault throttles them."""

import unittest

from harness import Case, tree

SHARDS = 16


class Shards(Case):
    def files_of(self, volume):
        return {name for name, (mode, _) in tree(volume).items() if mode[0] == "-" and not name.startswith(".decant/")}

    def fill(self, count):
        for number in range(count):
            self.put(f"set/{number:03}", self.plain(100 + 4000 * (number % 7) ** 2))
        return {f"{number:03}" for number in range(count)}

    def test_sixteen_at_once_while_the_vault_throttles(self):
        names = self.fill(60)
        volumes = [self.temporary("/dev/shm") for _ in range(SHARDS)]
        self.box.control("throttle", limit=10, per_s=10)
        running = [self.start(["--shard", f"{shard}/{SHARDS}"],
                              self.job(self.url("set/"), volume={"path": volume})) for shard, volume in enumerate(volumes)]
        results = [self.finish(process) for process in running]
        for result in results:
            self.assertEqual(result.code, 0, result)
        taken = [self.files_of(volume) for volume in volumes]
        self.assertEqual(set().union(*taken), names)
        self.assertEqual(sum(map(len, taken)), len(names))
        self.assertEqual(len([each for each in self.releases() if each["status"] == 200]), SHARDS)

    def test_an_indexed_job(self):
        names = self.fill(5)
        taken = []
        for index in range(3):
            volume = self.temporary("/dev/shm")
            self.good(job=self.quick_job(self.url("set/"), volume={"path": volume}, limits={"shards": 3}),
                      environment={"JOB_COMPLETION_INDEX": str(index)})
            taken.append(self.files_of(volume))
        self.assertEqual(sorted(name for each in taken for name in each), sorted(names))

    def test_more_shards_than_blobs(self):
        self.fill(1)
        results = [self.good("--shard", f"{shard}/2", job=self.quick_job(self.url("set/"), volume={"path": self.temporary("/dev/shm")}))
                   for shard in range(2)]
        self.assertEqual(sorted(result.summary["files"] for result in results), [0, 1])

    def test_wrong_shards(self):
        self.fill(1)
        for value in ("2/2", "-1/2", "a/2", "1", "1/", "1/2x", "0/0"):
            self.bad(2, "--shard", arguments=["--shard", value], job=self.quick_job(self.url("set/")))
        for index in (None, "3", "x", ""):
            self.bad(2, "JOB_COMPLETION_INDEX", environment={"JOB_COMPLETION_INDEX": index},
                     job=self.quick_job(self.url("set/"), limits={"shards": 3}))


if __name__ == "__main__":
    unittest.main()
