"""The options of each iptables extension that a rule may use, as iptables 1.8.9 defines them.

One line for each extension, ``NAME: OPTION OPTION …``; a ``?`` after the name: it needs one option at least.
An option is ``name[marks][=KIND[LEAST..MOST]][^other…][&other…]``:

======  =====================================================
``!``   may be negated
``+``   must be given
``*``   may be given more than once
``=``   takes a value of this kind (:mod:`netlab.scenario.xt_values`), or of several, each a word of its own
``^``   cannot stand beside that option
``&``   needs that option
======  =====================================================

``NAME/4`` is of iptables alone, ``NAME/6`` of ip6tables. Facts: the tables of
``struct xt_option_entry`` in iptables' extensions; a test reads them from the libraries and compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_TEXT = """
addrtype?: src-type!=ADDRTYPES dst-type!=ADDRTYPES limit-iface-in^limit-iface-out
    limit-iface-out^limit-iface-in
ah/4: ahspi!=UINT32RC
ah/6: ahspi!=UINT32RC ahlen!=UINT32 ahres
bpf?: bytecode=BYTECODE object-pinned=STRING
CHECKSUM: checksum-fill+
CLASSIFY: set-class+=CLASS
cluster: cluster-total-nodes+=UINT32[1..32] cluster-local-node!=UINT32[1..32]^cluster-local-nodemask
    cluster-local-nodemask!=UINT32[1..32]^cluster-local-node cluster-hash-seed+=UINT32
CLUSTERIP/4: new hashmode=HASHMODE clustermac=ETHERMAC total-nodes=UINT16[0..16]
    local-node=UINT16[0..16] hash-init=UINT32
comment: comment+=STRING
connbytes: connbytes!+=UINT64RC connbytes-dir+=DIRECTION connbytes-mode+=BYTESMODE
connlabel: label!+=STRING set
connlimit?: connlimit-upto!=UINT32^connlimit-above connlimit-above!=UINT32^connlimit-upto
    connlimit-mask=PLENMASK connlimit-saddr^connlimit-daddr connlimit-daddr^connlimit-saddr
CONNMARK?: set-xmark=MARKMASK32^set-mark^and-mark^or-mark^xor-mark^save-mark^restore-mark
    set-mark=MARKMASK32^set-xmark^and-mark^or-mark^xor-mark^save-mark^restore-mark
    and-mark=UINT32^set-xmark^set-mark^or-mark^xor-mark^save-mark^restore-mark
    or-mark=UINT32^set-xmark^set-mark^and-mark^xor-mark^save-mark^restore-mark
    xor-mark=UINT32^set-xmark^set-mark^and-mark^or-mark^save-mark^restore-mark
    save-mark^set-xmark^set-mark^and-mark^or-mark^xor-mark^restore-mark
    restore-mark^set-xmark^set-mark^and-mark^or-mark^xor-mark^save-mark left-shift-mark=UINT8[0..32]
    right-shift-mark=UINT8[0..32] ctmask=UINT32^mask nfmask=UINT32^mask mask=UINT32^ctmask^nfmask
connmark: mark!+=MARKMASK32
conntrack?: ctstate!=CTSTATES ctproto!=PROTOCOL ctorigsrc!=HOSTMASK ctorigdst!=HOSTMASK
    ctreplsrc!=HOSTMASK ctrepldst!=HOSTMASK ctstatus!=CTSTATUS ctexpire!=UINT32RC ctorigsrcport!=PORTRC
    ctorigdstport!=PORTRC ctreplsrcport!=PORTRC ctrepldstport!=PORTRC ctdir=CTDIR
cpu: cpu!+=UINT32
CT: notrack helper=STRING timeout=STRING ctevents=CTEVENTS expevents=EXPEVENTS
    zone-orig=ZONE zone-reply=ZONE zone=ZONE
dccp: source-port!=PORTRC^sport sport!=PORTRC^source-port destination-port!=PORTRC^dport
    dport!=PORTRC^destination-port dccp-types!=DCCPTYPES dccp-option!=UINT8[1..255]
