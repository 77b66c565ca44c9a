# SPDX-License-Identifier: GPL-2.0-only
"""What pytest does in the sandbox besides running tests (-p tests.mutation.plugin).

With MUTATION_REPORT, the number of an open file: it writes there, as JSON, how long each test took
(seconds), which tests started processes, and which tests ran each line of the package; the last by
coverage.py.  With MUTATION_TESTS, a file: it runs the tests that are listed there, in that order.
"""

import json
import os
import pathlib
import sys
import time

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "ipaddr2_py"
#: What Python says of itself when a process begins: a fake program does not begin one.
STARTS = {"os.fork", "os.posix_spawn", "subprocess.Popen"}


class Report:
    """Times, processes and lines of the tests that run."""

    def __init__(self, number):
        import coverage
        self.number = number
        self.seconds = {}
        self.starting = set()
        self.running = None
        self.coverage = coverage.Coverage(data_file=None, include=[f"{PACKAGE}/*"],
                                          config_file=False)
        sys.addaudithook(self.heard)
        self.coverage.start()

    def heard(self, event, _words):
        """Remember that a test started a process."""
        if event in STARTS and self.running:
            self.starting.add(self.running)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        """Tell lines and seconds of one test from those of the others."""
        self.running = item.nodeid
        self.coverage.switch_context(item.nodeid)
        begin = time.monotonic()
        yield
        self.seconds[item.nodeid] = time.monotonic() - begin
        self.running = None
        self.coverage.switch_context("")

    def pytest_sessionfinish(self):
        """Write what was found: {"tests": [[name, seconds, whether it started a process]],
        "lines": {file in the package: {line: [place of a test among those]}}}."""
        self.coverage.stop()
        data = self.coverage.get_data()
        place = {name: number for number, name in enumerate(self.seconds)}
        lines = {os.path.relpath(path, PACKAGE): {
            line: [place[name] for name in names if name]
            for line, names in data.contexts_by_lineno(path).items()}
            for path in data.measured_files()}
        tests = [(name, took, name in self.starting) for name, took in self.seconds.items()]
        with open(self.number, "w", encoding="utf-8") as file:
            json.dump({"tests": tests, "lines": lines}, file)


def pytest_configure(config):
    """Begin to watch, where a report is wanted."""
    if "MUTATION_REPORT" in os.environ:
        config.pluginmanager.register(Report(int(os.environ["MUTATION_REPORT"])))


def pytest_collection_modifyitems(items):
    """Leave the listed tests, in their order."""
    if "MUTATION_TESTS" in os.environ:
        listed = pathlib.Path(os.environ["MUTATION_TESTS"]).read_text("utf-8").splitlines()
        place = {name: number for number, name in enumerate(listed)}
        items[:] = sorted((item for item in items if item.nodeid in place),
                          key=lambda item: place[item.nodeid])
