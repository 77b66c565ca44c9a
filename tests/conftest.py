# SPDX-License-Identifier: GPL-2.0-only
"""What all tests share: marks taken from the folder, and how a missing tool is met."""

import os
import pathlib
import shutil

import pytest

HERE = pathlib.Path(__file__).resolve().parent
KINDS = ("unit", "twin", "netns", "faults", "cluster", "vm")
LONG = ("faults", "cluster", "vm")         # left out unless asked for: bin/test -m long
NEED_ROOT = ("twin", "netns", "faults", "cluster")


def lacking(reason):
    """Skip on a user's machine; fail where CI is set, for nothing may lack there."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need():
    """A function need(program, package): go on only where `program` is installed."""

    def check(program, package):
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not path:
            lacking("%s is not installed (package %s)" % (program, package))
        return path

    return check


def _kind(item):
    try:
        return item.path.relative_to(HERE).parts[0]
    except ValueError:
        return ""


def pytest_collection_modifyitems(items):
    for item in items:
        if _kind(item) in KINDS:
            item.add_marker(_kind(item))
        if _kind(item) in LONG:
            item.add_marker("long")


def pytest_runtest_setup(item):
    if _kind(item) in NEED_ROOT and os.geteuid() != 0:
        lacking("%s tests need root" % _kind(item))
