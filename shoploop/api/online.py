"""What a spec says about what shoppers do between two runs: where it is kept, and who may send it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shoploop.api.fields import Name, Rule, Servers, Spec, Text, rules
from shoploop.api.kubernetes import AuthorityReference, SecretReference


class LogTlsSpec(Spec):
    """TLS to the server of an event log."""

    ca_ref: AuthorityReference | None = None
    """Secret with the certificates of a private authority. Unset: the authorities that everybody trusts."""


ADDRESS_OF_A_SERVER = Rule(
    cel="self.type == 'Sqlite' ? !has(self.connection) && !has(self.prefix) && !has(self.secretRef) && !has(self.tls) : "
    "has(self.connection) != has(self.bring)",
    message="a log of type Redis or Kafka needs connection, its server's address, or one of type Redis bring; one of type "
    "Sqlite has neither connection nor prefix nor secretRef nor tls",
)
BROUGHT = Rule(
    cel="!has(self.bring) || self.type == 'Redis' && has(self.secretRef) && !has(self.tls)",
    message="bring is for a log of type Redis, with its password in secretRef and without tls",
)


class BroughtRedisSpec(Spec):
    """A Redis of one pod beside the predictors, on a cluster. It writes before it answers, and never evicts."""

    storage: Annotated[str, Field(pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$")] = "4Gi"
    """Size of its claim, which stays when the Recommender goes."""

    storage_class: Text | None = None
    """Of the claim. Unset: the default one."""

    max_memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*(kb|mb|gb)$")] = "384mb"
    """Beyond it events are refused until the log is trimmed. Its pod may take twice as much."""


TLS_BY_URL = Rule(
    cel="!has(self.tls) || !has(self.connection) || !self.connection.startsWith('redis://')",
    message="connection redis:// is without TLS: name rediss://host:port/0, or host:port",
)
NO_PASSWORD = Rule(
    cel="!has(self.log) || !has(self.log.connection) || !self.log.connection.contains('@')",
    message="log.connection must hold no username or password: they are in log.secretRef",
)
FILE_OF_A_POD = Rule(cel="self.type == 'Sqlite' || !has(self.claim)", message="claim is for a log of type Sqlite")


class EventLogSpec(Spec):
    """Where impressions and feedback are kept until they are learned from."""

    model_config = rules(ADDRESS_OF_A_SERVER, BROUGHT, FILE_OF_A_POD, TLS_BY_URL)

    type: Literal["Sqlite", "Redis", "Kafka"] = "Sqlite"
    """Sqlite is for one pod; Redis and Kafka serve many. A Redis must write before it answers (appendonly yes, appendfsync
    always) and must not evict (maxmemory-policy noeviction)."""

    connection: Servers | None = None
    """host:port of Redis, or Kafka's bootstrap servers, host:port,... Passwords are in secretRef."""

    prefix: Name | None = None
    """Comes before the recommender's name in the log's own name, on a Redis or Kafka that several tenants share: what their
    users may reach is told apart by it. Unset: none."""

    secret_ref: SecretReference | None = None
    """Secret with password, and username where there is one, for Redis or Kafka."""

    tls: LogTlsSpec | None = None
    """TLS to Redis or Kafka; {} trusts the authorities that everybody trusts. Unset: none."""

    sasl_mechanism: Literal["Plain", "ScramSha256", "ScramSha512"] = "ScramSha512"
    """How Kafka is told username and password."""

    bring: BroughtRedisSpec | None = None
    """On a cluster, in place of connection: a Redis is brought. {} takes its defaults."""

    claim: Text | None = None
    """An existing PersistentVolumeClaim for the file of a log of type Sqlite, on a cluster. Unset: one is made, 1 GiB of
    the default storage class."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> "EventLogSpec":
        if self.type == "Sqlite":
            if self.connection or self.prefix or self.secret_ref or self.tls:
                raise ValueError(ADDRESS_OF_A_SERVER.message)
        elif bool(self.connection) == (self.bring is not None):
            raise ValueError(ADDRESS_OF_A_SERVER.message)
        if self.bring is not None and (self.type != "Redis" or self.secret_ref is None or self.tls):
            raise ValueError(BROUGHT.message)
        if self.type == "Sqlite":
            return self
        if self.claim:
            raise ValueError(FILE_OF_A_POD.message)
        if self.tls and self.connection and self.connection.startswith("redis://"):
            raise ValueError(TLS_BY_URL.message)
        return self


class FeedbackKeysSpec(Spec):
    """Keys of impressions and of those who send events, each in a Secret of its own, exchanged without a restart."""

    impressions: SecretReference | None = None
    """Secret with one key or more that answers are signed with, as NAME.key: 32 random bytes in base64. The last in the
    order of the names signs, a new one from five minutes after it came, all of them are believed. Take the one before out a
    week later. Needed on a cluster where there is a log."""

    server: SecretReference | None = None
    """Secret with the keys of the shop's own servers, as NAME.key. Unset: none."""

    publishable: SecretReference | None = None
    """Secret with the keys that pages may hold, as NAME.json: {"key": ..., "origins": [...]}. Unset: none."""


