# SPDX-License-Identifier: GPL-2.0-only
"""The program vipctl: its command line, and what each verb prints."""

import argparse
import json
import os
import posix
import signal
import sys

from .. import __version__, children, commands
from . import HandError, verbs

USAGE = 2
INTERRUPTED = 130       # 128 + SIGINT, as a shell reports it


def parser() -> argparse.ArgumentParser:
    """The command line, made from the table of verbs.py."""
    lines = "\n".join(f"  {verb.name:<13}{verb.text}" for verb in verbs.VERBS)
    made = argparse.ArgumentParser(
        prog="vipctl", formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        usage="vipctl VERB [RESOURCE | name=value...] [options]",
        description="Virtual IP addresses by hand: what the agent IPaddr2 sees and would do.\n\n"
        + lines,
        epilog="RESOURCE is an id in the cluster or an address; without a cluster, parameters\n"
        "of the agent: ip=192.0.2.10 nic=eth0 (ip= may be left out). See vipctl(8).")
    made.add_argument("--version", action="version", version=f"vipctl {__version__}")
    made.add_argument("verb", choices=[verb.name for verb in verbs.VERBS], metavar="VERB",
                      help=argparse.SUPPRESS)
    made.add_argument("words", nargs="*", default=[], help=argparse.SUPPRESS)
    for option in verbs.OPTIONS:
        more = {"metavar": option.metavar} if option.metavar else {"action": "store_true"}
        made.add_argument(option.flag, help=option.text, **more)
    return made


def arguments(argv) -> argparse.Namespace:
    """The parsed command line; wrong use ends with exit code 2, --help with 0."""
    made = parser()
    options = made.parse_intermixed_args(argv)
    for option in verbs.OPTIONS:
        given = getattr(options, option.flag.strip("-").replace("-", "_"))
        if given and options.verb not in option.verbs:
            made.error(f"{option.flag} is for {', '.join(option.verbs)}")
    return options


def work(options) -> int:
    """Do what a verb says; its exit status.  Raises HandError."""
    from . import act, check, explain, status, target, watch

    if options.verb == "status":
        found = status.rows(options.words, options)
        show(found, options, status.text)
        return status.status(found)
    if options.verb == "check":
        found = check.checked(options)
        show(found, options, check.text)
        return check.status(found)
    resource = target.one_of(options.words, options)
    if options.verb == "explain":
        told = explain.explained(resource)
        show(told, options, explain.text)
        return told["seen"]["rc"] if told["seen"]["rc"] in (0, 7) else 1
    if options.verb == "watch":
        watch.watched(resource, say=lambda text: print(text, flush=True))
        return 0
    if options.dry_run:
        return act.dry_run(options.verb, resource)
    if options.verb in ("start", "stop") and not options.force:
        live = not options.cib and resource.agent != ""
        act.refuse_managed(options.verb, resource, live)
    return act.perform(options.verb, resource, options.trace)


def show(found, options, text) -> None:
    """Print what a verb found, as JSON or by its text()."""
    print(json.dumps(found, indent=2) if options.json else text(found), flush=True)


def complain(text) -> None:
    """Print one line to stderr, or nowhere when that is closed or full."""
    try:
        print(f"vipctl: {text}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None


def main(argv) -> int:
    """Run the program with these arguments; its exit code, never a traceback."""
    try:
        # A reader that went away (vipctl status | head -1) ends the program as any other.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        commands.load_environment(posix.environ)
        if argv[:1] == ["announce"]:
            from . import announce
            return announce.main(argv[1:])
        if argv == ["_resources"]:          # for completion
            from . import target
            print(*(one.id for one in target.read_cib(argparse.Namespace(cib="")).resources))
            return 0
        options = arguments(argv)
        children.signals_by_default()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if os.geteuid() and options.verb in ("start", "stop") and not options.dry_run:
            raise HandError(f"{options.verb} needs root: it changes addresses", 4)
        return work(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except HandError as problem:
        complain(problem)
        return problem.code
    except OSError as problem:
        sys.stdout = None       # else Python tries again at exit, and tells of it with a traceback
        complain(problem.strerror or problem)
        return 1
    except Exception as problem:
        if os.environ.get("VIPCTL_TRACEBACK"):
            raise
        complain(f"unexpected {type(problem).__name__}: {problem}")
        return 1
