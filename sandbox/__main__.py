"""python3 sandbox --state DIR [--keys DIR] [--seconds N] [--imds ADDRESS:PORT]"""

import argparse
import os
import signal
import sys
import threading

# Started as a folder, Python puts this very folder on its path; the package is one level up.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from sandbox.world import World  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="sandbox", description="A strict local double of the cloud. See README.md.")
    parser.add_argument("--state", required=True, metavar="DIR", help="where keys, certificates and sandbox.json go")
    parser.add_argument(
        "--keys", metavar="DIR", help="keep the private keys here, so that later sandboxes start faster"
    )
    parser.add_argument("--seconds", type=float, help="end after so many seconds")
    parser.add_argument(
        "--imds",
        metavar="ADDRESS:PORT",
        help="a further address for the metadata service, such as 169.254.169.254:80 in a network namespace",
    )
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    world = World(options.state, options.keys, options.imds)
    world.start()
    print(f"sandbox: ready, {world.path('sandbox.json')}", flush=True)
    stop.wait(options.seconds)
    world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
