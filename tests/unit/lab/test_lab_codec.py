"""A plan survives being written down, and its text says whether it is the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from netlab.lab import codec
from netlab.lab import history as lab_history
from netlab.lab.load import load_plan, load_scenario
from netlab.lab.options import refuse_programs
from netlab.lab.record import record_of
from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.problem import OptionName
from netlab.plan.change import History

GALLERY = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def seed() -> Plan:
    return load_plan([Path(__file__).parents[3] / "scenarios" / "httpd.yaml"])


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_every_plan_of_the_gallery_comes_back_as_it_was(file: Path) -> None:
    plan = load_plan([file])
    assert codec.loads(codec.dumps(plan)) == plan


def test_a_ruleset_that_many_nodes_have_is_stored_once(tmp_path: Path) -> None:
    texts = []
    for number in (2, 40):
        (tmp_path / "f.yaml").write_text(f"services: {{web: {{deploy: {{replicas: {number}}}}}}}")
        plan = load_plan([tmp_path / "f.yaml"])
        texts.append(codec.dumps(plan))
        back = codec.loads(texts[-1])
        assert back == plan
        assert len({id(ruleset) for n in back.nodes for ruleset in n.rulesets if n.kind != "host"}) == 1
    assert [text.count("-j DOCKER_OUTPUT") for text in texts] == [1, 1]


def test_the_digest_is_the_plan_s(seed: Plan) -> None:
    text = codec.dumps(seed)
    assert codec.digest(text) == codec.digest(codec.dumps(codec.loads(text)))
    other = dataclasses.replace(seed, project="other")
    assert codec.digest(codec.dumps(other)) != codec.digest(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"Plan":[1]}', '{"os.system":["true"]}', '{"Family":[5]}', '{"=":[0]}', "\x00"]
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a plan of this netlab"):
        codec.loads(text)


def test_a_part_of_a_plan_travels_too(seed: Plan) -> None:
    listeners = seed.node("host").listeners
    assert listeners
    assert codec.decode(codec.encode(listeners)) == listeners


def test_the_history_of_a_lab_with_options_comes_back() -> None:
    """A setting's position is an option's name, not a file's."""
    seed = Path(__file__).parents[3] / "scenarios" / "httpd.yaml"
    scenario = load_scenario([seed], daemon=["userland-proxy=false"], engine="docker-28")
    history = History.of(scenario)
    found = lab_history.load_history(lab_history.dump_history(history))
    assert found == history
    assert "OptionName" in lab_history.dump_history(history)
    assert codec.decode(codec.encode(OptionName("daemon"))).__class__ is OptionName


def test_the_record_counts_nodes_and_rules(seed: Plan) -> None:
    record = record_of(seed, codec.dumps(seed), ["a.yaml"], owner=7)
    wanted = {
        "hosts": 1,
        "containers": 1,
        "outside": 2,
        "published": 2,
        "engines": ["docker-20.10"],
        "owner": 7,
    }
    assert {key: record[key] for key in wanted} == wanted
    assert record["files"] == [str(Path("a.yaml").absolute())]


def test_an_untrusted_scenario_starts_no_program_of_the_machine(seed: Plan) -> None:
    refuse_programs(seed)
    nodes = tuple(dataclasses.replace(n, proxy="/bin/evil") if n.kind == "host" else n for n in seed.nodes)
    with pytest.raises(UsageError, match=r"^allow_programs: needed to run /bin/evil, .* the proxy of host"):
        refuse_programs(dataclasses.replace(seed, nodes=nodes))


@pytest.mark.parametrize(("line", "words"), [("nonsense", "is not KEY=VALUE"), ("=x", "is not KEY=VALUE")])
def test_an_invalid_daemon_setting_is_reported(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_plan([GALLERY[0]], daemon=[line])
