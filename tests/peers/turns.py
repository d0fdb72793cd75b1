"""Whole training steps of Weft and of PyTorch, in turns on one machine: what torch_bench.py and arena_bench.py share.

Each PyTorch variant is a process of its own that waits between its turns (torch_peer.py has its side), and each has a
limit for its start, its compiling and all its turns together.
"""
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Late(Exception):
    """A program did not end within its limit."""


class Failed(Exception):
    """A PyTorch variant cannot run; the message says why."""


def add_arguments(parser, turns_name, turns, limit, limit_help):
    """The options that both benchmarks have."""
    parser.add_argument("--weft", default=os.environ.get("WEFT", "build/cpu/weft"))
    parser.add_argument(turns_name, type=int, default=turns, help="turns of Weft and PyTorch")
    parser.add_argument("--steps", type=int, default=2, help="PyTorch steps per turn")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--variants", nargs="+", choices=("eager", "compiled"), default=["eager", "compiled"])
    parser.add_argument("--limit", type=float, default=limit, metavar="SECONDS", help=limit_help)
    parser.add_argument("--install", metavar="DIR")


def check_program(parser, given):
    given.weft = os.path.abspath(given.weft)
    if not os.access(given.weft, os.X_OK):
        parser.error(f"--weft: {given.weft} is no program; build it, or give the path of weft")


def version_of(peer_version, given, script, *packages):
    """What PyTorch there is, after --install; None: none, which is said."""
    if given.install:
        install(given.install, script, *packages)
    version = peer_version()
    if version is None:
        print("SKIPPED: PyTorch is not installed (Debian: python3-torch; or --install DIR)")
    return version


class Weft:
    """Steps of `weft bench INPUT --quick --json`: the median of three after one to warm up, each turn."""

    name = "weft"

    def __init__(self, program, path, overrides, threads, limit):
        self.command, self.threads, self.left = [program, "bench", path, *overrides, "--quick"], threads, limit
        self.row = None  # of the last turn, as `weft bench --json` writes it

    def warm_up(self):
        return True

    def turn(self, _):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "bench.json")
            command = [*self.command, "--json", out]
            begin = time.monotonic()
            try:
                done = subprocess.run(command, env=dict(os.environ, OMP_NUM_THREADS=str(self.threads)), check=False,
                                      capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=max(self.left, 1),
                                      start_new_session=True)  # a session has its own share of the processor
            except subprocess.TimeoutExpired as error:
                raise Late from error
            self.left -= time.monotonic() - begin
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
            with open(out, encoding="utf-8") as f:
                self.row = json.load(f)["steps"][0]
            return self.row["seconds"]

    def end(self):
        pass


class Torch:
    """One variant in a process of its own, which waits between its turns. `script` is in this folder."""

    def __init__(self, name, script, asked, threads, limit):
        self.name, self.left, self.unread, self.started = name, limit, b"", {}
        env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="passive")
        command = [sys.executable, "-B", os.path.join(HERE, script), json.dumps({**asked, "threads": threads})]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, start_new_session=True)

    def answer(self, key):
        """What the next line with this key says; what waiting takes comes off the limit."""
        begin = time.monotonic()
        end = begin + self.left
        while True:
            line, found, rest = self.unread.partition(b"\n")
            if not found:
                ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
                if not ready:
                    self.left = 0
                    raise Late
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    raise Failed(f"it ended with status {self.process.wait()}")
                self.unread += more
                continue
            self.unread = rest
            said = json.loads(line)
            if "error" in said:
                raise Failed(said["error"])
            if key in said:
                self.left -= time.monotonic() - begin
                return said[key]

    def warm_up(self):
        return self.answer("ready")

    def turn(self, steps):
        self.process.stdin.write(f"{steps}\n".encode())
        self.process.stdin.flush()
        return statistics.median(self.answer("seconds"))

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # the processes that compile are of its session
        self.process.communicate()


def in_turns(starts, rounds, steps, limit):
    """({program: seconds per step, a list over the turns}, {program: why it has none, or not all}). `starts`: functions that
    start a program each; they are called one after the other, since starting and compiling would disturb each other."""
    programs, seconds, why = [], {}, {}

    def attempt(program, action):
        """What the action returns, or None where it did not end."""
        try:
            return action()
        except Late:
            why[program.name] = f"did not end within {limit:g} s"
        except Failed as error:
            why[program.name] = str(error)
        program.end()
        return None

    try:
        for start in starts:
            program = start()
            programs.append(program)
            if attempt(program, program.warm_up) is None:
                programs.remove(program)
        running = list(programs)
        for _ in range(rounds):
            for program in list(running):
                taken = attempt(program, lambda p=program: p.turn(steps))
                if taken is None:
                    running.remove(program)
                else:
                    seconds.setdefault(program.name, []).append(taken)
    finally:
        for program in programs:
            program.end()
    return seconds, why


def install(folder, script, *others):
    """Runs the script again with a PyTorch, and other packages that it wants, in a virtual environment of its own."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    wanted = ["torch", "numpy", *others]
    listed = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    if not set(wanted) <= {line.split("==")[0].lower() for line in listed.splitlines()}:
        subprocess.run([python, "-m", "pip", "install", *wanted], check=True)
    os.execv(python, [python, "-B", os.path.abspath(script), *without_install(sys.argv[1:])])


def without_install(arguments):
    rest, skip = [], False
    for a in arguments:
        if not skip and not a.startswith("--install"):
            rest.append(a)
        skip = a == "--install"
    return rest
