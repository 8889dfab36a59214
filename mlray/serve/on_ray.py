"""Deployments on Ray Serve: open a door, run the replicas behind it, wait until they are ready, say how they are."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.context import _get_global_client
from ray.serve.schema import LoggingConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mlray.errors import ClusterError, MlrayError, WorkError
from mlray.market.spec import MARKET_LABEL
from mlray.policy.allowance import Allowance
from mlray.progress import OnProgress, Progress, silent
from mlray.serve.autoscaler import Autoscaler
from mlray.serve.deployed import Deployed as Deployed
from mlray.serve.door import Opening
from mlray.serve.doors import answers, close_door, free_port, open_door
from mlray.serve.gate import Limits
from mlray.serve.replica import Offer, Replica
from mlray.serve.spec import ServeJob
from mlray.vault.store import VaultAddress

READY_S = 180.0
PAUSE_S = 0.2
# Ongoing requests at a replica above which it answers 503 rather than letting the queue grow.
MOST_ONGOING = 64
MOST_QUEUED = 256
# An update starts a new replica before it stops an old one; with one replica a node the new one would find no place.
SURGE_PERCENT = 50
# Serve's HAProxy learns of a removed replica within a second; a prediction takes milliseconds.
DRAIN_S = 10.0
# A node whose market nobody declared has no price either, so nothing that is charged for runs there.
SELECTORS = {"spot": "spot", "on-demand": "on-demand", "any": "in(spot,on-demand)"}
HEAD_RESOURCE = "node:__internal_head__"
LOGS = "the replicas' logs are in logs/serve of the cluster's Ray session"


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One replica. `started` is Unix time; `state` is Serve's word (RUNNING, STARTING, ...)."""

    id: str
    state: str
    node_id: str
    node_ip: str
    started: float
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Serving:
    """How a deployment is now: replicas wanted and ready, and what Serve says of it."""

    deployment: str
    target: int
    ready: int
    state: str
    message: str
    replicas: tuple[ReplicaState, ...]


def deploy(
    job: ServeJob,
    base: Path,
    vault: VaultAddress,
    database: str,
    room: Allowance,
    most: int,
    on_progress: OnProgress = silent,
    within_s: float = READY_S,
) -> Deployed:
    """Offers the model behind its door and returns when as many replicas are ready as `room` promises.

    `base` is the folder of the job file, `most` the most replicas its policy ever allows. A deployment that exists is
    updated in place, replica by replica. Raises WorkError with Serve's own words when the replicas do not come up; of a
    new deployment nothing stays then, and of one that was there before the old replicas go on.
    """
    began = time.monotonic()
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # progress is told by us
    model = vault.open().find_model(job.model, job.version)
    before = any(one.deployment == job.deployment for one in deployments())
    door = _on_head(open_door, job.deployment, job.door, str(base.absolute()))
    offer = Offer(job.deployment, model.name, model.digest, vault, database, Limits(job.door.largest_body, job.door.most_rows), door)
    on_progress(Progress("serve", f"{model} is starting behind {door.url}"))
    if _get_global_client(raise_if_no_controller_running=False) is None:
        serve.start(proxy_location="HeadOnly", http_options={"host": "0.0.0.0", "port": _on_head(free_port)})
    target = serve.RunTarget(
        _application(job, offer, room, most), job.deployment, f"/{job.deployment}", LoggingConfig(enable_access_log=False)
    )
    serve.run_many([target], wait_for_applications_running=False)
    try:
        ready = _wait(door, room.floor, time.monotonic() + within_s, on_progress)
    except WorkError:
        if not before:
            undeploy(job.deployment)
        raise
    return Deployed(job.deployment, f"{door.url}/v2/models/{job.deployment}", str(model), ready, time.monotonic() - began)


def undeploy(deployment: str) -> bool:
    """Ends a deployment: its door first, then its replicas, each after what it is answering. False when there was none."""
    known = any(one.deployment == deployment for one in deployments())
    _on_head(close_door, deployment)
    if known:
        serve.delete(deployment)
    return known


def deployments() -> tuple[Serving, ...]:
    """Every deployment of this cluster, by name; none when Serve does not run."""
    # serve.status() leaves out what a bill and a promise need: on which node each replica runs, and how many are wanted.
    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return ()
    try:
        applications = client.get_serve_details()["applications"]
    except RayError as error:
        raise ClusterError(f"Serve does not answer: {error!s:.200}") from error
    return tuple(_serving(name, applications[name]) for name in sorted(applications))