devgroup?: src-group!=GROUP dst-group!=GROUP
DNAT: to-destination+=TODESTINATION random persistent
DNPT/6: src-pfx+=HOSTMASK dst-pfx+=HOSTMASK
DSCP?: set-dscp=UINT8[0..63]^set-dscp-class set-dscp-class=DSCPCLASS^set-dscp
dscp?: dscp!=UINT8[0..63]^dscp-class dscp-class!=DSCPCLASS^dscp
dst/6: dst-len!=UINT32 dst-opts=OPTS
ECN/4?: ecn-tcp-remove^ecn-tcp-cwr^ecn-tcp-ece ecn-tcp-cwr=UINT8[0..1]^ecn-tcp-remove
    ecn-tcp-ece=UINT8[0..1]^ecn-tcp-remove ecn-ip-ect=UINT8[0..3]
ecn?: ecn-tcp-cwr! ecn-tcp-ece! ecn-ip-ect!=UINT8[0..3]
esp: espspi!=UINT32RC
eui64/6:
frag/6: fragid!=UINT32RC fraglen!=UINT32 fragres fragfirst fragmore^fraglast fraglast^fragmore
hashlimit: hashlimit-upto!=HASHRATE^hashlimit^hashlimit-above hashlimit-above!=HASHRATE^hashlimit-upto
    hashlimit!=HASHRATE^hashlimit-upto^hashlimit-above hashlimit-srcmask=PLEN hashlimit-dstmask=PLEN
    hashlimit-burst=BURST hashlimit-htable-size=UINT32 hashlimit-htable-max=UINT32
    hashlimit-htable-gcinterval=UINT32 hashlimit-htable-expire=UINT32 hashlimit-mode=HASHMODES
    hashlimit-name+=STRING[1..] hashlimit-rate-match hashlimit-rate-interval=UINT32
hbh/6: hbh-len!=UINT32 hbh-opts=OPTS
helper: helper!+=STRING
HL/6?: hl-set=UINT8^hl-dec^hl-inc hl-dec=UINT8[1..]^hl-set^hl-inc hl-inc=UINT8[1..]^hl-set^hl-dec
hl/6?: hl-lt=UINT8^hl-gt^hl-eq hl-gt=UINT8^hl-lt^hl-eq hl-eq!=UINT8^hl^hl-lt^hl-gt
    hl=UINT8^hl-eq^hl-lt^hl-gt
HMARK: hmark-tuple=TUPLE hmark-src-prefix=PLENMASK hmark-dst-prefix=PLENMASK hmark-sport-mask=UINT16
    hmark-dport-mask=UINT16 hmark-spi-mask=UINT32 hmark-sport=UINT16 hmark-dport=UINT16 hmark-spi=UINT32
    hmark-proto-mask=UINT16 hmark-rnd=UINT32 hmark-mod+=UINT32[1..] hmark-offset=UINT32
icmp/4: icmp-type!+=ICMP4
icmp6/6: icmpv6-type!+=ICMP6
ipcomp: ipcompspi!=UINT32RC compres
iprange?: src-range!=ADDRESSES dst-range!=ADDRESSES
ipv6header/6: header!+=HEADERS soft
ipvs: ipvs! vproto!=PROTOCOL vaddr!=HOSTMASK vport!=PORT vdir=CTDIR vmethod!=STRING vportctl!=PORT
length: length!+=UINT16RC
limit: limit=RATE limit-burst=UINT32[0..10000]
LOG: log-level=SYSLOGLEVEL log-prefix=STRING[1..] log-tcp-sequence log-tcp-options log-ip-options
    log-uid log-macdecode
mac: mac-source!+=ETHERMAC
MARK?: set-xmark=MARKMASK32^set-mark^and-mark^or-mark^xor-mark
    set-mark=MARKMASK32^set-xmark^and-mark^or-mark^xor-mark
    and-mark=UINT32^set-xmark^set-mark^or-mark^xor-mark
    or-mark=UINT32^set-xmark^set-mark^and-mark^xor-mark
    xor-mark=UINT32^set-xmark^set-mark^and-mark^or-mark
mark: mark!+=MARKMASK32
MASQUERADE: to-ports=TOPORTS random random-fully
mh/6: mh-type!=MH
multiport?: source-ports!=PORTS^dports^sports^destination-ports^ports
    sports!=PORTS^destination-ports^dports^source-ports^destination-ports^ports
    destination-ports!=PORTS^sports^dports^source-ports^ports
    dports!=PORTS^sports^destination-ports^source-ports^ports ports!=PORTS^source-ports^destination-ports
