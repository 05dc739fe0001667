"""The words that iptables knows as values of options, as iptables 1.8.9 has them."""

from __future__ import annotations

_TEXT = """
REJECT4 pi icmp-net-unreachable net-unreach icmp-host-unreachable host-unreach icmp-proto-unreachable
    proto-unreach icmp-port-unreachable port-unreach icmp-net-prohibited net-prohib icmp-host-prohibited
    host-prohib tcp-reset tcp-rst icmp-admin-prohibited admin-prohib
REJECT6 pi icmp6-no-route no-route icmp6-adm-prohibited adm-prohibited icmp6-addr-unreachable
    addr-unreach icmp6-port-unreachable port-unreach tcp-reset icmp6-policy-fail policy-fail
    icmp6-reject-route reject-route
CTSTATES ,pi NEW ESTABLISHED RELATED INVALID UNTRACKED SNAT DNAT
STATES ,pi NEW ESTABLISHED RELATED INVALID UNTRACKED
CTSTATUS ,pi NONE EXPECTED SEEN_REPLY ASSURED CONFIRMED
CTDIR i ORIGINAL REPLY
ADDRTYPES ,pi UNSPEC UNICAST LOCAL BROADCAST ANYCAST MULTICAST BLACKHOLE UNREACHABLE PROHIBIT THROW NAT
    XRESOLVE
DIRECTION - original reply both
BYTESMODE - packets bytes avgpkt
HASHMODE - sourceip sourceip-sourceport sourceip-sourceport-destport
HASHMODES , srcip srcport dstip dstport
TUPLE , src dst sport dport spi ct proto sctpport
PKTTYPE pi unicast broadcast multicast bcast mcast host otherhost
POLICYDIR - in out
POL - none ipsec
POLICYMODE - transport tunnel
IPSEC - ah esp ipcomp 50 51 108
STATISTIC - random nth
ALGO - bm kmp fsm
DSCPCLASS i CS0 CS1 CS2 CS3 CS4 CS5 CS6 CS7 BE AF11 AF12 AF13 AF21 AF22 AF23 AF31 AF32 AF33 AF41 AF42
    AF43 EF
WEEKDAYS ,p Mon Tue Wed Thu Fri Sat Sun 1 2 3 4 5 6 7
CTEVENTS , new related destroy reply assured protoinfo helper mark natseqinfo secmark
EXPEVENTS , new
HEADERS , hop-by-hop hop ipv6-opts dst ipv6-route route ipv6-frag frag ah auth esp ipv6-nonxt none prot
    protocol
TCPFLAGS ,i FIN SYN RST PSH ACK URG ALL NONE
DCCPTYPES ,i REQUEST RESPONSE DATA ACK DATAACK CLOSEREQ CLOSE RESET SYNC SYNCACK INVALID
CHUNKS i ALL NONE DATA INIT INIT_ACK SACK HEARTBEAT HEARTBEAT_ACK ABORT SHUTDOWN SHUTDOWN_ACK ERROR
    COOKIE_ECHO COOKIE_ACK ECN_ECNE ECN_CWR SHUTDOWN_COMPLETE I_DATA RE_CONFIG PAD ASCONF ASCONF_ACK
    FORWARD_TSN I_FORWARD_TSN
CHUNKMATCH i any all only
SETDIRS , src dst
LEVELS pi alert crit debug emerg err error info none notice panic warn warning
ICMP4 pi any echo-reply pong destination-unreachable network-unreachable host-unreachable
    protocol-unreachable port-unreachable fragmentation-needed source-route-failed network-unknown
    host-unknown network-prohibited host-prohibited TOS-network-unreachable TOS-host-unreachable
    communication-prohibited host-precedence-violation precedence-cutoff source-quench redirect
    network-redirect host-redirect TOS-network-redirect TOS-host-redirect echo-request ping
    router-advertisement router-solicitation time-exceeded ttl-exceeded ttl-zero-during-transit
    ttl-zero-during-reassembly parameter-problem ip-header-bad required-option-missing timestamp-request
    timestamp-reply address-mask-request address-mask-reply
ICMP6 pi destination-unreachable no-route communication-prohibited beyond-scope address-unreachable
    port-unreachable failed-policy reject-route packet-too-big time-exceeded ttl-exceeded
    ttl-zero-during-transit ttl-zero-during-reassembly parameter-problem bad-header unknown-header-type
    unknown-option echo-request ping echo-reply pong router-solicitation router-advertisement
    neighbour-solicitation neighbor-solicitation neighbour-advertisement neighbor-advertisement redirect
PROTOCOLS i ah all ax.25 dccp ddp egp eigrp encap esp etherip ethernet fc ggp gre hip hmp hopopt icmp
    icmpv6 idpr-cmtp idrp igmp igp ip ip-encap ipcomp ipencap ipip ipsec-ah ipsec-esp ipv6 ipv6-frag
    ipv6-icmp ipv6-mh ipv6-nonxt ipv6-opts ipv6-route isis iso-tp4 l2tp manet mh mobility-header
    mpls-in-ip mptcp ospf ospfigp pim pup rdp rohc rspf rsvp sctp shim6 skip st tcp udp udplite vmtp
    vrrp wesp xns-idp xtp
"""
#: Kind → how the words are read, and the words: a value is one of them, or several behind commas (``,``);
#: ``p``: a beginning is enough, ``i``: capitals do not matter. PROTOCOLS: /etc/protocols, and iptables' own.
WORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    kind: (how, tuple(words))
    for kind, how, *words in (line.split() for line in _TEXT.replace("\n    ", " ").strip().splitlines())
}
