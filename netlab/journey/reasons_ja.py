"""Why rules exist, in Japanese, for lessons.

Engines and firewalls give each rule its reason in English; here are those that lessons show, with holes for
names. Names of chains, tables, hooks, zones, policies and services stay as they are.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

_DOCKER: Final = {
    "the administrator's chain comes first": "最初に管理者のチェインへ",
    "the administrator's chain ends: on with Docker's rules": (
        "管理者のチェインの終わり。次は Docker のルール"
    ),
    "networks are isolated from each other": "ネットワーク同士を分離",
    "{} is isolated from other networks": "{} をほかのネットワークから分離",
    "no network is isolated from this packet's: go on in FORWARD": "分離の対象ではないので FORWARD に戻る",
    "what leaves {} may not enter another network": "{} から出たパケットは、ほかのネットワークに入れない",
    "answers to what {} asked": "{} からの通信への応答",
    "answers of {}": "{} の通信の応答",
    "answers first": "応答を最初に",
    "published ports": "公開ポート",
    "published ports of {}": "{} の公開ポート",
    "unpublished ports of {}": "{} の公開していないポート",
    "{} may go out": "{} から外への通信を許可",
    "{} may go out, and its containers reach each other": "{} から外への通信と、コンテナ同士の通信を許可",
    "containers on {} may reach each other (icc)": "{} のコンテナ同士の通信を許可 (icc)",
    "containers on {} among themselves (icc on)": "{} のコンテナ同士の通信 (icc 有効)",
    "port {} of {} on {}, published": "{2} の {1} のポート {0} を公開",
    "port {} of {} on {}, published: {} may reach itself by it": (
        "{2} の {1} のポート {0} を公開: {3} 自身からも届くように"
    ),
    "{} on {} may not be reached by its own address": "{1} の {0} のアドレスへの直接の通信を禁止",
    "what is sent to an address of the host may be for a published port": (
        "ホストのアドレス宛ては、公開ポート宛てかもしれない"
    ),
    "what the host sends to itself may be for a published port": (
        "ホスト自身宛ての送信は、公開ポート宛てかもしれない"
    ),
    "what leaves {} takes the host's address": "{} から出るパケットの送信元をホストのアドレスに",
    "what the host itself sends to {} takes the bridge's address (no userland proxy)": (
        "ホスト自身が {} に送るパケットの送信元をブリッジのアドレスに (ユーザーランドプロキシなし)"
    ),
    "{} reaches published ports through the userland proxy": (
        "{} からの公開ポートへの通信はユーザーランドプロキシへ"
    ),
    "Docker's own DNS server": "Docker の DNS サーバー",
    "Docker's rules for forwarded packets": "転送パケットに対する Docker のルール",
    "DNS queries over {} go to Docker's own DNS server": "{} の DNS 問い合わせは Docker の DNS サーバーへ",
    "DNS answers over {} come from port 53, which was asked": (
        "{} の DNS 応答の送信元を、問い合わせ先のポート 53 に"
    ),
    "to the rules of the network that the packet enters": "パケットが入るネットワークのルールへ",
    "to the rules of the network that the packet leaves": "パケットが出るネットワークのルールへ",
    "source addresses of what leaves a network": "ネットワークから出るパケットの送信元アドレス",
    "source addresses of what enters a network": "ネットワークに入るパケットの送信元アドレス",
}
_FIREWALLS: Final = {
    "zones, by source address and by interface": "送信元アドレスとインターフェースによるゾーンの選択",
    "policies about what the host sends ({})": "ホストが送るパケットのポリシー ({})",
    "neighbour discovery may come from addresses that have no route back": (
        "近隣探索は、戻る経路のないアドレスからでも許可"
    ),
    "a source that is not reached by the interface it came from": (
        "送信元への経路が、入ってきたインターフェースと異なる"
    ),
    "answers and related packets": "応答と、関連するパケット",
    "rewritten packets, such as those to published ports": "書き換えられたパケット (公開ポート宛てなど)",
    "the host talks to itself": "ホスト自身との通信",
    "packets that belong to no connection": "どの接続にも属さないパケット",
    "no rule let the packet in": "許可するルールがなかった",
    "IPv6 addresses that hold private IPv4 ones ({})": "プライベート IPv4 アドレスを含む IPv6 アドレス ({})",
    "{} is in zone {}": "{0} はゾーン {1} に所属",
    "every other interface is in zone {} (default)": "ほかのインターフェースはゾーン {} (既定) に所属",
    "zone {}: policies that come before zones": "ゾーン {}: ゾーンより前のポリシー",
    "zone {}: policies that come after zones": "ゾーン {}: ゾーンより後のポリシー",
    "zone {}: its rules to {}": "ゾーン {0}: {1} のルール",
    "zone {}: ICMP": "ゾーン {}: ICMP",
    "zone {}: its target": "ゾーン {}: ターゲット",
    "zone {}: service {}": "ゾーン {0}: サービス {1}",
    "zone {}: forwarding within the zone": "ゾーン {}: ゾーン内の転送",
    "policy {}: all to the host": "ポリシー {}: ホスト宛てのすべて",
    "policy {}: its rules to {}": "ポリシー {0}: {1} のルール",
    "policy {}: neighbour advertisements": "ポリシー {}: 近隣広告",
    "policy {}: neighbour solicitations": "ポリシー {}: 近隣要請",
    "policy {}: router advertisements": "ポリシー {}: ルーター広告",
    "policy {}: redirects": "ポリシー {}: リダイレクト",
    "ufw: on to {}": "ufw: {} へ",
    "ufw's own, in {}": "ufw 自身のルール ({})",
    "ufw's own, for ufw limit": "ufw limit のための ufw 自身のルール",
}


def reason_ja(reason: str) -> str:
    """A rule's reason in Japanese; as it is where there is none, as for commands (``ufw allow 22/tcp``)."""
    for pattern, japanese in _patterns():
        if (found := pattern.fullmatch(reason)) is not None:
            return japanese.format(*found.groups())
    return reason


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Every English reason as a pattern; those with more words of their own come first."""
    whole = {**_DOCKER, **_FIREWALLS}
    ordered = sorted(whole, key=lambda english: -len(english.replace("{}", "")))
    return [(re.compile("(.+)".join(map(re.escape, one.split("{}")))), whole[one]) for one in ordered]
