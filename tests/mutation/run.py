# SPDX-License-Identifier: GPL-2.0-only
"""Runs those unit tests that can see a mutant, in a copy of the checkout and in a sandbox.

The sandbox is made by unshare(1) as the user nobody, mapped to a root who has no rights outside:
processes, network, mounts and IPC of its own, all file systems read-only, fresh ones at /tmp, /run,
/var/tmp and /dev/shm.  When its first process is killed, all the others end with it.
"""

import ast
import collections
import concurrent.futures
import fcntl
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
TESTS = CHECKOUT / "tests/unit"
PYTHON = CHECKOUT / ".venv/bin/python"          # as bin/test has made it
#: These look at the source or at what is built of it, not at what it does.
LEFT_OUT = ("test_house.py", "test_readme.py", "test_bench.py", "test_packaging.py")
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


def pytest_in(copy, words, limit, settings=(), report=None):
    """Run pytest in a copy and in the sandbox; return (exit status, its output).

    The status is None where it took longer than limit seconds.  settings are of the environment
    (see plugin.py); report is the number of an open file that pytest gets as well.
    """
    argv = [*UNSHARE, "sh", "-ec", SETUP, "sh", str(copy),
            str(PYTHON if PYTHON.exists() else sys.executable), "-m", "pytest", "-q",
            "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tests.mutation.plugin",
            *words]
    if not os.geteuid():
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
    with subprocess.Popen(argv, env={**ENV, **dict(settings)}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                          start_new_session=True,
                          pass_fds=() if report is None else (report,)) as process:
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


class Tests:
    """What is known of the unit tests: which of them can see a change of a line.

    Made from the report of plugin.py.  seconds is test -> how long it took; left_out are tests
    that fail without any change.
    """

    def __init__(self, report, left_out):
        names = [name for name, _, _ in report["tests"]]
        self.seconds = {name: took for name, took, _ in report["tests"] if name not in left_out}
        self.starting = {name for name, _, started in report["tests"] if started}
        self.lines = {file: {int(line): {names[place] for place in places}
                             for line, places in lines.items()}
                      for file, lines in report["lines"].items()}
        self.killed = collections.Counter()

    def of(self, mutant):
        """Return the tests that can see a mutant: those that ran its statement.

        Of what runs at import or is a function's head, all that ran any line of the module, and
        all in its test files, which may only look at values.  What runs in a process of its own is
        not seen line by line: tests that started one are added, if they are in one of those files
        or nothing ran the statement.
        """
        ran = self.lines.get(mutant.file, {})
        inside = statement(mutant)
        found = set().union(*(ran.get(line, ()) for line in inside or ran))
        files = own_tests(mutant.module)
        own = {name for name in self.seconds if name.partition("::")[0].rpartition("/")[2] in files}
        if inside is None:
            found |= own
        else:
            found |= own & self.starting if found else self.starting
        return sorted(found & self.seconds.keys(), key=lambda name: (
            -self.killed[name], inside is None and name not in own, self.seconds[name]))


def statement(mutant):
    """Return the lines of the statement that a mutant changes; of a block those of its head.

    None where it is run at import: outside of functions, or a head of a function or class.
    """
    best = None
    for node in ast.walk(ast.parse(mutant.text)):
        if isinstance(node, (ast.stmt, ast.ExceptHandler)):
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
            if node.lineno <= mutant.line <= end and (not best or node.lineno >= best[0].lineno):
                best = node, range(node.lineno, end + 1)
    if mutant.function == "module" or not best \
            or isinstance(best[0], (ast.FunctionDef, ast.ClassDef)):
        return None
    return best[1]


class Runner:
    """Copies of the checkout, as many as mutants run at once, and what is known of the tests."""

    def __init__(self, jobs):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mutation-"))
        self.folder.chmod(0o755)
        self.copies = queue.Queue()
        self.tests = None
        for number in range(jobs):
            copy = self.folder / str(number)
            shutil.copytree(CHECKOUT, copy, symlinks=True, ignore=shutil.ignore_patterns(
                ".git", ".venv", "__pycache__", ".hypothesis", ".tox", "build", "dist"))
            self.copies.put(copy)

    def close(self):
        """Remove the copies."""
        shutil.rmtree(self.folder)

    def first_run(self):
        """Run all tests on the package as it is, to learn which lines each of them runs."""
        copy = self.copies.get()
        names = [f"tests/unit/{path.name}" for path in sorted(TESTS.glob("test_*.py"))
                 if path.name not in LEFT_OUT]
        with tempfile.TemporaryFile() as report:
            number = fcntl.fcntl(report, fcntl.F_DUPFD, 100)    # tests use the lowest ones
            status, out = pytest_in(copy, ["-rfE", *names], 600.0,
                                    {"MUTATION_REPORT": str(number)}, number)
            os.close(number)
            report.seek(0)
            found = report.read()
        self.copies.put(copy)
        failed = re.findall(r"^(?:FAILED|ERROR) (tests/unit/.*?)(?: - .*)?$", out, re.MULTILINE)
        if status not in (0, 1) or not found or status and not failed or len(failed) > 20:
            raise RuntimeError(f"the tests do not run on the package as it is:\n{out}")
        for name in failed:
            print(f"fails without a mutant, left out: {name}", flush=True)
        self.tests = Tests(json.loads(found), failed)

    def outcome(self, mutant, known):
        """Tell what becomes of a mutant: killed, equivalent (by the list) or survived."""
        if mutant.key() in known:
            return "equivalent"
        names = self.tests.of(mutant)
        if not names:
            return "survived"
        copy = self.copies.get()
        path = copy / "ipaddr2_py" / mutant.file
        before = path.read_bytes()
        listed = copy / "mutation-tests"
        try:
            path.write_text(mutant.text, "utf-8")
            listed.write_text("\n".join(names), "utf-8")
            status, out = pytest_in(copy, ["-x", "-rfE",
                                           *sorted({name.partition("::")[0] for name in names})],
                                    20 + 5 * sum(map(self.tests.seconds.get, names)),
                                    {"MUTATION_TESTS": f"/mnt/{listed.name}"})
            self.tests.killed.update(
                re.findall(r"^(?:FAILED|ERROR) (tests/unit/.*?)(?: - .*)?$", out, re.MULTILINE))
            # A process that takes itself for a child of its own may end well, but without a word.
            return "survived" if status == 0 and " passed" in out else "killed"
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
