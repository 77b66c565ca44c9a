# SPDX-License-Identifier: GPL-2.0-only
"""The metadata and the manual page, rendered with jinja2 from the table in params.py.

Imported by the action meta-data where no rendered file lies beside the package, and by the build.
"""

import os
import textwrap

from .. import __version__, params
from ..hand import verbs

WIDTH = 76

EXIT_CODES = (
    (0, "Success; for monitor and status: the address is there."),
    (1, "The action failed; another attempt or another node may succeed."),
    (2, "Wrong arguments."),
    (3, "There is no such action."),
    (4, "Not permitted: start and stop need root."),
    (5, "This node lacks something, such as a program or the network namespace."),
    (6, "A parameter is wrong; the reason names it, its value and what is right."),
    (7, "The address is not there (monitor and status)."),
)


class Action:
    """One action: timeout and interval in seconds; interval and depth are None where unused."""

    __slots__ = ("name", "timeout", "interval", "depth")

    def __init__(self, name, timeout, interval=None, depth=None):
        self.name = name
        self.timeout = timeout
        self.interval = interval
        self.depth = depth


ACTIONS = (
    Action("start", 20),
    Action("stop", 20),
    Action("status", 20, 10, 0),
    Action("monitor", 20, 10, 0),
    Action("monitor", 20, 30, 10),      # asks for duplicates; another interval, as Pacemaker wants
    Action("meta-data", 5),
    Action("validate-all", 20),
)


def templates_folder() -> str:
    """The folder of the templates: inside an installed package, beside it in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder in (os.path.join(package, "templates"),
                   os.path.join(os.path.dirname(package), "templates")):
        if os.path.isfile(os.path.join(folder, "IPaddr2.xml.j2")):
            return folder
    raise FileNotFoundError("no templates in or beside " + package)


def wrapped(text: str) -> str:
    """Text with each paragraph filled to WIDTH columns; examples keep their lines."""
    return "\n\n".join(filled(block) for block in blocks(text))


def paragraphs(text: str) -> str:
    """Text as troff paragraphs (man macros); examples are set apart, lines kept."""
    return "\n.PP\n".join(
        f".RS 4\n.nf\n{roff(textwrap.dedent(block))}\n.fi\n.RE" if is_example(block)
        else roff(filled(block))
        for block in blocks(text))


def filled(block: str) -> str:
    """One paragraph filled to WIDTH columns, or an example as it is."""
    if is_example(block):
        return block
    return textwrap.fill(
        " ".join(block.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def blocks(text: str) -> list:
    """The paragraphs of text, a list of str; an empty line parts them."""
    return text.strip("\n").split("\n\n")


def is_example(block: str) -> bool:
    """Whether a paragraph is an example, which params.py indents by two spaces."""
    return block.startswith("  ")


def roff(text: str) -> str:
    """Text with all that troff would take for a request or an escape made plain."""
    escaped = str(text).replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(
        "\\&" + line if line[:1] in (".", "'") else line for line in escaped.split("\n"))


def render(agent_name: str = "IPaddr2", api: str = "1.0") -> str:
    """The metadata: an XML document after OCF resource agent API 1.0 or 1.1, a str.

    Only 1.1 knows the action reload-agent; ocf-tester and older tools only know 1.0. Raises
    ValueError for another api.
    """
    if api not in ("1.0", "1.1"):
        raise ValueError(f"OCF resource agent API [{api}] is not known: 1.0 or 1.1")
    tracing = params.TRACING if api == "1.1" else ()
    return _render("IPaddr2.xml.j2", True, agent_name=agent_name, api=api,
                   parameters=params.TABLE + tracing, reloadable=params.RELOADABLE)


def render_manpage(agent_name: str = "IPaddr2", provider: str = "ipaddr2py", date: str = "") -> str:
    """The manual page ocf_PROVIDER_NAME(7) as troff source, a str; date is YYYY-MM-DD."""
    return _render(
        "IPaddr2.7.j2", False, agent_name=agent_name, provider=provider, date=date,
        parameters=params.TABLE,
        page_name=f"ocf_{provider}_{agent_name}", exit_codes=EXIT_CODES)


def render_vipctl_manpage(date="") -> str:
    """The manual page vipctl(8) as troff source; date is YYYY-MM-DD."""
    return _render("vipctl.8.j2", False, date=date, verbs=verbs.VERBS, options=verbs.OPTIONS)


def render_completion() -> str:
    """The completion of vipctl for bash."""
    return _render("vipctl.bash.j2", False, verbs=verbs.VERBS, options=verbs.OPTIONS,
                   parameters=params.TABLE, choices=params.CHOICES)


def render_parameters() -> str:
    """The page doc/parameters.md: every parameter with all that the table says of it."""
    return _render("parameters.md.j2", False, parameters=params.TABLE, exit_codes=EXIT_CODES)


def _render(template, autoescape, **values):
    jinja2 = _jinja2()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()), autoescape=autoescape,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True)
    environment.filters.update(wrapped=wrapped, paragraphs=paragraphs, roff=roff)
    return environment.get_template(template).render(
        version=__version__, shortdesc=params.SHORTDESC, longdesc=params.LONGDESC,
        actions=ACTIONS, **values)


def _jinja2():
    try:
        import jinja2
    except ImportError:  # the agent runs with -S: nobody has put site-packages on sys.path
        from ..changes import sh_import
        sh_import.add_site_packages()
        import jinja2
    return jinja2
