"""A Slurm cluster for a test: munged, slurmctld and slurmd with files of their own in one temporary folder, no systemd.

Two nodes where the machine lets us make network namespaces, else one. Nothing outside the folder is written, and
everything that was started is ended by leaving the context, also after a failure.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")

CONF = """
ClusterName=wefttest
SlurmctldHost={controller}({address})
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.{owner}.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
TmpFS={folder}/tmp.%n
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
ReturnToService=2
KillWait=10
MinJobAge=600
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=1,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
NodeName=imagined[1-16] CPUs=64 RealMemory=500000 Gres=gpu:4 State=CLOUD
SuspendTime=86400
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendExcNodes={names}
DebugFlags=NO_CONF_HASH
PartitionName=wide Nodes=imagined[1-16] MaxTime=INFINITE State=UP
PartitionName=low Nodes={names} Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60 MaxTime=INFINITE State=UP
PartitionName=high Nodes={names} PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


def missing():
    """Why no cluster can be started here; None if one can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root to start jobs, and this is not root"
    absent = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    if absent:
        return f"there is no {', '.join(absent)}; scripts/setup.sh --slurm installs Debian's slurm-wlm and munge"
    return None


PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def wait_for(what, condition, seconds, every=0.2):
    """The condition's first true value; AssertionError with `what` when none came in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Cluster:
    """with Cluster() as cluster: cluster.submit(...)"""

    def __init__(self, cpus_per_node=2):
        self.cpus = cpus_per_node
        self.daemons = []
        self.namespaces = []
        self.bridge = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="weft-slurm-", dir="/tmp")
        try:
            self.start()
        except BaseException as error:
            logs = self.logs()
            self.__exit__()
            raise AssertionError(f"the cluster did not start: {error}\n{logs}") from error
        return self

    def logs(self, lines=15):
        """The last lines of every daemon's log."""
        text = ""
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(f"{self.folder}/{name}", errors="replace") as file:
                    text += f"== {name} ==\n" + "".join(file.readlines()[-lines:])
        return text

    def start(self):
        os.chmod(self.folder, 0o755)
        os.mkdir(self.folder + "/state")
        self.separate_networks()
        tag = os.getpid() % 10000
        names = self.nodes = [f"weft{tag}n{i + 1}" for i in range(max(1, len(self.namespaces)))]
        alone = not self.namespaces
        addresses = ["127.0.0.1"] if alone else [f"{self.subnet}.{i + 2}" for i in range(len(names))]
        nodes = "\n".join(f"NodeName={name} NodeHostname={os.uname().nodename if alone else name} NodeAddr={address} "
                          f"CPUs={self.cpus} RealMemory=500 State=UNKNOWN" for name, address in zip(names, addresses))
        self.conf = self.folder + "/slurm.conf"
        for owner in ("", *names):  # a munged for every node, as on a real cluster: none takes a credential twice
            with open(self.conf + owner, "w") as file:
                file.write(CONF.format(folder=self.folder, nodes=nodes, names=",".join(names), owner=owner or "main",
                                       controller=os.uname().nodename,
                                       address=addresses[0] if alone else self.subnet + ".1",
                                       port=20000 + tag, node_port=30000 + tag))
        self.environment = dict(os.environ, SLURM_CONF=self.conf, PATH=PATH)
        for name in list(self.environment):  # what a job of another cluster around this test would hand down
            if name.startswith(("SLURM_", "SBATCH_", "PMI")) and name != "SLURM_CONF":
                del self.environment[name]
        key = self.folder + "/munge.key"
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o400), "wb") as file:
            file.write(os.urandom(128))
        for owner in ("main", *names):
            at = f"{self.folder}/munge.{owner}."
            self.daemon("munged", "--foreground", "--force", "--key-file", key, "--socket", at + "socket", "--pid-file",
                        at + "pid", "--log-file", at + "log", "--seed-file", at + "seed")
            wait_for("munged's socket", lambda: os.path.exists(at + "socket"), 20)
        self.daemon("slurmctld", "-D", "-f", self.conf)
        for i, name in enumerate(names):
            os.mkdir(f"{self.folder}/spool.{name}")
            os.mkdir(f"{self.folder}/tmp.{name}")  # PMIx: nodes share our /tmp
            # Not `ip netns exec`: it mounts another /sys, where slurmd misses the cgroups.
            inside = [] if alone else ["nsenter", "--net=/run/netns/" + self.namespaces[i], "unshare", "--uts", "sh",
                                       "-c", f'hostname {name} && exec "$@"', "sh"]
            self.daemon(*inside, "slurmd", "-D", "-f", self.conf + name, "-N", name)
        wait_for("idle nodes", lambda: self.call("sinfo", "-h", "-N", "-p", "low", "-o", "%t", check=False).split() ==
                 ["idle"] * len(names), 60)

    def separate_networks(self):
        """Two namespaces on one bridge, where `ip` and the kernel allow it; the reason in `one_node_because` if not."""
        self.one_node_because = None
        if shutil.which("ip", path=PATH) is None:
            self.one_node_because = "there is no ip (Debian's iproute2)"
            return
        tag = os.getpid() % 10000
        self.subnet = f"10.{200 + tag % 50}.{tag // 50}"
        try:
            self.ip("link", "add", f"wf{tag}", "type", "bridge")
            self.bridge = f"wf{tag}"
            self.ip("addr", "add", self.subnet + ".1/24", "dev", self.bridge)
            self.ip("link", "set", self.bridge, "up")
            for i in (1, 2):
                space = f"wf{tag}n{i}"
                self.ip("netns", "add", space)
                self.namespaces.append(space)
                self.ip("link", "add", f"wf{tag}v{i}", "type", "veth", "peer", "name", "eth0", "netns", space)
                self.ip("link", "set", f"wf{tag}v{i}", "master", self.bridge, "up")
                self.ip("-n", space, "addr", "add", f"{self.subnet}.{i + 1}/24", "dev", "eth0")
                self.ip("-n", space, "link", "set", "eth0", "up")
                self.ip("-n", space, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            self.one_node_because = f"{' '.join(error.cmd)}: {error.stderr.strip()}"
            self.remove_networks()

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, env=dict(os.environ, PATH=PATH))

    def remove_networks(self):
        for space in self.namespaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        self.namespaces = []
        if self.bridge:
            subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)
        self.bridge = None

    def daemon(self, *command):
        with open(f"{self.folder}/daemons.log", "a") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log, start_new_session=True))

    def __exit__(self, *_):
        if os.path.exists(self.folder + "/slurm.conf") and len(self.daemons) > 1:
            self.call("scancel", "--full", "-s", "KILL", "-u", "root", check=False)
            self.call("scancel", "-u", "root", check=False)
            try:
                wait_for("an empty queue", lambda: not self.call("squeue", "-h", check=False), 15)
            except AssertionError:
                pass
        for process in reversed(self.daemons):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self.left_over():
            os.kill(pid, signal.SIGKILL)
        self.remove_networks()
        shutil.rmtree(self.folder, ignore_errors=True)

    def left_over(self):
        """Processes that have this cluster's slurm.conf in their environment."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and int(entry) != os.getpid():
                    with open(f"/proc/{entry}/environ", "rb") as file:
                        if mark in file.read():
                            found.append(int(entry))
            except OSError:
                pass  # it ended while we looked
        return found

    def call(self, *command, check=True, cwd=None, **environment):
        done = subprocess.run(command, env=dict(self.environment, **environment), capture_output=True, text=True, cwd=cwd,
                              stdin=subprocess.DEVNULL, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def submit(self, *arguments, cwd="/", **environment):
        """The number of the job."""
        return self.call("sbatch", "--parsable", *arguments, cwd=cwd, **environment).split(";")[0]

    def job(self, number):
        """What `scontrol show job` says, by name."""
        words = self.call("scontrol", "-o", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait_state(self, number, *states, seconds=60):
        return wait_for(f"job {number} in state {' or '.join(states)} (now {self.job(number)})",
                        lambda: self.job(number)["JobState"] in states and self.job(number), seconds)
