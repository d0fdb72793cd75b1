#!/usr/bin/python3
"""How much slower weft is beside a neighbour: a training step and sampling, on this machine as it is, and with one process
that is never done on every processor that this one may use. The neighbour has weft's own priority, which leaves weft half
of the processors, or with --nice 19 the lowest there is.

  scripts/busy_neighbour.py [INPUT.toml] [section.key=value ...] [--rounds N] [--nice N] [--weft FILE] [--json FILE]

Idle and busy take turns, so that what else changes on the machine meets both alike; the median of the rounds counts. INPUT:
inputs/quickstart/quickstart.toml, if none is given. A round takes about half a minute; OMP_NUM_THREADS holds as usual.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile

SOURCE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# Ends by itself when this process has gone.
LOOP = "while [ -d /proc/{0} ]; do i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; done"


@contextlib.contextmanager
def neighbours(count, priority=0):
    """So many processes, one to a processor where there are as many; priority: how much lower than this one's theirs is."""
    started = []
    try:
        for _ in range(count):
            started.append(subprocess.Popen(["sh", "-c", LOOP.format(os.getpid())], stdin=subprocess.DEVNULL,
                                            preexec_fn=lambda: os.nice(priority)))
        yield started
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def figures(weft, arguments):
    """What `weft bench ... --quick` measures."""
    with tempfile.TemporaryDirectory(prefix="weft-neighbour-") as folder:
        path = folder + "/bench.json"
        done = subprocess.run([weft, "bench", *arguments, "--quick", "--json", path], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"busy_neighbour.py: weft bench {' '.join(arguments)} ended with {done.returncode}\n{done.stderr}")
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def step_seconds(weft, arguments):
    return figures(weft, arguments)["steps"][0]["seconds"]


def token_seconds(weft):
    """Of one byte, fixed attention."""
    fixed = [f for f in figures(weft, ["--decode"]) if f["pattern"].startswith("fixed")]
    return 1 / fixed[0]["tokens_per_second"]


def measure(weft, arguments, rounds, processors, priority=0):
    """{"step" or "sampling": {"idle" or "busy": [seconds of each round]}}"""
    found = {what: {"idle": [], "busy": []} for what in ("step", "sampling")}
    for _ in range(rounds):
        for load, count in (("idle", 0), ("busy", processors)):
            with neighbours(count, priority):
                found["step"][load].append(step_seconds(weft, arguments))
                found["sampling"][load].append(token_seconds(weft))
    return found


def table(found):
    lines = ["| | idle | one neighbour per processor | ratio |", "| --- | ---: | ---: | ---: |"]
    for what, name in (("step", "training step, ms"), ("sampling", "sampling a byte, us")):
        factor = 1e3 if what == "step" else 1e6
        idle, busy = (factor * statistics.median(found[what][load]) for load in ("idle", "busy"))
        lines.append(f"| {name} | {idle:.3g} | {busy:.3g} | {busy / idle:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", nargs="*", default=[f"{SOURCE}/inputs/quickstart/quickstart.toml"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nice", type=int, default=0, help="of the neighbours; 19 is the most there is")
    parser.add_argument("--weft", default=os.environ.get("WEFT", f"{SOURCE}/build/cpu/weft"))
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error(f"--rounds: got {given.rounds}, expected at least 1")
    if not 0 <= given.nice <= 19:
        parser.error(f"--nice: got {given.nice}, expected 0 to 19")
    processors = len(os.sched_getaffinity(0))
    found = measure(given.weft, given.input, given.rounds, processors, given.nice)
    print(f"{processors} processors, {given.rounds} rounds, neighbours niced by {given.nice}, load {os.getloadavg()[0]:.1f} at the end\n")
    print(table(found))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"processors": processors, **found}, file, indent=1)


if __name__ == "__main__":
    main()
