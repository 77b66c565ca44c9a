# SPDX-License-Identifier: GPL-2.0-only
"""Measure what an agent costs beside another one, and hold it against the targets.

    sudo python3 -m tests.bench                        # the checkout and the shell agent, a table
    sudo python3 -m tests.bench --load --write doc/speed    # all of it; the README's chart
    sudo python3 -m tests.bench --sh 2.4.0             # with that version of sh
    sudo python3 -m tests.bench --runs 5 --quick AGENT OTHER    # any two agents, as they are
    sudo python3 -m tests.bench --profile              # where the milliseconds of each action go

Run in the checkout, by any Python from 3.9 on.  It makes network namespaces and removes them again;
nothing else on this machine is touched.  It takes a few minutes with 30 runs, two more with --load,
and means something on a quiet machine only.  strace is needed to count programs.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile

from tests.lab import namespaces

from . import agents, breakdown, chart, hosts, load, measure, report, rounds


BUSY = 0.5          # load average above which a warning is due


def arguments(argv):
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench",
                                     description="Measure the cost of two agents in turn.")
    parser.add_argument("agent", nargs="?", help="default: the checkout, installed in a scratch "
                        "folder")
    parser.add_argument("other", nargs="?", default=agents.SHELL, help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=30, help="of each action (default: 30)")
    parser.add_argument("--python", default=agents.DEBIAN, metavar="PATH",
                        help="the interpreter of the checkout's agent (default: %(default)s)")
    parser.add_argument("--sh", metavar="VERSION", help="run the checkout's agent with this "
                        "version of sh, from PyPI in a virtual environment of that interpreter")
    parser.add_argument("--load", type=int, nargs="?", const=60, default=0, metavar="SECONDS",
                        help="also monitor 200 addresses every 10 s (60 s for each agent)")
    parser.add_argument("--quick", action="store_true", help="without the crowded hosts")
    parser.add_argument("--write", metavar="PREFIX", help="write PREFIX.json and PREFIX.svg")
    parser.add_argument("--profile", action="store_true",
                        help="tell where the time of each action goes, instead")
    return parser.parse_args(argv)


def say(text):
    """Tell on standard error how far it is; the table alone goes to standard output."""
    print("bench: " + text, file=sys.stderr, flush=True)


def agent_of(options, folder):
    """Path of the agent to measure: as given, or the checkout's installed below `folder`."""
    if options.agent:
        return os.path.abspath(options.agent)
    python = options.python
    if options.sh:
        say("installing sh %s" % options.sh)
        python = agents.with_sh(folder / "venv", python, options.sh)
    return agents.install(folder / "ocf", python)


def about(options, found):
    """Machine and versions, see report.about_text()."""
    package = agents.said("dpkg-query", "-W", "-f", "${Version}", "resource-agents")
    name = "shell agent, resource-agents " + package if options.other == agents.SHELL \
        else options.other
    return {**agents.machine(), "python": "none", "sh": "none", **agents.versions(found),
            "other": name, "runs": options.runs}


def measured(options, bench, made):
    """Run all rounds in hosts of the ExitStack `made`."""
    host, neighbour = made.pair()
    crowds = {}
    for count in () if options.quick else (report.MANY, report.MOST):
        say("making a host with %d addresses" % count)
        crowds[count] = made.crowded(count)
    say("counting programs and memory")
    for _ in range(2):
        rounds.count(bench, host)
    for number in range(options.runs):
        say("round %d of %d" % (number + 1, options.runs))
        rounds.actions(bench, host, number)
        for count, crowd in crowds.items():
            rounds.watched(bench, crowd, number, count)
        rounds.announced(bench, host, neighbour, number)


def loaded(options, bench, made):
    """What load.load() tells, {} unless it was asked for."""
    if not options.load:
        return {}
    say("monitoring %d addresses, %d s for each agent" % (load.ADDRESSES, options.load))
    host = made.crowded(load.ADDRESSES, load.PREFIX)
    host.enter()
    return load.load(bench.agents, bench.folder,
                     hosts.addresses(load.ADDRESSES, hosts.FIRST), options.load)


def main(argv):
    """Measure, print, write; 0, or 1 with a reason where that was not possible."""
    options = arguments(argv)
    if os.geteuid():
        say("needs root, for network namespaces: sudo python3 -m tests.bench")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    measure.adopt()
    os.environ["PATH"] = agents.PATH
    if os.getloadavg()[0] > BUSY:
        say("load average %.1f: others are at work here, times will be off" % os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="ip2b-") as scratch, hosts.Hosts() as made, \
            namespaces.at_home():
        folder = pathlib.Path(scratch)
        (folder / "rsctmp").mkdir()
        found = agent_of(options, folder)
        told = about(options, found)
        if options.profile:
            print(breakdown.profile(found, folder, made, options.runs))
            return 0
        if not shutil.which("strace"):
            say("strace is not installed (package strace)")
            return 1
        bench = rounds.Bench({report.OURS: found, report.OTHER: options.other}, folder)
        measured(options, bench, made)
        document = report.document(bench, told, loaded(options, bench, made))
    print(report.about_text(told))
    print(report.table(document))
    if options.write:
        write(options.write, document)
    return 0


def write(prefix, document):
    """Write the document as PREFIX.json and its chart as PREFIX.svg."""
    pathlib.Path(prefix + ".json").write_text(as_text(document))
    pathlib.Path(prefix + ".svg").write_text(chart.chart(document))


def as_text(document):
    """The document as JSON with a line for each row; of the summaries medians and quartiles."""
    lines = []
    for name, value in document.items():
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        parts = [json.dumps(brief(one)) if isinstance(value, list) else
                 "%s: %s" % (json.dumps(key), json.dumps(brief(one))) for key, one in inside]
        ends = "[]" if isinstance(value, list) else "{}"
        lines.append("%s: %s\n %s\n%s" % (json.dumps(name), ends[0], ",\n ".join(parts), ends[1]))
    return "{%s}\n" % ",\n".join(lines)


def brief(value):
    """A value whose summaries are without least, greatest, and number of runs."""
    if not isinstance(value, dict):
        return value
    dropped = ("min", "max", "n", "turns") if "median" in value else ("turns",)
    return {key: brief(one) for key, one in value.items() if key not in dropped}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
