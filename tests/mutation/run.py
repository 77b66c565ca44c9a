# SPDX-License-Identifier: GPL-2.0-only
"""Runs the quick unit tests on mutants, each in a copy of the checkout and in a sandbox.

The sandbox is made by unshare(1) as the user nobody, mapped to a root who has no rights outside:
processes, network, mounts and IPC of its own, all file systems read-only, fresh ones at /tmp, /run,
/var/tmp and /dev/shm.  When its first process is killed, all the others end with it.
"""

import collections
import concurrent.futures
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TESTS = CHECKOUT / "tests/unit"
#: These look at the source and not at what it does.
LEFT_OUT = ("test_house.py", "test_readme.py", "test_bench.py")
UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--ipc", "--uts",
           "--fork", "--kill-child", "--mount-proc")
SETUP = """ip link set lo up
mount --bind "$1" /mnt
for folder in /tmp /run /var/tmp /dev/shm; do
    mount -t tmpfs -o size=64m,mode=1777 none $folder
done
mount -o remount,bind,ro /mnt
mount -o remount,bind,ro /
cd /mnt
shift
prlimit --nproc=2000 --fsize=51200000 "$@"
exit    # this shell stays the first process: signals and pid files make an exception of number 1
"""
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8",
       "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis", "PYTHONDONTWRITEBYTECODE": "1"}


def pytest_in(copy, words, limit):
    """Run pytest in a copy and in the sandbox; return (exit status, its output).

    The status is None where it took longer than limit seconds.
    """
    argv = [*UNSHARE, "sh", "-ec", SETUP, "sh", str(copy), sys.executable, "-m", "pytest", "-q",
            "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", *words]
    if not os.geteuid():
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
    with subprocess.Popen(argv, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True, cwd="/") as process:
        try:
            out = process.communicate(timeout=limit)[0]
            return process.returncode, out.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def own_tests(module):
    """Return the test files of a module: the one of its name, then those that import it."""
    last = module.rpartition(".")[2]
    found = [path.name for path in TESTS.glob(f"test_{last}*.py")]
    importing = re.compile(rf"ipaddr2_py(\.\w+)* import [^#]*\b{last}\b"
                           rf"|ipaddr2_py\.{re.escape(module)} import")
    found += [path.name for path in sorted(TESTS.glob("test_*.py"))
              if path.name not in found and importing.search(path.read_text("utf-8"))]
    return [name for name in found if name not in LEFT_OUT]


class Runner:
    """Copies of the checkout, as many as mutants run at once, and what is known of the tests."""

    def __init__(self, jobs):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mutation-"))
        self.folder.chmod(0o755)
        self.jobs = jobs
        self.copies = queue.Queue()
        self.killers = collections.defaultdict(collections.Counter)
        self.left_out = []
        self.limit = 300.0
        for number in range(jobs):
            copy = self.folder / str(number)
            shutil.copytree(CHECKOUT, copy, symlinks=True, ignore=shutil.ignore_patterns(
                ".git", ".venv", "__pycache__", ".hypothesis", ".tox", "build", "dist"))
            self.copies.put(copy)

    def close(self):
        """Remove the copies."""
        shutil.rmtree(self.folder)

    def first_run(self):
        """Run all tests on the package as it is; leave out those that fail, set the time limit."""
        copy = self.copies.get()
        begin = time.monotonic()
        status, out = pytest_in(copy, ["-rfE", *map(str, self.files([]))], self.limit)
        self.limit = 20 + 4 * (time.monotonic() - begin)
        self.copies.put(copy)
        failed = re.findall(r"^(?:FAILED|ERROR) (tests/unit/\S+::\S+)", out, re.MULTILINE)
        if status not in (0, 1) or status and not failed or len(failed) > 20:
            raise RuntimeError(f"the tests do not run on the package as it is:\n{out}")
        for name in failed:
            print(f"fails without a mutant, left out: {name}", flush=True)
            self.left_out += ["--deselect", name]

    def files(self, first):
        """Return all test files, those given first."""
        names = [path.name for path in sorted(TESTS.glob("test_*.py"))]
        rest = [name for name in names if name not in first and name not in LEFT_OUT]
        return [f"tests/unit/{name}" for name in [*first, *rest]]

    def outcome(self, mutant, known):
        """Tell what becomes of a mutant: killed, equivalent (by the list) or survived."""
        if mutant.key() in known:
            return "equivalent"
        copy = self.copies.get()
        path = copy / "ipaddr2_py" / mutant.module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        before = path.read_bytes()
        try:
            path.write_text(mutant.text, "utf-8")
            killers = self.killers[mutant.module]
            own = own_tests(mutant.module)
            first = [name for name, _ in killers.most_common(4) if name not in own]
            for words in ([f"tests/unit/{name}" for name in own + first],
                          self.files([name for name, _ in killers.most_common()])):
                status, out = pytest_in(copy, ["-x", "-rfE", *self.left_out, *words], self.limit) \
                    if words else (0, "")
                if status not in (0, 5):        # 5 is "no tests"
                    killers.update(re.findall(r"^(?:FAILED|ERROR) tests/unit/(\w+\.py)", out,
                                              re.MULTILINE))
                    return "killed"
            return "survived"
        finally:
            path.write_bytes(before)
            self.copies.put(copy)


def results(made, known, jobs):
    """Yield (Mutant, outcome) of each mutant, as they come in; known are the equivalent ones."""
    runner = Runner(jobs)
    try:
        runner.first_run()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            waiting = {pool.submit(runner.outcome, mutant, known): mutant for mutant in made}
            try:
                for future in concurrent.futures.as_completed(waiting):
                    yield waiting[future], future.result()
            finally:
                for future in waiting:
                    future.cancel()
    finally:
        runner.close()
