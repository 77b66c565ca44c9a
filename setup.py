# SPDX-License-Identifier: GPL-2.0-only
"""The build's one step of its own; all settings but the licence are in setup.cfg.

A checkout runs as it is. A built package holds more: the templates, the rendered metadata and the
programs of bin/, so that the agent finds the package around it through any symbolic link; vipctl
once more, the manual pages and the completion, as data files, for PATH, man and bash. No program
may be a `script`: pip writes those a shebang without the options -IS, which the agent needs.
"""

import os
import sys
import time

import setuptools
from setuptools.command.build_py import build_py

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)  # a build by PEP 517 does not have it

from ipaddr2_py.provider import install, metadata  # noqa: E402


class BuildPackage(build_py):
    """Builds the modules, then adds what only an installed package has."""

    def run(self):
        super().run()
        if getattr(self, "editable_mode", False):
            return
        package = os.path.join(self.build_lib, "ipaddr2_py")
        data = os.path.join(self.get_finalized_command("build").build_base, "data")
        os.makedirs(data, exist_ok=True)
        os.makedirs(os.path.join(package, "templates"), exist_ok=True)
        for name in os.listdir(os.path.join(HERE, "templates")):
            self.copy_file(os.path.join(HERE, "templates", name),
                           os.path.join(package, "templates", name))
        api = os.environ.get("IPADDR2_OCF_API", "1.0")      # 1.1: with reload-agent
        write(os.path.join(package, "IPaddr2.xml"), metadata.render(api=api))
        os.makedirs(os.path.join(package, "bin"), exist_ok=True)
        installed = os.path.join(package, "bin", install.VIPCTL)
        for name, path in ((install.AGENT, os.path.join(package, install.AGENT)),
                           (install.VIPCTL, installed)):
            install.copy_program(os.path.join(HERE, "bin", name), path, build_interpreter())
        vipctl = os.path.join(data, install.VIPCTL)
        self.copy_file(installed, vipctl)
        pages = {"ocf_ipaddr2py_IPaddr2.7": metadata.render_manpage(date=build_date()),
                 "vipctl.8": metadata.render_vipctl_manpage(date=build_date()),
                 "completion/vipctl": metadata.render_completion()}
        os.makedirs(os.path.join(data, "completion"), exist_ok=True)
        for name, text in pages.items():
            write(os.path.join(data, name), text)
        self.distribution.data_files = (self.distribution.data_files or []) + [
            ("sbin", [vipctl]),
            ("share/man/man7", [os.path.join(data, "ocf_ipaddr2py_IPaddr2.7")]),
            ("share/man/man8", [os.path.join(data, "vipctl.8")]),
            ("share/bash-completion/completions", [os.path.join(data, "completion/vipctl")])]


def build_interpreter():
    """The interpreter for the shebangs: the distribution's unless another one builds.

    It is the one beneath a virtual environment: that of a build may be gone after it.
    """
    running = os.path.realpath(sys.executable)
    usual = "/usr/bin/python3"
    return usual if os.path.realpath(usual) == running else running


def build_date():
    """The date for the manual page; SOURCE_DATE_EPOCH makes a build reproducible."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def write(path, text):
    """Write text to the file path as UTF-8."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# PEP 639, which setuptools knows since 77; before, the expression is the field License.
FIELD = "license_expression" if int(setuptools.__version__.split(".")[0]) >= 77 else "license"
setuptools.setup(cmdclass={"build_py": BuildPackage}, **{FIELD: "GPL-2.0-only"})
