"""Looking a chain's rules up by a field's value gives exactly those that a look at every rule would."""

from __future__ import annotations

from netlab.predict.rules import In, ModelChain, ModelRule, Named, Step, Verdict
from netlab.predict.selection import candidates


def rule(*conditions: Step) -> ModelRule:
    return ModelRule("-A X", (*conditions, Verdict("accept")))


def chain() -> ModelChain:
    rules = []
    for number in range(30):
        rules.append(rule(In("daddr", ((number % 10,) * 2,)), In("dport", ((80 + number,) * 2,))))
        if number % 5 == 0:
            rules.append(rule(Named("oifname", "eth0", negated=True)))
        if number % 7 == 0:
            rules.append(rule(In("dport", ((1, 60000),))))
    return ModelChain("X", rules)


def numbers_for(given: ModelChain, values: dict[str, object]) -> list[int]:
    return [number for number, _ in candidates(given, lambda name: values.get(name, object()))]


def could(one: ModelRule, values: dict[str, object]) -> bool:
    for step in one.steps:
        if isinstance(step, In) and step.field in values and not step.negated:
            value = values[step.field]
            if not isinstance(value, int) or not any(low <= value <= high for low, high in step.ranges):
                return False
    return True


def test_no_rule_that_could_match_is_left_out_and_the_order_stays() -> None:
    given = chain()
    for values in (
        {"daddr": 3},
        {"dport": 83},
        {"daddr": 3, "dport": 93},
        {"daddr": 77},
        {"dport": None},
        {},
    ):
        found = numbers_for(given, values)
        assert found == sorted(set(found))
        assert {n for n, one in enumerate(given.rules, 1) if could(one, values)} <= set(found), values


def test_few_rules_are_looked_at() -> None:
    given = chain()
    assert len(numbers_for(given, {"daddr": 3, "dport": 93})) < 15
    assert len(numbers_for(given, {})) == len(given.rules)


def test_a_chain_that_grows_is_looked_at_again() -> None:
    given = chain()
    before = numbers_for(given, {"daddr": 99})
    given.rules.append(rule(In("daddr", ((99, 99),))))
    assert numbers_for(given, {"daddr": 99}) == [*before, len(given.rules)]