NETMAP: to+=HOSTMASK
nfacct: nfacct-name+=STRING[1..]
NFLOG: nflog-group=UINT16 nflog-prefix=STRING[1..] nflog-range=UINT32^nflog-size
    nflog-size=UINT32^nflog-range nflog-threshold=UINT16
NFQUEUE: queue-num=UINT16^queue-balance queue-balance=UINT16RC[0..65534]^queue-num queue-bypass
    queue-cpu-fanout&queue-balance
osf: genre!+=STRING ttl=UINT32[0..2] log=UINT32[0..2]
NOTRACK:
owner?: uid-owner!=IDS gid-owner!=IDS socket-exists! suppl-groups&gid-owner
physdev?: physdev-in!=INTERFACE physdev-out!=INTERFACE physdev-is-in! physdev-is-out!
    physdev-is-bridged!
pkttype: pkt-type!+=PKTTYPE
policy?: dir=POLICYDIR pol=POL strict reqid!*=UINT32 spi!*=UINT32 tunnel-src!*=HOSTMASK
    tunnel-dst!*=HOSTMASK proto!*=IPSEC mode!*=POLICYMODE next*&strict
quota: quota!+=UINT64
RATEEST: rateest-name+=STRING rateest-interval+=INTERVAL rateest-ewmalog+=INTERVAL
rateest?: rateest1=STRING^rateest rateest=STRING^rateest1 rateest2=STRING rateest-bps1=BPS?
    rateest-pps1=UINT32? rateest-bps2=BPS? rateest-pps2=UINT32? rateest-bps=BPS? rateest-pps=UINT32?
    rateest-delta rateest-lt! rateest-gt! rateest-eq!
realm/4: realm!+=REALM
recent?: set!^rcheck^update^remove rcheck!^set^update^remove update!^set^rcheck^remove
    remove!^set^rcheck^update seconds=UINT32[1..] reap&seconds hitcount=UINT32 rttl^set^remove
    name=STRING rsource rdest mask=HOST
REDIRECT: to-ports=TOPORTS random
REJECT/4: reject-with=REJECT4
REJECT/6: reject-with=REJECT6
rpfilter: loose validmark accept-local invert
rt/6: rt-type!=UINT32 rt-segsleft!=UINT32RC rt-len!=UINT32 rt-0-res&rt-type rt-0-addrs=STRING&rt-0-res
    rt-0-not-strict&rt-0-addrs
sctp: source-port!=PORTSPAN^sport sport!=PORTSPAN^source-port destination-port!=PORTSPAN^dport
    dport!=PORTSPAN^destination-port chunk-types!=CHUNKMATCH,CHUNKS
SET: add-set=STRING,SETDIRS del-set=STRING,SETDIRS exist timeout=UINT32 map-set=STRING,SETDIRS map-mark
    map-prio map-queue
set: match-set!=STRING,SETDIRS set!=STRING,SETDIRS return-nomatch update-counters! packets-eq!=UINT64
    packets-lt=UINT64 packets-gt=UINT64 bytes-eq!=UINT64 bytes-lt=UINT64 bytes-gt=UINT64
    update-subcounters!
SNAT: to-source+=TOSOURCE random random-fully persistent
SNPT/6: src-pfx+=HOSTMASK dst-pfx+=HOSTMASK
socket: transparent nowildcard restore-skmark
srh/6: srh-next-hdr!=UINT8 srh-hdr-len-eq!=UINT8 srh-hdr-len-gt!=UINT8 srh-hdr-len-lt!=UINT8
    srh-segs-left-eq!=UINT8 srh-segs-left-gt!=UINT8 srh-segs-left-lt!=UINT8 srh-last-entry-eq!=UINT8
    srh-last-entry-gt!=UINT8 srh-last-entry-lt!=UINT8 srh-tag!=UINT16 srh-psid!=HOSTMASK
    srh-nsid!=HOSTMASK srh-lsid!=HOSTMASK
standard:
state: state!+=STATES
statistic: mode+=STATISTIC probability!=DOUBLE[0..1]^every^packet every!=UINT32[1..]^probability&packet
    packet=UINT32^probability&every