def _serving(name: str, application: dict[str, Any]) -> Serving:
    inner = list(application["deployments"].values())
    replicas = tuple(_replica(one) for deployment in inner for one in deployment["replicas"])
    ready = sum(replica.state == "RUNNING" for replica in replicas)
    said = "; ".join(filter(None, [application["message"], *(deployment["message"] for deployment in inner)]))
    return Serving(name, sum(one["target_num_replicas"] for one in inner), ready, application["status"].value, said, replicas)


def _replica(told: dict[str, Any]) -> ReplicaState:
    """A replica without a place yet has no node."""
    place = told.get("node_id") or "", told.get("node_ip") or ""
    return ReplicaState(told["replica_id"], told["state"].value, *place, told["start_time_s"], told.get("pid") or 0)


def _application(job: ServeJob, offer: Offer, room: Allowance, most: int) -> serve.Application:
    """Our policy alone decides how many: Serve's own delays are off, its bounds as wide as the policy ever allows."""
    scaling = job.scaling
    policy = AutoscalingPolicy(
        policy_function=f"{Autoscaler.__module__}:{Autoscaler.__name__}",
        policy_kwargs={
            "deployment": job.deployment,
            "floor": room.floor,
            "ceiling": room.ceiling,
            "target": scaling.target_ongoing,
            "window_s": scaling.window.seconds,
            "up_s": scaling.up_after.seconds,
            "down_s": scaling.down_after.seconds,
        },
    )
    with warnings.catch_warnings():
        # The variables that are to replace metrics_interval_s are not read anywhere in 2.60.
        warnings.simplefilter("ignore", DeprecationWarning)
        autoscaling = AutoscalingConfig(
            min_replicas=0,
            initial_replicas=room.floor,
            max_replicas=most,
            target_ongoing_requests=scaling.target_ongoing,
            metrics_interval_s=0.5,
            look_back_period_s=1.0,
            upscale_delay_s=0,
            downscale_delay_s=0,
            policy=policy,
        )
    # One thread for each numeric library: a replica owns a share of a CPU, not the node.
    environment = {"env_vars": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}}
    options = {
        "num_cpus": job.replica.cpus,
        "label_selector": {MARKET_LABEL: SELECTORS[job.replica.market]},
        "runtime_env": environment,
    }
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name=job.deployment,
        autoscaling_config=autoscaling,
        max_replicas_per_node=job.replica.per_node,
        max_surge_percent=0 if job.replica.per_node == 1 else SURGE_PERCENT,
        max_ongoing_requests=MOST_ONGOING,
        max_queued_requests=MOST_QUEUED,
        graceful_shutdown_timeout_s=DRAIN_S,
        health_check_period_s=2,
        health_check_timeout_s=5,
        ray_actor_options=options,
    )
    return deployment.bind(offer)


def _wait(door: Opening, floor: int, deadline: float, on_progress: OnProgress) -> int:
    """The number of ready replicas once it has reached the floor and the door answers. Raises WorkError otherwise."""
    told, name = -1, door.deployment
    while True:
        found = next(one for one in deployments() if one.deployment == name)
        if found.ready != told:
            told = found.ready
            on_progress(Progress("serve", f"{told} of {floor} replicas are ready", told, floor))
        if found.ready >= floor and found.state == "RUNNING" and (floor == 0 or _on_head(answers, door)):
            return found.ready
        if found.state in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise WorkError(f"deployment {name} does not start: {found.message[-600:]}", hint=LOGS)
        if time.monotonic() > deadline:
            raise WorkError(f"deployment {name}: {told} of {floor} replicas became ready in time: {found.message[-600:]}", hint=LOGS)
        time.sleep(PAUSE_S)


def _on_head(do: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a function on the head: HAProxy listens there and reads its doors there."""
    heads = [node["NodeID"] for node in ray.nodes() if node["Alive"] and HEAD_RESOURCE in node["Resources"]]
    if not heads:
        raise ClusterError("the cluster has no head that is alive")
    pinned = NodeAffinitySchedulingStrategy(heads[0], soft=False)
    try:
        return ray.get(ray.remote(do).options(num_cpus=0, scheduling_strategy=pinned).remote(*arguments))
    except RayTaskError as error:
        if isinstance(error.cause, MlrayError):
            raise error.cause from None
        raise ClusterError(f"the head could not {do.__name__.strip('_').replace('_', ' ')}: {error.cause!s:.200}") from error