Optimizer = Literal["Sgd", "AdaGrad", "Ftrl", "Newton"]


class GuardrailsSpec(Spec):
    """What must hold of what is learned between two runs. Where it does not, nothing more of it goes out: predictors go back
    to what was learned before, and learning waits until somebody resumes it, or resumeAfterMinutes are over. What is not
    finite, or not of the model's shape, never goes out."""

    block: Annotated[int, Field(ge=20, le=100_000)] = 200
    """Examples that are judged together, each predicted before it is learned."""

    max_loss_excess: Annotated[float, Field(ge=0, le=100)] = 0.1
    """Nats by which what is learned may be more surprised by a block than the version as it was trained; more by chance
    stops nothing (three standard errors)."""

    max_auc_loss: Annotated[float, Field(ge=0, le=1)] = 0.05
    """By how much its AUC, the share of what could have been chosen that it puts behind what was, may be lower, likewise."""

    max_calibration_excess: Annotated[float, Field(ge=0, le=1)] = 0.2
    """By how much the chance that it gives to its first choice may be farther from how often that is chosen, likewise."""

    max_dead_letter_share: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of the records that something should be learned from of which nothing can be: dead letters. A lower one can be
    brought about by a few who send much."""

    max_row_change: Annotated[float, Field(gt=0, le=100)] = 2
    """How far one item may move between two commits, in units of the mean length of the trained item vectors. An item moves
    by 1 from where it was trained at most, so 2 always holds."""

    max_change: Annotated[float, Field(gt=0, le=100)] = 0.9
    """How far all items together may be from where they were trained (root mean square), in the same units: never above 1."""

    max_score_drift: Annotated[float, Field(gt=0, le=100)] = 1
    """Population stability index of items' scores on golden requests against those that were trained: shoppers of whom
    nothing is known but that they have just bought one of the sixteen items that sell most. It is never above 20."""

    min_top10_overlap: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Share of the first ten answers to golden requests that must be those of the version as it was trained."""

    per_user_a_day: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10
    """Examples of one user that are learned in a day; the others count for the user's own history alone."""

    per_user_and_item_a_day: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1
    """The same of one user and one item."""

    per_item_a_day: Annotated[int, Field(ge=1, le=1_000_000_000)] = 3
    """The same of one item, whatever its share; more where it has one: twice its share of what is sold."""

    resume_after_minutes: Annotated[float, Field(gt=0, le=10_080)] | None = None
    """After how long a learner goes on by itself that a guardrail has stopped, behind what stopped it; twice as long after
    each further stop within a day. Unset: somebody resumes it (`shoploop online resume`)."""


class OnlineSpec(Spec):
    """What shoppers do, between two runs: it is collected, and learned from."""

    model_config = rules(NO_PASSWORD)

    enabled: bool = False
    """Learn from feedback as it comes, between two runs. On a cluster it needs a log: one learner reads it, and a sidecar in
    each predictor pod brings in what was learned."""

    log: EventLogSpec | None = None
    """Where impressions and feedback are kept: with it the predictor collects them, also where nothing is learned between two
    runs. Unset: on a cluster nothing is collected; `shoploop serve` has a log of its own."""

    keys: FeedbackKeysSpec = FeedbackKeysSpec()
    """Who may send events, on a cluster. `shoploop serve` makes its own."""

    compact_every_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    """On a cluster, how often a small pod makes interactions of what was collected (`shoploop events compact`): the next run
    learns from these. Nothing of it where spec.data.feedback is false."""

    publish_period_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 1
    """How often updated weights are offered to the predictors."""

    optimizer: Optimizer = "AdaGrad"
    """The rule by which item vectors learn from events: AdaGrad, stochastic gradient descent, FTRL-Proximal, or a diagonal
    Newton step. Another one than what was learned by takes a new version, or a rollback to 0."""

    guardrails: GuardrailsSpec = GuardrailsSpec()
    """What stops it, and how much one user and one item may teach."""

    @model_validator(mode="after")
    def _has_no_password(self) -> "OnlineSpec":
        if self.log and self.log.connection and "@" in self.log.connection:
            raise ValueError(NO_PASSWORD.message)
        return self
