"""The closing sentence of a journey in Japanese, for lessons.

It covers what the lessons show. For the rest :func:`sentence_ja` gives None, and the English sentence stands;
a test compares the facts in both (addresses, nodes, hooks, chains, rules).
"""

from __future__ import annotations

from typing import Final

from netlab.journey.advise import blocking_chain, stopped_by
from netlab.journey.sentence import (
    by_frames,
    dropped_at,
    family_word,
    icmp_words,
    keeps_sender,
    nat_answer,
    proxy_name,
    rejects,
    rewritten_to,
    rootless,
)
from netlab.model.journey import DecidedBy, Journey

_PATHS: Final = {
    "local": " INPUT を通り",
    "forward": " FORWARD を通り",
    "bridge": "ブリッジのポートからポートへ渡り",
    "output": " OUTPUT を通り",
    "inside": "自分のネームスペースを出ずに",
    "none": "ホストのフックを通らずに",
}


def sentence_ja(journey: Journey) -> str | None:
    """The closing words in Japanese; None for what only the English sentence can say."""
    if journey.decided_by.kind == "unmeasured" or (journey.outcome == "timeout" and journey.notes):
        return None
    words = {"ok": _ok, "refused": _refused, "timeout": _timeout, "unreachable": _unreachable}
    return words[journey.outcome](journey) if journey.outcome in words else None


def _ok(journey: Journey) -> str:
    who = journey.answered_by or "サーバー"
    if journey.path == "proxy":
        hook = "OUTPUT" if by_frames(journey) else "INPUT"
        way = f" {hook} を通り、{_proxy(journey)} を経て "
    else:
        way = f"{_PATHS[journey.path]}、"
    parts = [f"{family_word(journey)} のパケットは{way}{who} に届きました。"]
    if rewritten := rewritten_to(journey):
        parts.append(f"宛先は {rewritten} に書き換えられました。")
    elif journey.path == "proxy" and not rootless(journey):
        parts.append(_no_dnat(journey))
    if journey.sees is not None:
        parts.append(_seen(journey))
    if journey.probe == "syn":
        parts.append("送ったのは、接続の最初のパケットだけです。")
    return "".join((*parts, _advice(journey)))


def _no_dnat(journey: Journey) -> str:
    where, rule = nat_answer(journey)
    if rule is None:
        return f"{where} で宛先を書き換えるルールがなかったため、FORWARD は通っていません。"
    return f"{where} のルール {rule} で処理が戻ったため、FORWARD は通っていません。"


def _seen(journey: Journey) -> str:
    assert journey.sees is not None
    sees, origin = journey.sees, journey.flow.origin
    whose = f"{sees.node} の " if sees.node else ""
    if journey.path == "proxy" and not keeps_sender(journey):
        instead = "" if sees.node == origin else f"{origin} ではなく、"
        return f"サーバーから見た送信元は、{instead}プロキシの接続のアドレス、{whose}{sees.address} です。"
    if sees.node == origin:
        return f"サーバーから見た送信元は、送信者自身のアドレス {sees.address} です。"
    return f"サーバーから見た送信元は、{origin} ではなく {whose}{sees.address} です。"


def _advice(journey: Journey) -> str:
    chain = blocking_chain(journey)
    if chain is not None:
        return f"止めるには、{chain} にルールを書きます。"
    if journey.switched:
        return (
            "br_netfilter が効いていないので、iptables のルールでは見えません。"
            "見えるのは bridge ファミリーのルールだけです。"
        )
    return "ホストのルールでは止められません。"


def _proxy(journey: Journey) -> str:
    return proxy_name(journey) or "ユーザーランドプロキシ"


def _decision(decision: DecidedBy) -> str:
    where = f"{decision.family} {decision.table} {decision.chain}"
    if decision.kind == "policy":
        return f"{where} のポリシー {decision.verdict} "
    return f"{where} のルール {decision.rule} "


def _went(journey: Journey) -> str:
    """How the packet reached the end of its path; the sentence goes on."""
    if journey.path == "inside":
        return f"パケットは {journey.flow.origin} 自身のネームスペースを出ず"
    if journey.path == "proxy":
        return f"パケットは INPUT を通って {_proxy(journey)} に届きましたが"
    if journey.path == "none":
        return "パケットは " + ("PREROUTING まで届きましたが" if journey.legs else "ホストのフックを通らず")
    if journey.path == "local":
        return "パケットは INPUT まで届きましたが"
    if journey.path == "bridge":
        return "パケットはブリッジのポートからポートへ渡りましたが"
    return f"パケットは {journey.path.upper()} を通りましたが"


def _refused(journey: Journey) -> str | None:
    decision = journey.decided_by
    if decision.kind in ("rule", "policy"):
        return f"{_decision(decision)}が TCP リセットで拒否しました。"
    if journey.probe == "segment" or by_frames(journey):
        return None
    where = f"{decision.node} の" if decision.node else ""
    return f"拒否されました。{_went(journey)}、{where}そのポートで待ち受けるものはありません。"


def _timeout(journey: Journey) -> str | None:
    decision = journey.decided_by
    if decision.kind == "route":
        return _lost(journey)
    if stopped_by(journey) is None or decision.kind not in ("rule", "policy") or rejects(decision):
        return None
    hook, by = (decision.hook or "").upper(), _decision(decision)
    for leg in journey.legs:
        if dropped_at(leg.hooks):
            whose = f"{leg.by} 自身の接続の" if leg.by else ""
            return f"{hook} で、{by}が{whose}パケットを破棄しました。"
    if any(dropped_at(leg.hooks) for leg in journey.replies):
        return f"パケットは届きましたが、{hook} で、{by}がその応答を破棄しました。"
    if decision.direction == "reply":  # an ICMP error
        return f"応答はありましたが、{decision.node} の {hook} で、{by}がそれを破棄しました。"
    return None


def _lost(journey: Journey) -> str | None:
    """The routing table of a node does not take the packet, or its answer."""
    decision = journey.decided_by
    if decision.direction == "reply":
        return f"パケットは届きましたが、{decision.node} には応答を返す経路がありません: {decision.rule}。"
    if not journey.legs:
        return None
    if decision.node not in (None, journey.legs[-1].node):
        return f"パケットは {decision.node} に届きましたが、そのカーネルは受け取りません: {decision.rule}。"
    return f"PREROUTING の後、ルールによらずに失われました: {decision.rule}。"


def _unreachable(journey: Journey) -> str | None:
    decision = journey.decided_by
    if decision.kind not in ("rule", "policy") or journey.icmp is None:
        return None
    return f"{_decision(decision)}が {icmp_words(journey.icmp)} で拒否しました。"
