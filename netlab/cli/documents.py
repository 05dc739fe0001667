"""The JSON objects that verbs make themselves, key by key; :mod:`netlab.cli.json_schemas` lists them all."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from netlab.journey.advise import Wish
from netlab.journey.flow_diff import FlowChangeKind
from netlab.kernel.machine import Finding as DoctorFinding
from netlab.lab.client.sockets import Listening
from netlab.model.engine_about import Recorded
from netlab.model.journey_json import JourneyDocument
from netlab.model.outcome import OutcomeName
from netlab.plan.live_rules import LiveChain
from netlab.predict.compare import Difference
from netlab.twin.finding import Kind
from netlab.view.documents.lab import LabDocument
from netlab.view.documents.verify import ExposureVerdictDocument, VerdictDocument


class UpLabDocument(LabDocument):
    """A lab that is up now."""

    unchanged: bool  #: whether it was up already, as it is
    warnings: list[str]


class UpDocument(TypedDict):
    """The labs that are up now."""

    labs: list[UpLabDocument]


class DownDocument(TypedDict):
    """The labs that were taken down."""

    down: list[str]


class LabRecordDocument(TypedDict):
    """A running lab."""

    name: str
    files: list[str]
    engines: list[str]
    hosts: int
    containers: int
    outside: int  #: outside machines
    published: int  #: published ports
    created: int  #: seconds since the epoch
    pid: int  #: of the supervisor
    owner: int | None  #: the process with which the lab ends; null: it stays until `netlab down`


class LsDocument(TypedDict):
    """The running labs."""

    labs: list[LabRecordDocument]


class ProcessDocument(TypedDict):
    """A process of a lab."""

    pid: int  #: in the lab's PID namespace
    kind: str  #: `responder`, `docker-proxy`, `command`, `exec`, …
    node: str
    label: str
    returncode: int | None  #: null: it runs


class StatusDocument(LabDocument):
    """A running lab."""

    files: list[str]
    created: int  #: seconds since the epoch
    pid: int  #: of the supervisor
    owner: int | None  #: the process with which the lab ends; null: it stays until `netlab down`
    version: str  #: of the netlab that built it
    warnings: list[str] | None
    processes: list[ProcessDocument]


class NativeTableDocument(TypedDict):
    """An nftables table that iptables cannot show."""

    family: str
    table: str
    text: str  #: as `nft list table` prints it


class RulesDocument(TypedDict):
    """The rules of a node, with counters."""

    lab: str
    node: str
    ipv4: NotRequired[list[LiveChain]]  #: left out with `-6`
    ipv6: NotRequired[list[LiveChain]]  #: left out with `-4`
    native: list[NativeTableDocument]


class SocketsDocument(TypedDict):
    """The listening sockets of a lab, or of one node."""

    lab: str
    sockets: list[Listening]


class DoDocument(TypedDict):
    """What happened to a lab."""

    lab: str
    events: list[str]
    warnings: list[str]


class ProbeBothDocument(TypedDict):
    """With `--both`: a journey, its prediction, and where they part."""

    schema_version: int
    measured: JourneyDocument
    predicted: JourneyDocument
    parting: Difference | None


class TraceDocument(JourneyDocument):
    """A journey of other programs' traffic."""

    when: float  #: seconds since the epoch


class VerifyScenarioDocument(TypedDict):
    """The verdicts of one scenario."""

    files: list[str]
    choice: int  #: which of the ways in which it can come out what the engine leaves to chance
    verdicts: list[VerdictDocument | ExposureVerdictDocument]


class VerifyLineDocument(VerifyScenarioDocument):
    """The verdicts of one scenario, as a line."""


class VerifyEndDocument(TypedDict):
    """The last line."""

    exit_code: int


class VerifyDocument(TypedDict):
    """The verdicts of all scenarios."""

    exit_code: int
    scenarios: list[VerifyScenarioDocument]


class AdviceDocument(TypedDict):
    """A command that was tried in the lab."""

    node: str
    place: str  #: what it changes: `ip filter DOCKER-USER`, `sysctl`, `ip route`
    argv: list[str]


class ExperimentDocument(TypedDict):
    """Another flow that changed, too."""

    before: JourneyDocument
    after: JourneyDocument


class ExplanationDocument(TypedDict):
    """A flow's journey, the commands that change it, and what else changed when they were tried."""

    wish: Wish | None
    rules: list[AdviceDocument]  #: those that changed the result
    failed: list[AdviceDocument]  #: those that did not
    cause: str  #: what to do where nothing listens
    proved: bool  #: whether they changed this flow as intended, and no other
    compared: int  #: how many other flows were compared
    before: JourneyDocument
    after: JourneyDocument | None
    others: list[ExperimentDocument]


class ExplainDocument(TypedDict):
    """Explanations, one for each flow."""

    explanations: list[ExplanationDocument]


class DriftFlowDocument(TypedDict):
    """A flow that differs from one on a host without drift."""

    kind: FlowChangeKind
    flow: str
    expected: OutcomeName | None  #: null: the flow does not exist
    found: OutcomeName | None


class DriftFindingDocument(TypedDict):
    """One thing that is not as it should be."""

    kind: Kind
    what: str
    means: str  #: what it means for packets
    mend: str
    rules: list[str]  #: as commands would name them
    tool: str  #: which program a foreign rule looks like
    evidence: list[str]  #: what on the host says who did it
    unpredicted: str  #: why nothing can be said about its flows; empty if it can
    flows: list[DriftFlowDocument] | None  #: that differ by it alone; null with `--no-flows`


class DriftDocument(TypedDict):
    """What on a host is not as its engine and firewall would have made it."""

    findings: list[DriftFindingDocument]
    flows: list[DriftFlowDocument] | None  #: null if there is no finding, or with `--no-flows`


class LessonDocument(TypedDict):
    """A lesson."""

    name: str
    title: dict[str, str]  #: by language


class DemoDocument(TypedDict):
    """The lessons, in order."""

    lessons: list[LessonDocument]


class GalleryScenarioDocument(TypedDict):
    """A scenario of the gallery."""

    name: str
    title: str
    question: str
    claim: str
    engine: str
    holds: str  #: on which other engines every expectation holds
    issues: list[str]  #: such as `moby#15086`


class GalleryDocument(TypedDict):
    """The scenarios of the gallery."""

    scenarios: list[GalleryScenarioDocument]


class EngineWordDocument(TypedDict):
    """A setting and its value, or a thing and how it is."""

    name: str
    value: str


class EngineDocument(TypedDict):
    """What there is to know of an engine before it is used."""

    name: str
    versions: str  #: which versions it stands for, in words
    file: str  #: its own configuration file
    settings: list[EngineWordDocument]  #: with the value unless the file says otherwise
    leaves: list[EngineWordDocument]  #: what stands on a host after the first container
    recorded: list[Recorded]
    beside: list[str]  #: the real versions beside which conformance tests run it
    also: str  #: another name for it


class EnginesDocument(TypedDict):
    """The engines."""

    engines: list[EngineDocument]


class DoctorDocument(TypedDict):
    """What this machine offers, and what it lacks."""

    works: bool  #: whether netlab can work here
    findings: list[DoctorFinding]


class CleanDocument(TypedDict):
    """The remains of killed labs."""

    stale: list[str]  #: paths that were there
    removed: list[str]
