"""The governor as a detached actor on the head: it outlives the jobs that ask for it, and its own death."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from mlray.clock import Clock, SystemClock
from mlray.errors import ClusterError, MlrayError
from mlray.govern.actions import Notify
from mlray.govern.cluster import LiveCluster
from mlray.govern.loop import TICK_S, Governor
from mlray.govern.machines import Machines
from mlray.govern.plan import Plan
from mlray.govern.register import Register
from mlray.govern.snapshot import Watched
from mlray.govern.storage import StorageMeter
from mlray.govern.store import GovernStore
from mlray.govern.till import SLICE_S
from mlray.home import Home
from mlray.ledger.entry import Cause
from mlray.ledger.store import LedgerStore
from mlray.market.prices.store import read_cluster
from mlray.market.spec import NODE_TYPE_LABEL
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Policy
from mlray.policy.store import PolicyStore
from mlray.units import StoragePrice
from mlray.vault.blobs import Blobs

NAME, NAMESPACE = "mlray-governor", "mlray"
ANSWER_S = 60.0
WEIGH_S = 60.0
DASHBOARD = "http://127.0.0.1:8265"  # Ray's own default


class GovernorActor:
    """Ticks in a thread of its own; calls and ticks take turns. Times are in seconds."""

    def __init__(self, home: Home, cluster: str, machines: Machines, tick_s: float, slice_s: float) -> None:
        clock = SystemClock()
        world = LiveCluster(home, cluster, os.environ.get("RAY_API_SERVER_ADDRESS", DASHBOARD), machines, clock)
        stores = LedgerStore(home.database), GovernStore(home.database, cluster)
        policies = partial(_policies, PolicyStore(home.database), Register(home.database, cluster), clock)
        self._governor = Governor(world, *stores, clock, policies=policies, tell=_tell, slice_s=slice_s, tick_s=tick_s)
        self._storage = StorageMeter(home.store, Blobs(home.store).weight, partial(_storage_price, home, cluster), stores[0])
        self._turn = threading.RLock()
        self._tick_s = tick_s
        threading.Thread(target=self._run, daemon=True, name="governor").start()
        threading.Thread(target=self._weigh, daemon=True, name="storage").start()  # a slow store must not hold up a tick

    def watch(self, watched: Watched) -> Allowance | None:
        with self._turn:
            return self._governor.watch(watched)

    def forget(self, deployment: str) -> None:
        with self._turn:
            self._governor.forget(deployment)

    def forget_all(self) -> None:
        with self._turn:
            self._governor.forget_all()

    def charge_now(self) -> None:
        with self._turn:
            self._governor.tick(charge_all=True)

    def draft(self, policy: Policy) -> Plan | None:
        with self._turn:
            return self._governor.draft(policy)

    def allowance(self, deployment: str) -> dict[str, Any] | None:
        """floor, ceiling, spot_share, bound and reason; never waits for a tick. None: nobody can say now."""
        given = self._governor.allowance(deployment)
        return None if given is None else asdict(given)

    def _run(self) -> None:
        while True:
            try:
                with self._turn:
                    self._governor.tick()
            except Exception:  # a governor that stops looking is worse than one that logs: allowances grow old meanwhile
                logging.getLogger(__name__).exception("the governor could not look; it tries again in %s s", self._tick_s)
            SystemClock().sleep(self._tick_s)

    def _weigh(self) -> None:
        while True:
            try:
                self._storage.look(SystemClock().now())
            except Exception:  # the hours that are missed are charged once it answers
                logging.getLogger(__name__).exception("what is stored could not be charged; tried again in %s s", WEIGH_S)
            SystemClock().sleep(WEIGH_S)


def _storage_price(home: Home, cluster: str) -> StoragePrice | None:
    return read_cluster(home, _file(home, cluster)).metadata.mlray.storage


def _policies(store: PolicyStore, register: Register, clock: Clock) -> tuple[Policy, ...]:
    """Those in force, and those that running jobs brought along and nobody has put in force in another wording."""
    known = {policy.name: policy for policy in (*register.policies(clock.now()), *store.in_force())}
    return tuple(known[name] for name in sorted(known))


def _tell(notice: Notify) -> None:
    """The journal holds it as well, for `mlray why`."""
    logging.getLogger(__name__).warning("%s: %s", notice.subject, notice.reason)


def start_governor(
    home: Home, cluster: str, machines: Machines, tick_s: float = TICK_S, slice_s: float = SLICE_S, wait: bool = True
) -> None:
    """Starts the cluster's governor on its head, or leaves the one that runs. Returns when it answers, or at once.

    It takes no CPU, is started anew whenever it dies, and ends with the cluster. Ray must be connected.
    """
    head = read_cluster(home, _file(home, cluster)).head_node_type
    options = {"name": NAME, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True, "max_restarts": -1}
    actor = (
        ray.remote(GovernorActor)
        .options(**options, max_task_retries=-1, num_cpus=0, max_concurrency=8, label_selector={NODE_TYPE_LABEL: head})
        .remote(home, cluster, machines, tick_s, slice_s)
    )
    if wait:
        _answer(actor.allowance.remote(""))


def watch(deployment: str, policy: Policy, cpus: float, cause: Cause, market: str = "any") -> Allowance | None:
    """Governs a deployment from now on, and says what room it has; None when the cluster could not be seen just now.

    `deployment` is the name of the Serve application; `cpus` is what one replica takes, on nodes of `market`. Watching
    again replaces the policy. Raises ClusterError when no governor runs.
    """
    allowance: Allowance | None = _answer(_governor().watch.remote(Watched(deployment, policy, cpus, market, cause)))
    return allowance


def forget(deployment: str) -> None:
    """Charges what the deployment still owes and governs it no longer. Call it once its replicas are gone."""
    _answer(_governor().forget.remote(deployment))


def forget_all() -> None:
    """Charges what every deployment owes and governs none any more. Call it before a cluster is taken down."""
    _answer(_governor().forget_all.remote())


def charge_now() -> None:
    """Charges every replica up to this instant, so that a bill read now is complete."""
    _answer(_governor().charge_now.remote())


def draft(policy: Policy) -> Plan:
    """What the next look would do if this policy were in force; nothing is done. Raises ClusterError when that cannot be said."""
    plan: Plan | None = _answer(_governor().draft.remote(policy))
    if plan is None:
        raise ClusterError("the governor cannot see the cluster just now", hint="ask again in a few seconds")
    return plan


def allowance(deployment: str) -> Allowance | None:
    """The deployment's room to scale; None when it is not governed or the last look is more than a minute old."""
    told = _answer(_governor().allowance.remote(deployment))
    return told and Allowance(**told)


def _file(home: Home, cluster: str) -> Path:
    return home.cluster(cluster) / "cluster.yaml"


def _governor() -> Any:
    try:
        return ray.get_actor(NAME, namespace=NAMESPACE)
    except ValueError as missing:
        raise ClusterError("no governor runs on this cluster", hint="start_governor starts one; mlray run does it by itself") from missing


def _answer(reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=ANSWER_S)
    except RayTaskError as error:
        raise error.cause if isinstance(error.cause, MlrayError) else ClusterError(f"the governor failed: {error.cause}") from None
    except (RayActorError, GetTimeoutError) as error:
        raise ClusterError(f"the governor does not answer: {error}", hint="see the log of the actor mlray-governor") from error
