# SPDX-License-Identifier: GPL-2.0-only
"""Whether a command that the agent started can be explained: each word has its place.

The forms below are written from the specification.  A value of a parameter has one place, and
fills exactly one word there; only send_arp_opts may be several.
"""

import re

NUL = "\0"
WORD = r"(?!-)[^\0\s]+"                     # neither an option nor several words
ADDRESS = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)"
#: The options of iptables and arptables, and how each statement of an nft script begins.
FIREWALL = ("(?:-[tSINADFXCLdismjonv]|--new|--clustermac|--total-nodes|--local-node|--hashmode"
            "|--cluster-[a-z-]+|--h-length|--mangle-mac-s|--mangle-target)")
STATEMENT = ("(?:add|insert|delete) (?:table|chain|rule) (?:ip|ip6|arp) ipaddr2-[0-9a-f._]+"
             r"(?![^ ;\0])")
PLACES = {
    "ADDRESS": ADDRESS, "NETWORK": ADDRESS + r"/[0-9]{1,3}", "FAMILY": "inet6?", "NIC": WORD,
    "ANYNIC": r"(?!-)[^\0]+", "ANYTHING": r"[^\0]*", "NUMBER": r"[0-9]+",
    "BROADCAST": r"(?:[0-9.]+|\+|-)", "ASGIVEN": "(?:-|%s)" % WORD,
    "INBRACKETS": r"\[[0-9a-f:.]+\]",
    "LABEL": r"(?!-)[^\0\s]{1,15}", "WORD": WORD, "PATH": r"/[^\0]*/rsctmp/send_arp-[^\0/]+",
    "ETHER": "[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}", "SENDER": "(?:auto|[0-9a-fA-F]{12})",
    "RULE": r"(?:(?:%s|%s)\x00)+" % (FIREWALL, WORD),
    "SCRIPT": r"(?:%s(?:[^\0\n;{}]|\{[^\0\n{}]*\})*(?:; |(?=\x00)))+" % STATEMENT,
    "OPTIONS": r"(?:[^\0\s]+\0)*",            # stands before a word: "OPTIONS-U"
    "TEXT": r"(?!-)[^\0]*",
}
#: Parts in brackets may be left out.  ANYNIC stands where the kernel is asked whether there is
#: such an interface at all, ANYTHING where stop hands on what start refused: one word all the same.
FORMS = """
ip -o -f FAMILY addr show to ADDRESS
ip -o -f FAMILY addr show dev NIC [to NETWORK]
ip -o -f FAMILY route list match ADDRESS [table WORD] [proto WORD] [scope link]
ip -o -f FAMILY route list match NETWORK [table WORD] [proto WORD] [scope link]
ip -o -f inet route list match ADDRESS table local scope host
ip -o -f inet6 route list exact NETWORK [table NUMBER] dev NIC
ip -o -d link show [dev NIC]
ip link show dev ANYNIC
ip -o link show dev NIC
ip -f inet addr add NETWORK [brd BROADCAST] dev NIC [noprefixroute] [label LABEL] [metric NUMBER]
ip -f inet6 addr add NETWORK [brd ASGIVEN] dev NIC [nodad] [noprefixroute] [preferred_lft WORD] \
[metric NUMBER]
ip -f FAMILY addr delete NETWORK dev NIC
ip -f inet addr delete ADDRESS peer NETWORK dev NIC
ip link set dev NIC up
ip route flush cache
ip route delete ADDRESS dev NIC
ip addrlabel list
ip addrlabel add prefix ADDRESS label NUMBER
ip addrlabel del prefix ADDRESS label ANYTHING
ip -batch /proc/self/fd/NUMBER
ip netns exec WORD /ocf/IPaddr2 WORD
ss [-K] -H -n -t state established src ADDRESS
ss [-K] -H -n -t state established src INBRACKETS
arping -V
arping -q -c 2 -w 3 -D -I NIC ADDRESS
arping OPTIONS-U -c NUMBER -I NIC ADDRESS
arping OPTIONS-U -c NUMBER -i NIC -S ADDRESS ADDRESS
ipoibarping -q -c NUMBER -U -I NIC ADDRESS
send_arp OPTIONS-i NUMBER -r NUMBER -p PATH NIC ADDRESS SENDER not_used not_used
send_ua -i NUMBER -c NUMBER ADDRESS NUMBER NIC
logger -t WORD -p WORD TEXT
nft list tables
nft -a -n list table WORD WORD
nft SCRIPT
ip maddress add ETHER dev NIC
ip maddress del ETHER dev NIC
ip -o maddress show dev NIC
iptables RULE
iptables-legacy RULE
arptables RULE
modprobe WORD
modprobe -n -q WORD
"""


def _compiled(form):
    pattern = ""
    for piece in re.split(r"(\[[^]]*\])", form):
        words = [re.sub("|".join(PLACES), lambda place: PLACES[place.group()], _literal(word))
                 for word in piece.strip("[]").split()]
        text = "".join(word if word == PLACES["RULE"] else word + r"\x00" for word in words)
        pattern += "(?:%s)?" % text if piece.startswith("[") else text
    return re.compile(pattern, re.ASCII)    # the kernel's white space, too, is ASCII's


def _literal(word):
    return re.sub(r"([.+*?])", r"\\\1", word)


COMPILED = [_compiled(form) for form in FORMS.replace("\\\n", "").strip().splitlines()]


def explained(words):
    """Whether the call has one of the forms; words[0] is the program, its folder left out."""
    text = NUL.join([words[0].rpartition("/")[2]] + list(words[1:])) + NUL
    return not any(NUL in word for word in words) and any(
        form.fullmatch(text) for form in COMPILED)


def text_of(data):
    """Bytes as text; what is no UTF-8 comes back by os.fsencode()."""
    return data.decode("utf-8", "surrogateescape")
