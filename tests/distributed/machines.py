#!/usr/bin/env python3
"""Machines made of network namespaces: each has its own network interface, address and host name, and all of them hang on
one switch. mpirun starts processes on them as it does on real machines, with a hostfile; what it takes for ssh is a
script that enters the namespace, so that no machine needs an ssh server.

    with Machines(["anna", "bert"], rate="1gbit") as machines:
        subprocess.run(machines.on("anna", ["mpirun", "--hostfile", "hosts", "-n", "2", "program"]))

    machines.py NAMES [--rate RATE] COMMAND...   # the same: runs the command on the first of the machines, anna,bert

The machines share the disks and the processors of this one. This needs root and Linux's iproute2; `why_not` says what is
missing.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

NETWORK = "10.77.0"  # of the namespaces alone: they have no way to other networks
SSH = """#!/bin/sh
# ssh [options] HOST COMMAND...: runs the command on one of the machines, with an environment of its own, as ssh does.
while :; do
  case $1 in -*) shift ;; *) break ;; esac
done
case $1 in
{cases}
  *) echo "ssh: there is no machine $1" >&2; exit 255 ;;
esac
shift
exec ip netns exec "$namespace" unshare --uts \\
  env -i HOME="$HOME" USER="$USER" SHELL=/bin/sh PATH={path} sh -c "hostname $host; cd; $*"
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{shlex.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")


def why_not():
    """Why machines cannot be made here; None if they can."""
    for tool in "ip", "unshare", "tc":
        if not shutil.which(tool):
            return f"there is no {tool}"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Machines(["first", "second"]) as machines:
            run(*machines.on("first", ["true"]))
    except OSError as error:
        return str(error)
    return None


class Machines:
    """A context: the machines are there from its beginning to its end, and nothing of them is left behind it. `rate`
    limits what each machine sends, in tc's words ("1gbit")."""

    def __init__(self, names, rate=None):
        self.names = list(names)
        self._rate = rate
        self._prefix = f"rapt-{os.getpid()}-{Machines._made}-"
        Machines._made += 1
        self._folder = None

    _made = 0  # in this process

    def __enter__(self):
        remove_orphans()
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="rapt-machines-"))
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def address(self, name):
        return f"{NETWORK}.{self.names.index(name) + 1}"

    def namespace(self, name):
        return self._prefix + name

    def path(self):
        """PATH with the folder of the script that stands for ssh."""
        return f"{self._folder}:{os.environ['PATH']}"

    def on(self, name, command):
        """The command as one that runs on a machine, in the folder and environment in which it is started."""
        inside = f'hostname {shlex.quote(name)}; PATH={shlex.quote(self.path())}; export PATH; exec "$@"'
        return ["ip", "netns", "exec", self._prefix + name, "unshare", "--uts", "sh", "-c", inside, "sh", *command]

    def mpirun(self, launcher, processes, command):
        """A command that starts so many processes, as evenly spread over the machines as can be; the launcher, which is
        Open MPI's or MPICH's, runs on the first machine."""
        slots = [len(range(i, processes, len(self.names))) for i in range(len(self.names))]
        used = [(name, count) for name, count in zip(self.names, slots) if count > 0]
        hosts = self._folder / f"hosts-{processes}"
        form = "{} slots={}\n" if is_open_mpi(launcher) else "{}:{}\n"
        hosts.write_text("".join(form.format(*machine) for machine in used))
        return self.on(self.names[0], [launcher, "--hostfile", str(hosts), "-n", str(processes), *command])

    def cut(self, name):
        """Cuts the link between a machine and the switch."""
        run("ip", "-n", self._prefix + name, "link", "set", "eth0", "down")

    def join(self, name):
        """Mends a link that was cut."""
        run("ip", "-n", self._prefix + name, "link", "set", "eth0", "up")

    def processes(self):
        """The process numbers of all that runs on the machines."""
        return [process for name in self.names for process in processes_in(self._prefix + name)]

    def end_processes(self):
        """Ends all that runs on the machines."""
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            kill(left)
            time.sleep(0.02)

    def _make(self):
        cases = "\n".join(f"  {name}|{self.address(name)}) namespace={self._prefix}{name} host={name} ;;"
                          for name in self.names)
        ssh = self._folder / "ssh"
        ssh.write_text(SSH.format(cases=cases, path=shlex.quote(os.environ["PATH"])))
        ssh.chmod(0o755)
        hosts = "127.0.0.1 localhost\n" + "".join(f"{self.address(name)} {name}\n" for name in self.names)
        switch = self._prefix + "switch"
        run("ip", "netns", "add", switch)
        run("ip", "-n", switch, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "switch", "up")
        for i, name in enumerate(self.names):
            namespace = self._prefix + name
            etc = pathlib.Path("/etc/netns") / namespace  # what `ip netns exec` shows as /etc
            etc.mkdir(parents=True)
            (etc / "hosts").write_text(hosts)
            run("ip", "netns", "add", namespace)
            run("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", f"port{i}", "netns", switch)
            run("ip", "-n", switch, "link", "set", f"port{i}", "master", "switch", "up")
            run("ip", "-n", namespace, "link", "set", "lo", "up")
            run("ip", "-n", namespace, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
            if self._rate:
                run("tc", "-n", namespace, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", self._rate, "burst", "256kb",
                    "latency", "50ms")

    def _remove(self):
        self.end_processes()
        for name in [*self.names, "switch"]:  # virtual interfaces go with their namespaces
            remove_namespace(self._prefix + name)
        shutil.rmtree(self._folder, ignore_errors=True)


def processes_in(namespace):
    done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(number) for number in done.stdout.split()]


def kill(processes):
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def remove_namespace(namespace):
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
    shutil.rmtree(pathlib.Path("/etc/netns") / namespace, ignore_errors=True)


def remove_orphans():
    """Removes the machines of programs that were killed before they could."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    for namespace, maker in re.findall(r"^(rapt-(\d+)-\d+-\S+)", listed, re.M):
        if not pathlib.Path("/proc", maker).exists():
            kill(processes_in(namespace))
            remove_namespace(namespace)


def is_open_mpi(launcher):
    version = subprocess.run([launcher, "--version"], capture_output=True, text=True, check=False).stdout
    return bool(re.search("Open MPI|OpenRTE|PRRTE", version))


def main():
    parser = argparse.ArgumentParser(description="Runs a command on the first of several machines.")
    parser.add_argument("names", help="the machines' names, separated by commas")
    parser.add_argument("--rate", help="limits what each machine sends, in tc's words, as 1gbit")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if reason := why_not():
        sys.exit(f"machines.py: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which leaves the context
    with Machines(arguments.names.split(","), arguments.rate) as machines:
        sys.exit(subprocess.run(machines.on(machines.names[0], arguments.command), check=False).returncode)


if __name__ == "__main__":
    main()