string: from=UINT16 to=UINT16 algo+=ALGO string!=STRING^hex-string hex-string!=HEX^string icase
SYNPROXY: sack-perm timestamp wscale=UINT32 mss=UINT32 ecn
tcp: source-port!=PORTSPAN^sport sport!=PORTSPAN^source-port destination-port!=PORTSPAN^dport
    dport!=PORTSPAN^destination-port syn! tcp-flags!=TCPFLAGS,TCPFLAGS tcp-option!=UINT8[1..255]
TCPMSS?: set-mss=UINT16[0..65495] clamp-mss-to-pmtu
tcpmss: mss!+=UINT16RC
TCPOPTSTRIP: strip-options=TCPOPTIONS
TEE: gateway+=HOST oif=STRING
time?: datestart=DATE datestop=DATE timestart=TIME timestop=TIME contiguous weekdays!=WEEKDAYS
    monthdays!=MONTHDAYS localtz^utc utc^localtz^kerneltz kerneltz^utc
TOS?: set-tos=TOSMASK[0..63]^and-tos^or-tos^xor-tos and-tos=UINT8^set-tos^or-tos^xor-tos
    or-tos=UINT8^set-tos^and-tos^xor-tos xor-tos=UINT8^set-tos^and-tos^or-tos
tos: tos!+=TOSMASK[0..63]
TPROXY: on-port+=PORT on-ip=HOST tproxy-mark=MARKMASK32
TRACE:
TTL/4?: ttl-set=UINT8^ttl-dec^ttl-inc ttl-dec=UINT8[1..]^ttl-set^ttl-inc
    ttl-inc=UINT8[1..]^ttl-set^ttl-dec
ttl/4?: ttl-lt=UINT8^ttl-gt^ttl-eq ttl-gt=UINT8^ttl-lt^ttl-eq ttl-eq!=UINT8^ttl^ttl-lt^ttl-gt
    ttl=UINT8^ttl-eq^ttl-lt^ttl-gt
u32: u32!+=U32
udp: source-port!=PORTRC^sport sport!=PORTRC^source-port destination-port!=PORTRC^dport
    dport!=PORTRC^destination-port
"""
#: other names of an extension
_OTHER_NAMES = {"icmpv6": "icmp6", "ipv6-icmp": "icmp6", "udplite": "udp"}
_OPTION = re.compile(r"([a-z0-9-]+)([!+*]*)(?:=([^^&]+))?((?:[\^&][a-z0-9-]+)*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class OptionShape:
    """What iptables takes as one option; ``kinds``: of its values, each a word of its own."""

    name: str
    kinds: tuple[str, ...]
    negatable: bool
    needed: bool
    repeatable: bool
    excludes: frozenset[str]
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class ExtensionShape:
    """The options of an extension; ``some``: whether it needs at least one."""

    name: str
    some: bool
    options: dict[str, OptionShape]


def shape(name: str, family: int) -> ExtensionShape | None:
    """The options of a match or target for iptables (4) or ip6tables (6); None: not known for that family."""
    known, name = _shapes(), _OTHER_NAMES.get(name, name)
    return known.get(name) or known.get(f"{name}/{family}")


def only_family(name: str) -> int | None:
    """The family of an extension that only one of the two tools has."""
    name = _OTHER_NAMES.get(name, name)
    families = [family for family in (4, 6) if f"{name}/{family}" in _shapes()]
    return families[0] if len(families) == 1 else None


def owners(option: str) -> list[str]:
    """The extensions that have an option of that name."""
    return [name.partition("/")[0] for name, one in _shapes().items() if option in one.options]


@cache
def _shapes() -> dict[str, ExtensionShape]:
    found = {}
    for line in re.sub(r"\n +", " ", _TEXT.strip()).splitlines():
        name, _, words = line.partition(":")
        options = {one.name: one for one in map(_option, words.split())}
        key = name.rstrip("?")
        found[key] = ExtensionShape(key.partition("/")[0], name.endswith("?"), options)
    return found


def _option(word: str) -> OptionShape:
    match = _OPTION.fullmatch(word)
    if match is None:
        raise ValueError(word)
    name, marks, kinds, others = match.groups()
    beside = re.findall(r"([\^&])([a-z0-9-]+)", others)
    return OptionShape(
        name,
        tuple((kinds or "").split(",")) if kinds else (),
        "!" in marks,
        "+" in marks,
        "*" in marks,
        frozenset(other for sign, other in beside if sign == "^"),
        frozenset(other for sign, other in beside if sign == "&"),
    )
